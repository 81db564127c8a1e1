"""A network: its timm name and arguments, its weights, and what is known of it before it has any."""

from dataclasses import dataclass, field
from typing import Any

from .base import From, later
from .images import View

# (channels, rows, columns) of the features of each block.
Shapes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Model:
    """A timm model; `classes` is the number of outputs of its head, 0 for none.

    `architecture`: a file of networks/architectures/ that changes it, with its options; empty: as timm makes it.
    """

    name: str
    args: dict[str, Any]
    initialisation: str
    classes: int
    architecture: dict[str, dict[str, Any]] = later(default_factory=dict)


@dataclass(frozen=True)
class ModelQuery:
    """What a study says of a network, before it is known what timm says of it.

    `classes` and the keys of `view` are only what is given; `released` names weights from elsewhere
    (`hf-hub:owner/name@revision`, `local-dir:folder` or a .safetensors file), of which timm may know the rest; what
    nobody says of a view is taken from `default`.
    """

    name: str
    args: dict[str, Any]
    initialisation: str = "timm"
    classes: int | None = None
    view: dict[str, Any] = field(default_factory=dict)
    default: View | None = None
    released: str | None = None
    architecture: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelInfo:
    """What a network is before it has weights: `shapes` are those of each block's features.

    `view` and `classes` are what is configured or, where nothing is, what timm says of the weights. `layer_scale` is
    the largest value that a LayerScale begins with, None without any; `note` what an architecture says of the network.
    """

    parameters: int
    shapes: Shapes
    view: View
    classes: int
    layer_scale: float | None = None
    note: str | None = None


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
