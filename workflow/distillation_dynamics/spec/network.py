"""A network: its timm name and arguments, its weights, and what is known of it before it has any."""

from dataclasses import dataclass
from typing import Any

from .base import From
from .images import View

# (channels, rows, columns) of the features of each block.
Shapes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Model:
    """A timm model; `classes` is the number of outputs of its head, 0 for none."""

    name: str
    args: dict[str, Any]
    initialisation: str
    classes: int


@dataclass(frozen=True)
class Named:
    """A timm model as a study names it."""

    name: str
    args: dict[str, Any]
    initialisation: str


@dataclass(frozen=True)
class Asked:
    """A network of which facts are asked: `key` names it in sentences.

    `classes` of its head where they are known, keys of its own `view`, the study's view as `default`; `released` are
    weights from elsewhere, which may tell both (None: it is trained here).
    """

    key: str
    model: Named
    classes: int | None
    view: dict[str, Any]
    default: dict[str, Any]
    released: str | None


@dataclass(frozen=True)
class Facts:
    """What a network is before it has weights: `shapes` are those of each block's features.

    `view` and `classes` are what is configured or, where nothing is, what timm says of the weights.
    """

    parameters: int
    shapes: Shapes
    view: View
    classes: int


@dataclass(frozen=True)
class Checkpoints:
    """Weights files of one architecture, with the name, seed and epoch that each has in the tables.

    `folders` are names for what is kept of each; `shapes` those of the blocks' features.
    """

    model: Model
    names: tuple[str, ...]
    seed: int
    epochs: tuple[int, ...]
    folders: tuple[str, ...]
    shapes: Shapes
    weights: From
