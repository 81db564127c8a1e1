"""What one may ask of a network, and what it says: the words that networks, objectives and metrics share.

A `Request` names what is wanted of which blocks; `networks.answers.run` answers it with `Outputs`. Blocks are counted
from 0, and everything is on the device where the network is.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from .errors import StudyError

# Blocks of a request: their numbers, ascending, or all.
ALL = "all"
Blocks = tuple[int, ...] | str
Part = TypeVar("Part")


@dataclass(frozen=True)
class Request:
    """What is asked of a network for a batch of images.

    `logits` [B, K]. By block: `features`, its patch tokens as [B, C, H, W]; `prefix`, its class, distillation and
    register tokens; `attention`, its attention maps, given away layer by layer and in no `Outputs`; `gradients`, those
    of the label's logit by its output; `lens`, the logits that the head gives of it. `pooled`: what the head reads,
    [B, D]. `network`: the network itself, and the images as it sees them.
    """

    logits: bool = False
    features: Blocks = ()
    prefix: Blocks = ()
    attention: Blocks = ()
    gradients: Blocks = ()
    lens: Blocks = ()
    pooled: bool = False
    network: bool = False

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "Request":
        """Return the request for everything that `names` (fields of it) name, of all blocks."""
        asked: dict[str, Any] = {f.name: ALL if f.default == () else True for f in fields(cls) if f.name in names}
        return cls(**asked)

    @classmethod
    def joined(cls, requests: Iterable["Request"]) -> "Request":
        """Return the request for all that some ask for."""
        return reduce(or_, requests, cls())

    def __or__(self, other: "Request") -> "Request":
        """Return the request for what either asks for."""
        return Request(**{f.name: _either(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def _either(a: Any, b: Any) -> Any:
    if isinstance(a, bool):
        return a or b
    return ALL if ALL in (a, b) else tuple(sorted({*a, *b}))


def asked_for(part: Part | None) -> Part:
    """Return a part of outputs that was asked for, and so is there."""
    assert part is not None, "this part of a network's outputs was not asked for"
    return part


class NotFinite(ValueError):
    """NaN or infinity in what a network computes; the message names block and image."""


def check_values(values: Tensor, where: str, first: int = 0) -> None:
    """Raise NotFinite where values [b, ...] of images, before which `first` came, hold NaN or infinity; `where`."""
    # NaN and infinity survive in the sum, which takes one look; what is finite only rarely is infinite in it.
    if not values.sum().isfinite() and not (finite := values.isfinite()).all():
        image = first + int((~finite.flatten(1).all(dim=1)).nonzero()[0])
        raise NotFinite(f"{where} image {image} holds NaN or infinity")


@contextmanager
def computed_with(weights: str) -> Iterator[None]:
    """Raise StudyError naming the file `weights` where what a network computes with them is not finite."""
    try:
        yield
    except NotFinite as error:
        said = str(error).removeprefix("features: ")
        raise StudyError(f"{weights}: {said}; train this network again, it diverged") from error


class Shape(NamedTuple):
    """Shape of one block's features."""

    channels: int
    rows: int
    columns: int


class Prefix(NamedTuple):
    """Tokens of one block that are no patches: `classes` [B, P, C] (class, distillation), `registers` [B, R, C].

    Either may be empty (P or R is 0).
    """

    classes: Tensor
    registers: Tensor


class AttentionMap(NamedTuple):
    """Attention weights of one self-attention layer, [b, windows, heads, N, N]; query before key, each row sums to 1.

    Tokens are `prefix` class, distillation or register tokens, then `rows` x `columns` patches, row-major. `stride` is
    the distance between neighbouring patch centres in pixels. Global attention is one window.
    """

    weights: Tensor
    rows: int
    columns: int
    prefix: int
    stride: float


class GradientOf(NamedTuple):
    """Gradients by one block's output: `patches` [b, rows x columns, C], row-major, and `prefix` or None.

    A block without other tokens (CaiT, Swin, a convolutional stage) has None. Images without a label that the head has
    a logit for are NaN.
    """

    patches: Tensor
    prefix: Prefix | None
    rows: int
    columns: int


@dataclass
class Outputs:
    """What a network says of a batch, each part only if it was asked for; see `Request`.

    With every batch that is measured come `labels` [B] (-1: none), `targets` [B], the numbers of the head's logits that
    they are (-1: none, or a head of other classes), and `positions` [B], places in the split.
    """

    logits: Tensor | None = None
    features: dict[int, Tensor] = field(default_factory=dict)
    prefix: dict[int, Prefix] = field(default_factory=dict)
    gradients: dict[int, GradientOf] = field(default_factory=dict)
    lens: dict[int, Tensor] = field(default_factory=dict)
    pooled: Tensor | None = None
    network: nn.Module | None = None
    images: Tensor | None = None
    labels: Tensor | None = None
    targets: Tensor | None = None
    positions: Tensor | None = None
