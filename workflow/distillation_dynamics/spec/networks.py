"""The jobs that make a network ready: its weights from elsewhere, and the network itself with its control."""

from dataclasses import dataclass
from typing import Annotated, Literal

from .base import From, aside, later
from .images import Images, View
from .keys import Count, Key
from .machine import Machine
from .network import Model
from .training import Recipe

# Images at a time where a network is evaluated, or as many as fit the memory (`jobs.memory`).
EVALUATION_BATCH = 128
# What a network's control can be: fresh weights, those with LayerScale 1, or its own permuted within each tensor.
Control = Literal["untrained", "unit_layer_scale", "permuted"]


@dataclass(frozen=True)
class WeightsJob:
    """Fetch weights. `content` stands for those of a local folder; those of a hub go by name and revision."""

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

    `images` are those that it is trained on and whose classes its head sorts, in its `view`; None where it is not
    trained and has no head for them: then nothing is said of its accuracy. `measures`: the splits of them that its
    accuracy is measured on. What is expected of it stands aside: it decides whether the study goes on, not what the
    network is. `teaches`: it must beat chance clearly. `head`: that of the model is none of the weights', and trained.
    `batch` images pass at a time where it is evaluated, a number that moves last bits.
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
