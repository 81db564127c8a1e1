"""The jobs that hold networks beside each other: pair metrics, and the map of all."""

from dataclasses import dataclass

from .base import From, aside
from .machine import Machine

# The metric that keeps of a network what comparisons take of it, and its file.
ACTIVATIONS, KEPT = "rows", "rows.safetensors"


@dataclass(frozen=True)
class KeptActivations:
    """What one network says at one checkpoint, kept in a file; name, seed and epoch are those of the tables."""

    network: str
    seed: int | None
    epoch: int | None
    file: From


@dataclass(frozen=True)
class CompareJob:
    """Compare the networks of each pair of `network_pairs` by the pair metric `metric`."""

    metric: str
    network_pairs: tuple[tuple[KeptActivations, KeptActivations], ...]
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()


@dataclass(frozen=True)
class MapJob:
    """Place all blocks of all networks on one map."""

    activations: tuple[KeptActivations, ...]
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
