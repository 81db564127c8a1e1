"""A network: timm name and arguments, weights, and what is known before it has weights."""

from dataclasses import dataclass, field
from typing import Any

from .base import From, later
from .images import View

# (channels, rows, columns) of the features of each block.
Shapes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Model:
    """A timm model; `classes` is the number of outputs of its head, 0 for none.

    `architecture`: file of networks/architectures/ that modifies it, with its options; empty for timm's own model.
    """

    name: str
    args: dict[str, Any]
    initialisation: str
    classes: int
    architecture: dict[str, dict[str, Any]] = later(default_factory=dict)


@dataclass(frozen=True)
class ModelQuery:
    """A network as configured, before timm fills in the rest.

    `classes` and `view` hold only given values. `released` names released weights (`hf-hub:owner/name@revision`,
    `local-dir:folder` or a .safetensors file), for which timm may know the rest. `default` completes the view.
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
    """Sizes of one block: its features, and its tokens that are not patches.

    `classes`: number of class and distillation tokens. `heads`: number of attention heads, 0 without a single map of
    all tokens (stages of several layers, windows, convolutions). `values`: width of the values of that attention layer,
    0 if they cannot be read.
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
    """Sizes of a network: outputs (0: no head), width of the head's input, blocks."""

    classes: int
    pooled: int
    blocks: tuple[BlockSize, ...]


@dataclass(frozen=True)
class Footprint:
    """Cost of one image in a network, without weights: bytes in float32, and operations (2 per multiply-add).

    `forward`, `attention`: largest input plus output of one operation, with fused attention and with the maps of a
    layer. `graph`: what a pass keeps for gradients with respect to the image. `operations`: of a forward pass.
    """

    forward: int = 0
    attention: int = 0
    graph: int = 0
    operations: int = 0


@dataclass(frozen=True)
class ModelInfo:
    """Facts about a network before it has weights.

    `view` and `size.classes` are configured or, by default, those of timm's weights. `layer_scale`: largest initial
    value of a LayerScale, None without one. `note`: text of an architecture. `resampled`: side of the position grid in
    the released weights and here, None if equal or unknown.
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
        """How the positions of released weights are changed; None if not."""
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

    `seed` is None for networks, an epoch None for weights not trained here. `folders`: folder names for the kept files
    of each checkpoint. `shapes`: those of the blocks' features.
    """

    model: Model
    names: tuple[str, ...]
    seed: int | None
    epochs: tuple[int | None, ...]
    folders: tuple[str, ...]
    shapes: Shapes
    weights: From
