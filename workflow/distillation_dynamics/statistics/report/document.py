"""The report as a whole: its head, accuracy, what the study can show, and the questions that it can be asked.

Each question names its figure and tables and what would decide it; its answer, numbers and controls are its section's.
`report.md` and `report.json` are written from the same sections, whose paragraphs are Markdown.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...files import Column
from ...spec.tables import Names
from ..thresholds import FEWEST_SEEDS
from . import (
    accuracy,
    alignment,
    can_show,
    claims,
    dose,
    header,
    networks,
    published,
    references,
    shape,
    trajectory,
    variants,
)
from .shape_tables import unmoved_controls
from .words import listed


@dataclass(frozen=True)
class Question:
    """A section that answers something: its title, the figures and tables that it rests on, and what decides it."""

    title: str
    figures: tuple[str, ...]
    tables: tuple[str, ...]
    decides: str

    @property
    def sources(self) -> str:
        """The line below the answer."""
        figures = f"Figure{'s' * (len(self.figures) > 1)}: {listed(self.figures)}. " if self.figures else ""
        tables = listed([f"{name}.parquet" for name in self.tables])
        return f"{figures}Table{'s' * (len(self.tables) > 1)}: {tables}. What would decide: {self.decides}."


SHAPE = Question(
    *("Is it U-shaped?", ("shape", "depth_profiles"), ("shape", "references")),
    "a fall and a rise beyond the smallest change in a trained network that its control and its scale do not have; for "
    "a kind of network, several of it",
)
NETWORKS = Question(
    *("Networks beside each other", ("networks", "map"), ("networks",)),
    "a likeness above that of the controls by every measure, read against the ceiling of another seed",
)
VARIANTS = Question(
    *("Does a variant help?", ("effects", "accuracy"), ("variants", "differences", "mcnemar")),
    f"a joint test over at least {FEWEST_SEEDS} seeds, of variants that differ from the baseline in one thing",
)
GAIN = Question(
    *("When does a gain arise?", ("trajectory",), ("trajectory", "variants")),
    "intervals over seeds of the gain in the first and in the last third of training, every epoch validated",
)
DOSE = Question(
    *("Dose and place", ("terms", "effects"), ("dose_and_place", "effects")),
    "the same places at several shares of the loss, and several places at one share, over the same seeds",
)
ALIGNMENT = Question(
    *("Which layers should be aligned?", ("alignment",), ("effects", "nearest", "alignment")),
    "an effect of each pair aligned alone, at a like share of the loss; likeness before aligning decides nothing",
)
PUBLISHED = Question(
    *("Published beside measured", ("trajectory",), ("published", "published_entropy")),
    "the same run (terms, networks, images, epochs), over several seeds",
)
CLAIMS = Question("The paper's claims, one by one", (), ("claims",), "what the table says of each claim")


@dataclass(frozen=True)
class Section:
    """A part of the report: `answer` in a sentence, where it comes from and what would decide it, and paragraphs.

    The head has no title; what asks nothing has no sources.
    """

    title: str
    answer: str
    sources: str
    paragraphs: tuple[str, ...]


def sections(
    tables: dict[str, pd.DataFrame], read: dict[str, pd.DataFrame], names: Names, study: dict[str, Any] | None
) -> list[Section]:
    """Return the report from the stage's tables, those that it reads, and what study.json holds (None: nothing)."""
    unmoved = unmoved_controls(tables["shape"], names)
    spread = f"**{accuracy.spread(read['runs'], names)}**" if names.variants else ""
    return [
        Section("", "", "", tuple(header.section(study, read["runs"], read["cost"]))),
        Section("Accuracy", spread, "", tuple(accuracy.section(read["runs"], names))),
        Section("What this study can show", "", "", tuple(can_show.section(read, tables["variants"], names))),
        _answered(SHAPE, [*shape.section(tables["shape"], names), *references.section(tables["references"], names)]),
        _answered(NETWORKS, networks.section(tables["networks"], names, unmoved)),
        _answered(VARIANTS, variants.section(tables["variants"], tables["mcnemar"], names.baseline)),
        _answered(GAIN, trajectory.section(tables["variants"], names.baseline)),
        _answered(DOSE, dose.section(tables["dose_and_place"], tables["effects"], names.baseline)),
        _answered(ALIGNMENT, alignment.section(tables, names.baseline, names.teacher)),
        _answered(PUBLISHED, published.section(tables["published"], tables["published_entropy"], names.baseline)),
        _answered(CLAIMS, claims.section(tables["claims"])),
    ]


def _answered(question: Question, paragraphs: list[str]) -> Section:
    """Return a section: its title, the answer, where it comes from and what would decide it, and the rest."""
    return Section(question.title, paragraphs[0], question.sources, tuple(paragraphs[1:]))


def title_of(study: dict[str, Any] | None) -> str:
    """Return what a report is called."""
    return f"{study['name'] if study else 'Study'}: report"


def report(title: str, parts: list[Section]) -> str:
    """Return report.md."""
    written = [f"# {title}"]
    for part in parts:
        written += [f"## {part.title}" if part.title else "", part.answer, part.sources, *part.paragraphs]
    written.append("The numbers of this report stand in numbers.json too, by table, with their units.")
    return "\n\n".join(part.strip() for part in written if part) + "\n"


def for_machines(title: str, parts: list[Section]) -> dict[str, Any]:
    """Return report.json: the same sections, their answers and paragraphs in Markdown."""
    return {"title": title, "sections": [asdict(part) for part in parts]}


def numbers(tables: dict[str, pd.DataFrame], known: dict[str, dict[str, Column]]) -> dict[str, Any]:
    """Return tables for machines: of each its columns with unit and meaning, and its rows; null where NaN."""
    found = {}
    for name, columns in known.items():
        table = tables[name][list(columns)].replace([np.inf, -np.inf], np.nan).astype(object)
        rows = table.where(table.notna(), None).to_dict("records")
        found[name] = {"columns": {column: one._asdict() for column, one in columns.items()}, "rows": rows}
    return found
