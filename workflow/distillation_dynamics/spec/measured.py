"""A network that is measured at some of its checkpoints."""

from dataclasses import dataclass

from .base import From
from .network import Model


@dataclass(frozen=True)
class Checkpoints:
    """Weights files of one architecture, with the name, seed and epoch that each has in the tables."""

    model: Model
    names: tuple[str, ...]
    seed: int
    epochs: tuple[int, ...]
    weights: From
