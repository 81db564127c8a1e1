"""What is known of each kind of extension once its file was read. Imports no torch."""

from typing import NamedTuple

from ..spec.teacher_outputs import BY_BLOCK, WHOLE
from .options import Option

# What the `forward` of an objective may take: of the batch, and of student and teacher as a whole or of a block.
OF_BATCH, OF_PAIR = ("labels", "targets"), "pair"
OF_NETWORK = tuple(f"{who}_{kind}" for who in ("student", "teacher") for kind in WHOLE)
OF_BLOCK = tuple(f"{who}_{kind}" for who in ("student", "teacher") for kind in BY_BLOCK)
# Kinds of columns -> the table that they are in, or the means of them.
TABLE_OF = {"IMAGE_COLUMNS": "scalars", "BLOCK_COLUMNS": "depth", "BIN_COLUMNS": "spectrum"}


class Objective(NamedTuple):
    """What the `forward` of an objective takes, in order, its options, and the first sentence of its file."""

    takes: tuple[str, ...]
    options: dict[str, Option]
    shows: str

    @property
    def by_block(self) -> bool:
        """Whether it compares blocks, so that its terms have pairs."""
        return not set(self.takes).isdisjoint(OF_BLOCK)

    @property
    def taught(self) -> bool:
        """Whether it takes anything of a teacher."""
        return any(name.startswith("teacher_") for name in self.takes)


class Target(NamedTuple):
    """What may stand in a teacher's place: of which kinds of outputs, of which weights, in which order of blocks."""

    kinds: tuple[str, ...]
    weights: str
    blocks: str


class Architecture(NamedTuple):
    """The options of an architecture, those that must be given, and what it is in a sentence, the first of its file."""

    options: dict[str, Option]
    required: tuple[str, ...]
    shows: str


class Metric(NamedTuple):
    """What a metric asks of a network, the tables and files that it writes, and which settings and images it takes.

    `files` may hold {block:02d}; `reference` is one of them, that of the reference network.
    """

    requires: tuple[str, ...]
    tables: tuple[str, ...]
    files: tuple[str, ...]
    options: tuple[str, ...]
    reference: str | None
    images: str

    @property
    def main_only(self) -> bool:
        """Whether it is measured on the main image set alone: it fills no table that metrics share."""
        return not set(self.tables) & set(TABLE_OF.values())

    def files_of(self, blocks: int) -> tuple[str, ...]:
        """Return the names of the files that it keeps of a network with so many blocks."""
        return tuple(dict.fromkeys(file.format(block=block) for file in self.files for block in range(blocks)))


class Figure(NamedTuple):
    """Tables that a figure is drawn from, metrics that must be measured for it, its formats, who must be there.

    `caption` says what it shows, its n, interval and control, with CAPTION_NAMES in braces; `shows` what it shows in a
    sentence, the first of its module.
    """

    tables: tuple[str, ...]
    metrics: tuple[str, ...]
    formats: tuple[str, ...]
    requires: tuple[str, ...]
    caption: str
    shows: str


class Claim(NamedTuple):
    """A claim of a paper in a phrase, with its letter, in its words; what decides it, and its rule."""

    claim: str
    letter: str
    text: str
    decides: str
    rule: str


class Question(NamedTuple):
    """What a question asks, its place in report and page, its own tables, and what its answer rests on.

    `sources`: tables that it is answered from, named below the answer with `figures`, and what would decide it.
    `reads`: tables of other stages, or of questions before it; `requires`: who must be in a study; `panel`: whether it
    has panels on the page; `paper`: its tables in a paper, None where it has no part in one.
    """

    title: str
    place: int
    tables: tuple[str, ...]
    sources: tuple[str, ...]
    figures: tuple[str, ...]
    decides: str
    reads: tuple[str, ...]
    requires: tuple[str, ...]
    panel: bool
    paper: tuple[str, ...] | None
