"""Jobs that gather results: tables, summary, statistics, report, figures, page and paper of a study."""

from dataclasses import dataclass, field
from typing import Any

from .base import From, aside
from .machine import Machine
from .training import TermSpec

# Image sets in the column `probe`: the main one for figures and tests, the published choice; a study names others.
MAIN_IMAGE_SET, PUBLISHED_IMAGE_SET = "balanced", "published"
# Keys of a variant besides its terms: the student it trains, and its teacher.
WHO = ("student", "teacher")
# Name of the page in the study's folder.
INDEX = "index.html"
# Files of the report in reading order, with their link texts.
REPORT_FILES = {"summary.md": "Summary", "report.md": "Report", "methods.md": "Methods"}


@dataclass(frozen=True)
class Arm:
    """A trained arm of a study: a variant with one student and one teacher.

    `terms`: (name, objective) of each term of its loss; empty until the whole configuration is read.
    """

    variant: str
    student: str
    teacher: str
    terms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Names:
    """Names in the tables: networks in order, the teacher, controls, and arms.

    `controls`: network -> name of its control, for those that have one. `arms`: by their names. `seeds` lists networks
    that differ only in their seed, which show the variation between runs. `baselines`: student -> its baseline arm.
    """

    networks: tuple[str, ...]
    controls: dict[str, str]
    teacher: str | None
    arms: dict[str, Arm]
    baselines: dict[str, str]
    seeds: tuple[tuple[str, ...], ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """The arms, by their names in the tables."""
        return tuple(self.arms)

    @property
    def baseline(self) -> str | None:
        """The baseline of the first student, where one stands for all."""
        return next(iter(self.baselines.values()), None)

    @property
    def against(self) -> dict[str, str]:
        """Arm -> its baseline, for all arms except baselines."""
        return {name: self.baseline_of(name) for name in self.arms if name != self.baseline_of(name)}

    def baseline_of(self, arm: str) -> str:
        """Return an arm's baseline: that of its student."""
        return self.baselines[self.arms[arm].student]

    @property
    def teachers(self) -> tuple[str, ...]:
        """The networks that teach an arm, the study's teacher first."""
        taught = dict.fromkeys(arm.teacher for arm in self.arms.values())
        return tuple(sorted(taught, key=lambda name: name != self.teacher))

    @property
    def ordered(self) -> tuple[str, ...]:
        """The networks, the teacher first."""
        return tuple(sorted(self.networks, key=lambda name: name != self.teacher))

    @property
    def reference(self) -> str:
        """The network that others are compared with: the teacher, or the first network."""
        return self.ordered[0]

    @property
    def fixed(self) -> tuple[str, ...]:
        """All networks, each followed by its control, without students."""
        return tuple(name for one in self.ordered for name in (one, self.controls.get(one)) if name)

    @property
    def trained(self) -> tuple[str, ...]:
        """All but the controls."""
        return (*self.ordered, *self.variants)


@dataclass(frozen=True)
class Run:
    """Output of one training or loading, under its network (or variant) name and seed in the study.

    `seed`: None for networks. `measured`: whether it has logits and an accuracy. `record`: that of its job.
    """

    network: str
    seed: int | None
    files: From
    measured: bool = True
    folder: str = aside()
    record: str = aside(default="")


@dataclass(frozen=True)
class TablesJob:
    """Concatenate the tables of all networks, joining those of several metrics; `arms`: see Names.

    `columns`: unit and meaning of each metric's columns as its file now says.
    """

    table: str
    tables: tuple[tuple[From, ...], ...]
    arms: dict[str, Arm]
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class SummaryJob:
    """Collect accuracy, agreement with the teacher and cost; `arms`: see Names."""

    runs: tuple[Run, ...]
    teacher: str | None
    arms: dict[str, Arm]
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class Trained:
    """Description of an arm: `student` and `teacher` are timm names, with arguments if any.

    `blocks`: their numbers of blocks. `architecture`: what modifies the student, with its options; empty for
    timm's own.
    """

    student: str
    teacher: str
    blocks: tuple[int, int]
    epochs: int
    terms: tuple[TermSpec, ...]
    architecture: str = ""


@dataclass(frozen=True)
class Setting:
    """Descriptions of a study's arms by name, for comparison with published ones.

    `classes`: of the images (None: no labels). `published`: the published numbers. `families`: planned comparisons of
    arms by family; of two arms, or of four (a difference of two differences).
    """

    arms: dict[str, Trained]
    classes: int | None
    published: From
    families: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)

    @property
    def terms(self) -> dict[str, tuple[TermSpec, ...]]:
        """The terms of each arm."""
        return {name: arm.terms for name, arm in self.arms.items()}


@dataclass(frozen=True)
class StatisticsJob:
    """Compute the tables of the questions in `asked`, in order; tables are given by name.

    `setting`: description of the students, None without. `templates`: sentences in the tables.
    """

    names: Names
    students: tuple[Run, ...]
    scalars: tuple[From, ...]
    tables: dict[str, From]
    setting: Setting | None
    asked: tuple[str, ...]
    templates: From = field(default_factory=lambda: From("", files=()))
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class ReportJob:
    """Answer the study's questions in words, from tables given by name.

    `templates`: the texts; `pictures`: facts on each image set; `study`: the study's description for the header.
    """

    names: Names
    tables: dict[str, From]
    templates: From
    pictures: tuple[From, ...] = ()
    study: str = aside(default="")
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class FiguresJob:
    """Draw one figure from study-level tables as `files`.

    `classes`: names of the classes in order, for figures that show images; may be empty.
    """

    figure: str
    names: Names
    tables: tuple[From, ...]
    options: dict[str, Any]
    classes: tuple[str, ...] = ()
    machine: Machine = aside(default_factory=Machine)
    files: tuple[str, ...] = aside()


@dataclass(frozen=True)
class PageJob:
    """Write the page of a study: tables and figures by name, the report; script, style and templates as `assets`.

    `shows`: what each figure shows; `edges`: (stage read, reading stage). `records`: of all jobs behind the page, by
    stage, for their hours; `study`: the study's description; `classes`: their names, if any.
    """

    names: Names
    tables: dict[str, From]
    figures: dict[str, From]
    shows: dict[str, str]
    report: From
    options: dict[str, Any]
    assets: From
    edges: tuple[tuple[str, str], ...]
    classes: tuple[str, ...] = ()
    study: str = aside(default="")
    records: dict[str, tuple[str, ...]] = aside(default_factory=dict)
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class Drawn:
    """A printed figure: its PDF, and its caption with names in braces."""

    caption: str
    pdf: From


@dataclass(frozen=True)
class PaperJob:
    """Write tables, numbers, figures with captions, methods and sources as LaTeX.

    `sources`: the BibTeX file to select from; `study`: the study's description.
    """

    names: Names
    tables: dict[str, From]
    figures: dict[str, Drawn]
    sources: From
    study: str = aside(default="")
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
