"""What students ask of a teacher, and the job that computes the answers once."""

from collections.abc import Iterable
from dataclasses import dataclass

from .base import From, aside, later
from .images import Images, View
from .machine import Machine
from .network import Model, NetworkSize
from .training import Augmentation, TermSpec

# What one may ask of a network for training, as a whole (block -1) and of a block: (kind, block).
Part = tuple[str, int]
WHOLE, BY_BLOCK = ("logits", "pooled"), ("features", "classes", "registers", "attention", "values")
NO_BLOCK = -1
# In what a teacher computes its answers, whatever its students train in, so that stored and asked ones are the same.
TEACHER_PRECISION = "float32"
# Images that a teacher whose answers are stored is asked about at a time, or as many as fit the memory (`jobs.memory`).
BATCH = 256
# The student among those who are asked; teachers have their numbers.
ITSELF = -1


def taken(term: TermSpec, name: str, pair: int | None) -> tuple[int | None, Part]:
    """Return who is asked (None: nobody), and for which part, by a parameter of a term for its pair of that number."""
    owner, _, kind = name.partition("_")
    who = {"student": ITSELF, "teacher": term.teacher}.get(owner)
    if kind in WHOLE or pair is None:
        return who, (kind, NO_BLOCK)
    return who, (kind, term.pairs[pair][owner == "teacher"])


def taken_of(terms: Iterable[TermSpec], teacher: int) -> list[Part]:
    """Return all that terms may take of a teacher over a training."""
    asked = (
        taken(term, name, pair)
        for term in terms
        for pair in [*range(len(term.pairs))] or [None]
        for name in term.takes
        if term.teacher == teacher
    )
    return ordered({part for who, part in asked if who == teacher})


def ordered(parts: Iterable[Part]) -> list[Part]:
    """Return parts in one order, those of the whole network first."""
    return sorted(parts, key=lambda part: (part[0] not in WHOLE, part))


def file_of(part: Part) -> str:
    """Return the name of the file that holds a part of a teacher's outputs."""
    kind, block = part
    if kind in WHOLE:
        return f"{kind}.npy"
    return f"{'block' if kind == 'features' else kind}{block:02d}.npy"


def values_of(part: Part, size: NetworkSize) -> int:
    """Return how many values a part has of an image."""
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
    """A teacher of a student and its view; `outputs`: the folder of what it says, where views are fixed (`stored`).

    `batch`: images that it was asked about at a time for that.
    """

    model: Model
    view: View
    size: NetworkSize
    weights: From
    stored: bool
    batch: int = later(default=BATCH)
    outputs: str | None = aside(default=None)


@dataclass(frozen=True)
class TeacherOutputsJob:
    """Compute `parts` of what a teacher says of the students' training images, which it sees in its own `view`.

    The parts stand aside: two studies may keep other parts of one teacher in one folder. `batch` images pass at a time,
    a number that moves last bits.
    """

    images: Images
    model: Model
    view: View
    weights: From
    train_images: int | None
    augmentation: Augmentation | None
    batch: int = later(default=BATCH)
    parts: tuple[Part, ...] = aside()
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
