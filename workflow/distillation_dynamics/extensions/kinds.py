"""Descriptions of each kind of extension after its file was read. Imports no torch."""

from typing import NamedTuple

from ..spec.teacher_outputs import BY_BLOCK, WHOLE
from .options import Option

# Parameters of an objective's `forward`: of the batch, of a whole network, of a block.
OF_BATCH, OF_PAIR = ("labels", "targets"), "pair"
OF_NETWORK = tuple(f"{who}_{kind}" for who in ("student", "teacher") for kind in WHOLE)
OF_BLOCK = tuple(f"{who}_{kind}" for who in ("student", "teacher") for kind in BY_BLOCK)
# Kinds of columns -> the table that holds them or their means.
TABLE_OF = {"IMAGE_COLUMNS": "scalars", "BLOCK_COLUMNS": "depth", "BIN_COLUMNS": "spectrum"}


class Objective(NamedTuple):
    """Parameters of an objective's `forward` in order, its options, and the first sentence of its file."""

    takes: tuple[str, ...]
    options: dict[str, Option]
    shows: str

    @property
    def by_block(self) -> bool:
        """Whether it compares blocks, so that its terms have pairs."""
        return not set(self.takes).isdisjoint(OF_BLOCK)

    @property
    def taught(self) -> bool:
        """Whether it uses a teacher."""
        return any(name.startswith("teacher_") for name in self.takes)


class Target(NamedTuple):
    """A null target: the kinds of outputs it replaces, the weights and the order of blocks it uses."""

    kinds: tuple[str, ...]
    weights: str
    blocks: str


class Architecture(NamedTuple):
    """Options of an architecture, those that are required, and the first sentence of its file."""

    options: dict[str, Option]
    required: tuple[str, ...]
    shows: str


class Metric(NamedTuple):
    """Requirements, tables, files, settings and images of a metric.

    Names in `files` may contain {block:02d}; `reference` is one of them, read from the reference network.
    """

    requires: tuple[str, ...]
    tables: tuple[str, ...]
    files: tuple[str, ...]
    options: tuple[str, ...]
    reference: str | None
    images: str

    @property
    def main_only(self) -> bool:
        """Whether it is measured only on the main image set, since it fills no shared table."""
        return not set(self.tables) & set(TABLE_OF.values())

    def files_of(self, blocks: int) -> tuple[str, ...]:
        """Return the names of its files for a network with that many blocks."""
        return tuple(dict.fromkeys(file.format(block=block) for file in self.files for block in range(blocks)))


class Figure(NamedTuple):
    """Tables and metrics that a figure needs, and the required networks.

    `caption`: what it shows, with n, interval and control, and CAPTION_NAMES in braces; `shows`: the first sentence of
    its module.
    """

    tables: tuple[str, ...]
    metrics: tuple[str, ...]
    requires: tuple[str, ...]
    caption: str
    shows: str


class Claim(NamedTuple):
    """A claim of a paper: short form with letter, wording, what decides it, and its rule."""

    claim: str
    letter: str
    text: str
    decides: str
    rule: str


class Question(NamedTuple):
    """A question: its place in report and page, its tables, and what its answer rests on.

    `sources`: tables behind the answer, listed below it with `figures` and what would decide it. `reads`: tables of
    other stages or earlier questions; `requires`: who must be in a study; `panel`: whether it has panels on the page;
    `paper`: its tables in a paper, None without a part in one.
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
