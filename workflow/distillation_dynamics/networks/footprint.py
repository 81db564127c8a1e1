"""Cost of one image in a network: bytes for a forward pass and for gradients, and operations.

Measured on a pass without values (`build.without_values`) from the operations that torch is asked for, so it holds for
any network. Such a pass has no fused attention kernels; they are counted by their inputs and outputs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..spec.network import Footprint
from .attention import reading
from .blocks import block_names, intermediates


def footprint_of(network: nn.Module, image: Tensor) -> Footprint:
    """Return the cost of an image [1, C, H, W] in a network in evaluation mode; its values do not matter."""
    names = block_names(network)
    blocks = list(range(len(names)))
    grad = {parameter: parameter.requires_grad for parameter in network.parameters()}
    own = {_storage(tensor) for tensor in (*network.parameters(), *network.buffers())}
    network.requires_grad_(False)
    try:
        with torch.no_grad(), _Fused(), _Largest(own) as fused:
            intermediates(network, image, blocks, stop_early=False)
        # Multiplications inside fused kernels are counted here.
        plain, counter, unfused = _Largest(own), FlopCounterMode(display=False), reading(network, names, _leave)
        with torch.no_grad(), plain, counter, unfused:
            intermediates(network, image, blocks, stop_early=False)
        with torch.enable_grad(), _Fused(), _kept(own) as kept:
            intermediates(network, image.detach().clone().requires_grad_(), blocks, stop_early=False)
    finally:
        for parameter, needed in grad.items():
            parameter.requires_grad_(needed)
    return Footprint(fused.bytes, plain.bytes, sum(kept.values()), counter.get_total_flops())


def _leave(name: str, weights: Tensor) -> None:
    """Ignore the maps of a layer."""


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Fused(TorchFunctionMode):
    """Replaces fused attention by an operation of equal size, for which autograd keeps as much."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch; replace attention by an operation that makes no maps."""
        if function is not F.scaled_dot_product_attention:
            return function(*args, **(kwargs or {}))
        given = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
        query, key, value = (given[name] for name in ("query", "key", "value"))
        of_keys = (key.square().sum(dim=-1, keepdim=True) * value).mean(dim=-2, keepdim=True)
        return query.square().sum(dim=-1, keepdim=True) * of_keys


class _Largest(TorchDispatchMode):
    """Finds the operation with the most `bytes` read and written, ignoring storages in `own`."""

    def __init__(self, own: set[int]):
        super().__init__()
        self.own, self.bytes = own, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and measure it."""
        made = function(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, made)) if isinstance(one, Tensor)]
        sizes = {_storage(one): one.untyped_storage().nbytes() for one in tensors}
        self.bytes = max(self.bytes, sum(size for storage, size in sizes.items() if storage not in self.own))
        return made


@contextmanager
def _kept(own: set[int]) -> Iterator[dict[int, int]]:
    """Return, by storage, the bytes that autograd keeps of operations inside, except storages in `own`."""
    found: dict[int, int] = {}
    # Kept alive: freed storages would pass on their numbers.
    alive = []

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in own:
            alive.append(tensor)
            found[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found
