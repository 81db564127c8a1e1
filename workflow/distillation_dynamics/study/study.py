"""A whole, valid study as one value. Imports no torch."""

from dataclasses import dataclass, field, fields
from typing import Any

from ..spec.configured import Data
from ..spec.images import View
from ..spec.measure import Settings
from ..spec.network import Model, ModelInfo
from ..spec.training import TermSpec
from .keys import CompareOptions, MeasureOptions, Network, SaliencyOptions, StatisticsOptions, Student

STUDENT = "student"


@dataclass(frozen=True)
class Study:
    """A whole, valid study: its `Configuration` with image sets that were found and variants that are written out.

    `teacher`, `student` and `variants` are there together or not at all. `model_info` is that of each network by name,
    and of the student as STUDENT; `configuration` what was given, with all defaults.
    """

    name: str
    package_versions: str
    seeds: tuple[int, ...]
    data: Data
    probes: dict[str, Data]
    networks: dict[str, Network]
    teacher: str | None
    student: Student | None
    variants: dict[str, tuple[TermSpec, ...]]
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
    def baseline(self) -> str | None:
        """The variant that others are held against; None without variants."""
        return self.statistics.baseline or next(iter(self.variants), None)

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
        return self.student is not None or any(network.recipe for network in self.networks.values())

    @property
    def reference(self) -> str:
        """The network whose range of activations is everybody's: the teacher, or the first."""
        return self.teacher or next(iter(self.networks))

    @property
    def distillation(self) -> tuple[Student, str]:
        """The student and the name of its teacher, of a study that has them."""
        assert self.student is not None and self.teacher is not None
        return self.student, self.teacher

    @property
    def caches_teacher(self) -> bool:
        """Whether the teacher's outputs on the training images are computed once and shared by all students."""
        return self.student is not None and self.student.recipe.views is not None

    def model(self, owner: str) -> Model:
        """Return the model of a network, or of the student as STUDENT, with what its head has of classes."""
        student = self.student if owner == STUDENT else None
        return Model(**vars((student or self.networks[owner]).model), classes=self.model_info[owner].classes)

    def view(self, owner: str) -> View:
        """Return how a network sees images."""
        return self.model_info[owner].view

    def sorts(self, owner: str) -> bool:
        """Whether the head of a network has an output for each class of the images, so that it has an accuracy."""
        return self.data.classes is not None and self.model_info[owner].classes == self.data.classes

    def needs_teacher(self, variant: str) -> bool:
        """Whether training `variant` asks the teacher anything."""
        return any(term.requires != "labels" for term in self.variants[variant])

    def teacher_blocks(self, *variants: str) -> list[int]:
        """Return the teacher's blocks that these variants align with, ascending."""
        return sorted({t for v in variants for term in self.variants[v] for _, t in term.pairs})

    def seeds_of_one(self) -> tuple[tuple[str, ...], ...]:
        """Return the networks that differ in their seed alone, together: they are trained here alike."""
        alike: dict[str, list[str]] = {}
        for name, network in self.networks.items():
            if network.recipe is not None:
                same = {f.name: getattr(network, f.name) for f in fields(network) if f.name != "seed"}
                alike.setdefault(repr(same | {"expected_top1": None}), []).append(name)
        return tuple(tuple(names) for names in alike.values() if len(names) > 1)
