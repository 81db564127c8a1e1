"""A network: its timm name and arguments, its weights, and what is known of it before it has any."""

from dataclasses import dataclass
from typing import Any

# (channels, rows, columns) of the features of each block.
Shapes = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Model:
    """A timm model."""

    name: str
    args: dict[str, Any]
    initialisation: str


@dataclass(frozen=True)
class ModelFacts:
    """What a model is before it has weights: parameters, and [channels, rows, columns] of each block's features."""

    parameters: int
    shapes: Shapes
