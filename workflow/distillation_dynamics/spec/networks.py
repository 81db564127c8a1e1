"""The jobs that prepare a network: downloading weights, and the network itself with its control."""

from dataclasses import dataclass
from typing import Annotated, Literal

from .base import From, aside, later
from .images import Images, View
from .keys import Count, Key
from .machine import Machine
from .network import Model
from .training import Recipe

# Largest batch of an evaluation; fewer if the memory requires it (`jobs.memory`).
EVALUATION_BATCH = 128
# Kinds of controls: fresh weights, fresh weights with LayerScale 1, or own weights permuted within each tensor.
Control = Literal["untrained", "unit_layer_scale", "permuted"]


@dataclass(frozen=True)
class WeightsJob:
    """Fetch weights. `content` identifies a local folder; weights of a hub are identified by name and revision."""

    source: str
    content: str | None
    sha256: str | None
    name: str = aside(default="")
    out: str = aside()


@dataclass(frozen=True)
class Head:
    """A head for a network that has none."""

    probe: Annotated[
        Literal["linear"],
        Key("Trains a linear classifier on the network's pooled features of data.train, to give it logits."),
    ]
    images: Annotated[
        Count | None,
        Key("Number of images of data.train that the classifier learns from, balanced over classes; default: 50,000."),
    ] = None


@dataclass(frozen=True)
class NetworkJob:
    """Train (`recipe` given) or load (`weights` given) a network, make its control, and measure its accuracy.

    `images`: its training images and classes, in its `view`; None if it is not trained and has no head for them, and
    then it has no accuracy. `measures`: splits on which accuracy is measured. The expected accuracy is not part of the
    key: it decides whether the study continues, not what the network is. `teaches`: it must clearly beat chance.
    `head`: a new, trained head. `batch`: batch size of evaluations, which changes the last bits.
    """

    images: Images | None
    measures: tuple[str, ...]
    view: View
    model: Model
    seed: int
    control: Control
    recipe: Recipe | None
    label_smoothing: float | None
    weights: From | None
    head: Head | None = later(default=None)
    batch: int = later(default=EVALUATION_BATCH)
    name: str = aside(default="")
    sha256: str | None = aside(default=None)
    expected_top1: float | None = aside(default=None)
    tolerance: float = aside(default=0.0)
    teaches: bool = aside(default=False)
    machine: Machine = aside(default_factory=Machine)
    out: str = aside()
