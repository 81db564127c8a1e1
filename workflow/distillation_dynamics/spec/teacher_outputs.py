"""Teacher outputs that students need, and the job that computes and stores them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .base import From, aside, later
from .images import Images, View
from .machine import Machine
from .network import Model, NetworkSize
from .training import Augmentation, TermSpec

# An output of a network for training, of the whole network (block -1) or of a block: (kind, block).
Part = tuple[str, int]
WHOLE, BY_BLOCK = ("logits", "pooled"), ("features", "classes", "registers", "attention", "values")
NO_BLOCK = -1
# Precision of teachers where a study says no other, whatever their students train in.
TEACHER_PRECISION: Final = "float32"
# Largest batch for stored teacher outputs; fewer if the memory requires it (`jobs.memory`).
BATCH = 256
# The student; teachers have numbers from 0.
ITSELF = -1


def taken(term: TermSpec, name: str, pair: int | None) -> tuple[int | None, Part]:
    """Return whose output (None: nobody's), and which part, a parameter of a term takes for the pair of that number."""
    owner, _, kind = name.partition("_")
    who = {"student": ITSELF, "teacher": term.teacher}.get(owner)
    if kind in WHOLE or pair is None:
        return who, (kind, NO_BLOCK)
    return who, (kind, term.pairs[pair][owner == "teacher"])


def taken_of(terms: Iterable[TermSpec], teacher: int) -> list[Part]:
    """Return all outputs of a teacher that terms may take during a training."""
    asked = (
        taken(term, name, pair)
        for term in terms
        for pair in [*range(len(term.pairs))] or [None]
        for name in term.takes
        if term.teacher == teacher
    )
    return ordered({part for who, part in asked if who == teacher})


def ordered(parts: Iterable[Part]) -> list[Part]:
    """Return parts in a fixed order, whole-network parts first."""
    return sorted(parts, key=lambda part: (part[0] not in WHOLE, part))


def file_of(part: Part) -> str:
    """Return the file name of a part of a teacher's outputs."""
    kind, block = part
    if kind in WHOLE:
        return f"{kind}.npy"
    return f"{'block' if kind == 'features' else kind}{block:02d}.npy"


def values_of(part: Part, size: NetworkSize) -> int:
    """Return the number of values of a part per image."""
    kind, number = part
    if kind in WHOLE:
        return {"logits": size.classes, "pooled": size.pooled}[kind]
    block = size.blocks[number]
    places = block.rows * block.columns
    tokens = places + block.classes + block.registers
    if kind in ("attention", "values"):
        return block.heads * tokens**2 if kind == "attention" else block.values * tokens
    return block.channels * {"features": places, "classes": block.classes, "registers": block.registers}[kind]


@dataclass(frozen=True)
class TeacherSource:
    """A teacher of a student with its view; `outputs`: folder of its stored outputs, if views are fixed (`stored`).

    `batch`: batch size with which they were computed. `precision`: that of its answers, stored or not.
    """

    model: Model
    view: View
    size: NetworkSize
    weights: From
    stored: bool
    batch: int = later(default=BATCH)
    precision: str = later(default=TEACHER_PRECISION)
    outputs: str | None = aside(default=None)


@dataclass(frozen=True)
class TeacherOutputsJob:
    """Compute `parts` of a teacher's outputs on the students' training images, in the teacher's own `view`.

    `parts` is not in the key, because two studies may keep different parts of one teacher in one folder. `batch`
    changes the last bits.
    """

    images: Images
    model: Model
    view: View
    weights: From
    train_images: int | None
    augmentation: Augmentation | None
    batch: int = later(default=BATCH)
    precision: str = later(default="float32")
    parts: tuple[Part, ...] = aside()
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
