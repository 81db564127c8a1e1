"""Outputs of a network, and requests for them: shared by networks, objectives and metrics.

A `Request` names outputs and blocks; `networks.answers.run` returns `Outputs`. Blocks are numbered from 0, and all
tensors are on the network's device.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from .errors import StudyError

# Blocks of a request: ascending numbers, or all.
ALL = "all"
Blocks = tuple[int, ...] | str
Part = TypeVar("Part")


@dataclass(frozen=True)
class Request:
    """Outputs to compute for a batch of images.

    `logits` [B, K]. By block: `features`, patch tokens as [B, C, H, W]; `prefix`, class, distillation and register
    tokens; `attention`, attention maps, passed on layer by layer and not part of `Outputs`; `gradients` of the label's
    logit by the block's output; `lens`, the head's logits of the block. `pooled`: the head's input, [B, D]. `network`:
    the network itself with the images as it sees them.
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
        """Return the request for all fields in `names`, for all blocks."""
        asked: dict[str, Any] = {f.name: ALL if f.default == () else True for f in fields(cls) if f.name in names}
        return cls(**asked)

    @classmethod
    def joined(cls, requests: Iterable["Request"]) -> "Request":
        """Return the union of several requests."""
        return reduce(or_, requests, cls())

    def __or__(self, other: "Request") -> "Request":
        """Return the union of both requests."""
        return Request(**{f.name: _either(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


def _either(a: Any, b: Any) -> Any:
    if isinstance(a, bool):
        return a or b
    return ALL if ALL in (a, b) else tuple(sorted({*a, *b}))


def asked_for(part: Part | None) -> Part:
    """Return a part of the outputs that was requested, so it exists."""
    assert part is not None, "this part of a network's outputs was not asked for"
    return part


class NotFinite(ValueError):
    """NaN or infinity in the outputs of a network; the message names block and image."""


def check_values(values: Tensor, where: str, first: int = 0) -> None:
    """Raise NotFinite, naming `where`, if values [b, ...] hold NaN or infinity; `first` images came before them."""
    # NaN and infinity survive in the sum, so one test is enough; finite values rarely overflow.
    if not values.sum().isfinite() and not (finite := values.isfinite()).all():
        image = first + int((~finite.flatten(1).all(dim=1)).nonzero()[0])
        raise NotFinite(f"{where} image {image} holds NaN or infinity")


@contextmanager
def computed_with(weights: str) -> Iterator[None]:
    """Raise StudyError naming the file `weights` if computing with them gives values that are not finite."""
    try:
        yield
    except NotFinite as error:
        said = str(error).removeprefix("features: ")
        raise StudyError(f"{weights}: {said}; train this network again, it diverged") from error


class Shape(NamedTuple):
    """Shape of a block's features."""

    channels: int
    rows: int
    columns: int


class Prefix(NamedTuple):
    """Non-patch tokens of a block: `classes` [B, P, C] (class, distillation), `registers` [B, R, C].

    Either may be empty (P or R is 0).
    """

    classes: Tensor
    registers: Tensor


class AttentionMap(NamedTuple):
    """Attention weights of one self-attention layer, [b, windows, heads, N, N]; query before key, each row sums to 1.

    The tokens are first `prefix` class, distillation or register tokens, then `rows` x `columns` patches, row-major.
    `stride` is the distance between neighbouring patch centres in pixels. Global attention is one window.
    """

    weights: Tensor
    rows: int
    columns: int
    prefix: int
    stride: float


class GradientOf(NamedTuple):
    """Gradients by a block's output: `patches` [b, rows x columns, C], row-major, and `prefix` or None.

    `prefix` is None for blocks without other tokens (CaiT, Swin, a convolutional stage). Images whose label has no
    logit are NaN.
    """

    patches: Tensor
    prefix: Prefix | None
    rows: int
    columns: int


@dataclass
class Outputs:
    """Outputs of a network on a batch; parts that were not requested are None. See `Request`.

    Every measured batch has `labels` [B] (-1: none), `targets` [B], the labels as numbers of the head's logits (-1:
    none, or a head of other classes), and `positions` [B] in the split.
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
