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

# The name of the student of a study that has one, and does not name it.
STUDENT = "student"


class Source(NamedTuple):
    """A teacher that terms take from: a network, and which of its weights: trained, or untrained, its control's."""

    network: str
    weights: str


@dataclass(frozen=True)
class Variant:
    """An arm of a study: the terms of its loss, and by name the student that it trains and the teacher of that.

    `variant` is what the configuration calls it; variants of several students are an arm each. `sources` are the
    teachers that terms name by number.
    """

    terms: tuple[TermSpec, ...]
    sources: tuple[Source, ...]
    student: str
    teacher: str
    variant: str


@dataclass(frozen=True)
class Study:
    """A whole, valid study: its `Configuration` with image sets that were found and variants that are written out.

    `teacher`, `students` and `variants` (by the name of their arm) are there together or not at all. `model_info` is
    that of each network and student by name; `configuration` what was given, with all defaults.
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
    compute: dict[str, dict[str, int]]
    model_info: dict[str, ModelInfo] = field(repr=False)
    configuration: dict[str, Any] = field(repr=False, compare=False)

    @property
    def baselines(self) -> dict[str, str]:
        """Student -> the arm that its others are held against: that of the baseline.

        Left out, it is the variant of fewest terms that trains all students; without any, each has its own.
        """
        own: dict[str, dict[str, str]] = {name: {} for name in self.students}
        for arm, one in self.variants.items():
            own[one.student].setdefault(one.variant, arm)
        of_all = (one.variant for one in self.variants.values() if all(one.variant in arms for arms in own.values()))
        baseline = self.statistics.baseline or next(of_all, "")
        return {name: arms.get(baseline, next(iter(arms.values()))) for name, arms in own.items()}

    @property
    def first_seed_only(self) -> set[str]:
        """Metrics of networks and of pairs that only students of the first seed are measured by."""
        return {*self.measure.first_seed_only, *self.compare.first_seed_only}

    def settings(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the settings of these names that metrics are given."""
        chosen = {"tokens": self.compare.tokens, "methods": self.saliency.methods}
        known = vars(Settings()) | vars(self.measure) | chosen
        return {name: known[name] for name in names}

    @property
    def trained(self) -> bool:
        """Whether anything is trained."""
        return bool(self.students) or any(network.recipe for network in self.networks.values())

    @property
    def reference(self) -> str:
        """The network whose range of activations is everybody's: the teacher, or the first."""
        return self.teacher or next(iter(self.networks))

    @property
    def teachers(self) -> set[str]:
        """The networks that teach a student."""
        sources = (source.network for variant in self.variants.values() for source in variant.sources)
        return {*sources, *(variant.teacher for variant in self.variants.values())}

    def model(self, owner: str) -> Model:
        """Return the model of a network or student, with what its head has of classes."""
        owners: dict[str, Network | Student] = {**self.networks, **self.students}
        named = owners[owner].model
        if owner in self.networks and self.networks[owner].head is not None:
            # It is loaded without a head, as its arguments may say, and has one from then on.
            named = replace(named, args={key: value for key, value in named.args.items() if key != "num_classes"})
        return Model(**vars(named), classes=self.model_info[owner].classes)

    def view(self, owner: str) -> View:
        """Return how a network or student sees images."""
        return self.model_info[owner].view

    def sorts(self, owner: str) -> bool:
        """Whether the head of a network has an output for each class of the images, so that it has an accuracy."""
        return self.data.classes is not None and self.model_info[owner].classes == self.data.classes

    def needs_teacher(self, arm: str) -> bool:
        """Whether training an arm asks a teacher anything."""
        return bool(self.variants[arm].sources)

    def asked_of(self, source: Source, arms: Iterable[str]) -> list[Part]:
        """Return all that arms may take of a teacher."""
        variants = [variant for arm in arms if source in (variant := self.variants[arm]).sources]
        return ordered({part for one in variants for part in taken_of(one.terms, one.sources.index(source))})

    def seeds_of_one(self) -> tuple[tuple[str, ...], ...]:
        """Return the networks that differ in their seed alone, together: they are trained here alike."""
        alike: dict[str, list[str]] = {}
        for name, network in self.networks.items():
            if network.recipe is not None:
                same = {f.name: getattr(network, f.name) for f in fields(network) if f.name != "seed"}
                alike.setdefault(repr(same | {"expected_top1": None}), []).append(name)
        return tuple(tuple(names) for names in alike.values() if len(names) > 1)
