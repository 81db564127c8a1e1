"""The jobs that gather: tables, summary, statistics and figures of a study."""

from dataclasses import dataclass
from typing import Any

from .base import From, aside


@dataclass(frozen=True)
class Names:
    """Who is in the tables: networks with the name of the control of each (in order), the teacher among them, variants.

    `seeds` lists networks that differ in their seed alone: one of them tells how far another run of the same goes.
    """

    networks: dict[str, str]
    teacher: str | None
    variants: tuple[str, ...]
    baseline: str | None
    seeds: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Run:
    """What one training or loading left, with the network (or variant) and seed that it has in the study.

    Networks of `networks` have seed -1. `measured`: whether it has logits and an accuracy.
    """

    network: str
    seed: int
    files: From
    measured: bool = True
    folder: str = aside()


@dataclass(frozen=True)
class TablesJob:
    """Lay the tables of all networks end to end, those of several metrics side by side."""

    table: str
    tables: tuple[tuple[From, ...], ...]
    out: str = aside()


@dataclass(frozen=True)
class SummaryJob:
    """Collect accuracy, agreement with the teacher and cost."""

    runs: tuple[Run, ...]
    teacher: str | None
    out: str = aside()


@dataclass(frozen=True)
class StatisticsJob:
    """Answer the study's questions. `pairs`: variant -> its aligned (student, teacher) blocks; tables by name."""

    names: Names
    pairs: dict[str, tuple[tuple[int, int], ...]]
    students: tuple[Run, ...]
    scalars: tuple[From, ...]
    tables: dict[str, From]
    out: str = aside()


@dataclass(frozen=True)
class FiguresJob:
    """Draw one figure or animation from study-level tables as `files`."""

    figure: str
    names: Names
    tables: tuple[From, ...]
    options: dict[str, Any]
    files: tuple[str, ...] = aside()
