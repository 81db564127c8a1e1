"""The jobs that compare networks: pair metrics, and the map of all networks."""

from dataclasses import dataclass

from .base import From, aside
from .machine import Machine

# The metric that keeps the inputs of comparisons, and its file.
ACTIVATIONS, KEPT = "rows", "rows.safetensors"


@dataclass(frozen=True)
class KeptActivations:
    """Kept outputs of one network at one checkpoint; name, seed and epoch as in the tables."""

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
