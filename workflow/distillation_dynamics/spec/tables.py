"""The jobs that gather: tables, summary, statistics and figures of a study."""

from dataclasses import dataclass
from typing import Any

from .base import From, aside


@dataclass(frozen=True)
class Run:
    """What one training left, with the variant and seed that it has in the study (the teacher: seed -1)."""

    variant: str
    seed: int
    files: From
    folder: str = aside()


@dataclass(frozen=True)
class MetricsJob:
    """Lay the tables of all models end to end."""

    table: str
    tables: tuple[From, ...]
    out: str = aside()


@dataclass(frozen=True)
class SummaryJob:
    """Collect accuracy, agreement and cost; the first run is the teacher's."""

    runs: tuple[Run, ...]
    out: str = aside()


@dataclass(frozen=True)
class StatisticsJob:
    """Answer the study's questions. `pairs`: variant -> its aligned (student, teacher) blocks."""

    baseline: str
    pairs: dict[str, tuple[tuple[int, int], ...]]
    students: tuple[Run, ...]
    scalars: tuple[From, ...]
    runs: From
    epochs: From
    splits: From
    cka: From
    mismatch: From
    out: str = aside()


@dataclass(frozen=True)
class FiguresJob:
    """Draw one figure or animation from study-level tables as `files`."""

    figure: str
    tables: tuple[From, ...]
    options: dict[str, Any]
    files: tuple[str, ...] = aside()
