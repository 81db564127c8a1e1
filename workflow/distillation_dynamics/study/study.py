"""A whole, valid study as one value. Imports no torch."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from ..spec.configured import Data
from ..spec.images import View
from ..spec.measure import Settings
from ..spec.network import Model, ModelInfo
from ..spec.teacher_outputs import Part, ordered, taken_of
from ..spec.training import TermSpec
from .keys import CompareOptions, MeasureOptions, Network, SaliencyOptions, StatisticsOptions, Student

# Name of an only student without a name.
STUDENT = "student"


class Source(NamedTuple):
    """A teacher of terms: a network, with trained weights or the untrained ones of its control."""

    network: str
    weights: str


@dataclass(frozen=True)
class Variant:
    """An arm of a study: the terms of its loss, and the names of its student and teacher.

    `variant`: name in the configuration; a variant with several students has one arm for each. `sources`: teachers, to
    which terms refer by number.
    """

    terms: tuple[TermSpec, ...]
    sources: tuple[Source, ...]
    student: str
    teacher: str
    variant: str


@dataclass(frozen=True)
class Study:
    """A whole, valid study: its `Configuration` with image sets found and variants expanded.

    `teacher`, `students` and `variants` (by name of the arm) are given together or not at all. `model_info`: facts
    about each network and student by name. `configuration`: the given keys with all defaults.
    """

    name: str
    package_versions: str
    seeds: tuple[int, ...]
    data: Data
    probes: dict[str, Data]
    networks: dict[str, Network]
    teacher: str | None
    students: dict[str, Student]
    variants: dict[str, Variant]
    measure: MeasureOptions
    saliency: SaliencyOptions
    compare: CompareOptions
    statistics: StatisticsOptions
    state_minutes: float
    figures: dict[str, Any]
    compute: dict[str, dict[str, Any]]
    model_info: dict[str, ModelInfo] = field(repr=False)
    configuration: dict[str, Any] = field(repr=False, compare=False)

    @property
    def baselines(self) -> dict[str, str]:
        """Student -> its baseline arm.

        Default: the variant with the fewest terms that trains all students, or else one for each student.
        """
        own: dict[str, dict[str, str]] = {name: {} for name in self.students}
        for arm, one in self.variants.items():
            own[one.student].setdefault(one.variant, arm)
        of_all = (one.variant for one in self.variants.values() if all(one.variant in arms for arms in own.values()))
        baseline = self.statistics.baseline or next(of_all, "")
        return {name: arms.get(baseline, next(iter(arms.values()))) for name, arms in own.items()}

    @property
    def first_seed_only(self) -> set[str]:
        """Metrics and pair metrics computed only for students of the first seed."""
        return {*self.measure.first_seed_only, *self.compare.first_seed_only}

    def settings(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the settings of metrics with these names."""
        chosen = {"tokens": self.compare.tokens, "methods": self.saliency.methods}
        known = vars(Settings()) | vars(self.measure) | chosen
        return {name: known[name] for name in names}

    @property
    def trained(self) -> bool:
        """Whether anything is trained."""
        return bool(self.students) or any(network.recipe for network in self.networks.values())

    @property
    def reference(self) -> str:
        """The network whose activation range all others use: the teacher, or the first one."""
        return self.teacher or next(iter(self.networks))

    @property
    def teachers(self) -> set[str]:
        """The networks that teach a student."""
        sources = (source.network for variant in self.variants.values() for source in variant.sources)
        return {*sources, *(variant.teacher for variant in self.variants.values())}

    @property
    def teacher_precision(self) -> str:
        """The precision in which teachers answer."""
        return self.compute["teacher"]["precision"]

    def model(self, owner: str) -> Model:
        """Return the model of a network or student, with the number of classes of its head."""
        owners: dict[str, Network | Student] = {**self.networks, **self.students}
        named = owners[owner].model
        if owner in self.networks and self.networks[owner].head is not None:
            # It is loaded without a head, as its arguments may say, and has one from then on.
            named = replace(named, args={key: value for key, value in named.args.items() if key != "num_classes"})
        return Model(**vars(named), classes=self.model_info[owner].classes)

    def view(self, owner: str) -> View:
        """Return the view of a network or student."""
        return self.model_info[owner].view

    def sorts(self, owner: str) -> bool:
        """Whether the head of a network fits the classes of the images, so that it has an accuracy."""
        return self.data.classes is not None and self.model_info[owner].classes == self.data.classes

    def needs_teacher(self, arm: str) -> bool:
        """Whether training an arm needs a teacher."""
        return bool(self.variants[arm].sources)

    def asked_of(self, source: Source, arms: Iterable[str]) -> list[Part]:
        """Return all outputs of a teacher that arms may take."""
        variants = [variant for arm in arms if source in (variant := self.variants[arm]).sources]
        return ordered({part for one in variants for part in taken_of(one.terms, one.sources.index(source))})

    def seeds_of_one(self) -> tuple[tuple[str, ...], ...]:
        """Return groups of networks that are trained here and differ only in their seed."""
        alike: dict[str, list[str]] = {}
        for name, network in self.networks.items():
            if network.recipe is not None:
                same = {f.name: getattr(network, f.name) for f in fields(network) if f.name != "seed"}
                alike.setdefault(repr(same | {"expected_top1": None}), []).append(name)
        return tuple(tuple(names) for names in alike.values() if len(names) > 1)
