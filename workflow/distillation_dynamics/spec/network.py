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
class BlockSize:
    """The sizes of one block: of its features, and how many tokens it holds that are no patches.

    `classes` counts class and distillation tokens; `heads` those of its attention maps, 0 where it has no one map of
    all its tokens (stages of several layers, windows, convolutions), `values` is the width of the values of that
    attention layer, 0 where they cannot be read.
    """

    channels: int
    rows: int
    columns: int
    classes: int = 0
    registers: int = 0
    heads: int = 0
    values: int = 0


@dataclass(frozen=True)
class NetworkSize:
    """The sizes of a network: its outputs (0: no head), the width of what its head reads, its blocks."""

    classes: int
    pooled: int
    blocks: tuple[BlockSize, ...]


@dataclass(frozen=True)
class Footprint:
    """What one image costs in a network, beside its weights: bytes in float32, and operations (2 a multiply-add).

    `forward` and `attention`: the most that one operation reads and makes, with fused attention and with the maps of
    a layer; `graph`: what a pass keeps for gradients by the image; `operations`: of a forward pass.
    """

    forward: int = 0
    attention: int = 0
    graph: int = 0
    operations: int = 0


@dataclass(frozen=True)
class ModelInfo:
    """What a network is before it has weights.

    `view` and `size.classes` are what is configured or, where nothing is, what timm says of the weights. `layer_scale`
    is the largest value that a LayerScale begins with, None without any; `note` what an architecture says of it;
    `resampled` the side of the grid of positions in released weights and here, None where they are equal or not known.
    """

    parameters: int
    size: NetworkSize
    view: View
    layer_scale: float | None = None
    note: str | None = None
    resampled: tuple[int, int] | None = None
    footprint: Footprint = Footprint()

    @property
    def classes(self) -> int:
        """Outputs of the head; 0 without one."""
        return self.size.classes

    @property
    def resampling(self) -> str | None:
        """What is done to the positions of released weights; None where nothing is."""
        if self.resampled is None:
            return None
        before, after = (f"{side} x {side}" for side in self.resampled)
        return f"its grid of positions is resampled from {before} to {after}"

    @property
    def shapes(self) -> Shapes:
        """(channels, rows, columns) of the features of each block."""
        return tuple((block.channels, block.rows, block.columns) for block in self.size.blocks)


@dataclass(frozen=True)
class Checkpoints:
    """Weights files of one architecture, with the name, seed and epoch that each has in the tables.

    `seed` is None of what is no student, an epoch None of weights that were not trained here. `folders` are names for
    what is kept of each; `shapes` those of the blocks' features.
    """

    model: Model
    names: tuple[str, ...]
    seed: int | None
    epochs: tuple[int | None, ...]
    folders: tuple[str, ...]
    shapes: Shapes
    weights: From
