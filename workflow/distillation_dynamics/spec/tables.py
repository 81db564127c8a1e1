"""The jobs that gather: tables, summary, statistics, report, figures, page and paper of a study."""

from dataclasses import dataclass, field
from typing import Any

from .base import From, aside
from .machine import Machine
from .training import TermSpec

# Image sets in the column `probe`: the one that figures and tests rest on, the published choice; others a study names.
MAIN_IMAGE_SET, PUBLISHED_IMAGE_SET = "balanced", "published"
# What a variant says beside its terms: which student it trains, and by whom that is taught.
WHO = ("student", "teacher")
# The page, in the folder of its study.
INDEX = "index.html"
# The files of the report in the order of reading, each as a link calls it.
REPORT_FILES = {"summary.md": "Summary", "report.md": "Report", "methods.md": "Methods"}


@dataclass(frozen=True)
class Arm:
    """What is trained of a study: a variant of one of its students, taught by one of its networks.

    `terms`: (name, objective) of each term of its loss; empty before a configuration is read as a whole.
    """

    variant: str
    student: str
    teacher: str
    terms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Names:
    """Who is in the tables: networks in order, the teacher among them, their controls, and arms.

    `controls`: network -> name of its control in the tables, for those that have one. `arms`: each by the name that it
    has in the tables. `seeds` lists networks that differ in their seed alone: one of them tells how far another run of
    the same goes. `baselines`: student -> the arm that its others are held against.
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
        """Arm -> the baseline that it is held against, of all arms that are none."""
        return {name: self.baseline_of(name) for name in self.arms if name != self.baseline_of(name)}

    def baseline_of(self, arm: str) -> str:
        """Return the arm that one is held against: the baseline of its student."""
        return self.baselines[self.arms[arm].student]

    @property
    def teachers(self) -> tuple[str, ...]:
        """The networks that teach an arm, the study's teacher before others."""
        taught = dict.fromkeys(arm.teacher for arm in self.arms.values())
        return tuple(sorted(taught, key=lambda name: name != self.teacher))

    @property
    def ordered(self) -> tuple[str, ...]:
        """The networks, the teacher before the others."""
        return tuple(sorted(self.networks, key=lambda name: name != self.teacher))

    @property
    def reference(self) -> str:
        """The network that others are read against: the teacher, or the first one."""
        return self.ordered[0]

    @property
    def fixed(self) -> tuple[str, ...]:
        """All that are no students: networks, each followed by its control."""
        return tuple(name for one in self.ordered for name in (one, self.controls.get(one)) if name)

    @property
    def trained(self) -> tuple[str, ...]:
        """All but the controls."""
        return (*self.ordered, *self.variants)


@dataclass(frozen=True)
class Run:
    """What one training or loading left, with the network (or variant) and seed that it has in the study.

    `seed` is None of networks. `measured`: whether it has logits and an accuracy. `record`: what is known of its job.
    """

    network: str
    seed: int | None
    files: From
    measured: bool = True
    folder: str = aside()
    record: str = aside(default="")


@dataclass(frozen=True)
class TablesJob:
    """Lay the tables of all networks end to end, those of several metrics side by side; `arms`: see Names.

    `columns`: unit and meaning of each column of a metric, as its file says them now.
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
    """What an arm is: `student` and `teacher` are timm's names, with arguments where there are any.

    `blocks` are the numbers of their blocks.
    """

    student: str
    teacher: str
    blocks: tuple[int, int]
    epochs: int
    terms: tuple[TermSpec, ...]


@dataclass(frozen=True)
class Setting:
    """What the arms of a study are, by name, to be held beside published ones.

    `classes` are those of the images (None: no labels). `published`: the published numbers. `families`: comparisons of
    arms that were planned, by the name of their family; of two arms, or of four (a difference of two differences).
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
    """Compute the tables of the questions that can be `asked`, in their order; tables that they read by name.

    `setting`: what the students are, None without.
    """

    names: Names
    students: tuple[Run, ...]
    scalars: tuple[From, ...]
    tables: dict[str, From]
    setting: Setting | None
    asked: tuple[str, ...]
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class ReportJob:
    """Answer the study's questions in words, from their tables and those of other stages, by name.

    `templates`: the words; `pictures`: what was seen of each image set; `study`: the file that says what the study is
    and who made it: both for the head.
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
    """Draw one figure or animation from study-level tables as `files`.

    `classes` are the names of the classes in order, for figures that show images; empty where they have none.
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
    """Write one page of a whole study: tables and figures by name, the report; script, style, templates as `assets`.

    `shows`: what each figure does, in words; `edges`: (stage that is read, stage that reads). `records`: of all jobs
    that the page rests on, by stage, for their hours; `study`: the file that says what the study is and who made it;
    `classes`: their names, if they have any.
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
    """A figure of print: its PDF, and its caption with names in braces."""

    caption: str
    pdf: From


@dataclass(frozen=True)
class PaperJob:
    """Write tables, numbers, figures with captions, methods and sources as LaTeX.

    `sources`: the BibTeX that they are picked from; `study`: the file that says what the study is and who made it.
    """

    names: Names
    tables: dict[str, From]
    figures: dict[str, Drawn]
    sources: From
    study: str = aside(default="")
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
