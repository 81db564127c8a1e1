"""The job of the saliency stage."""

from dataclasses import dataclass

from .base import aside
from .images import Images
from .machine import Machine
from .measured import Checkpoints


@dataclass(frozen=True)
class Saliency:
    """How many images get saliency maps, by which methods."""

    images: int
    methods: tuple[str, ...]


@dataclass(frozen=True)
class SaliencyJob:
    """Explain a network at its checkpoints."""

    images: Images
    network: Checkpoints
    settings: Saliency
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
