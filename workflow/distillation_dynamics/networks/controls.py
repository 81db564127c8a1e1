"""The control of a network: the same architecture without what training put into it.

An untrained twin is one only if its blocks do something: with LayerScale 1e-5 (DINOv2, CaiT) a fresh network hands on
what its stem gives. Then fresh weights with LayerScale 1, or the trained ones permuted within each tensor, are.
"""

import re

import torch
from torch import Tensor, nn

from ..errors import StudyError
from ..spec.images import View
from ..spec.network import Model
from .blocks import features
from .build import build

# What timm calls the parameter of LayerScale: `gamma`, `gamma_1`, `gamma1`, and `scale` of a `layer_scale1`.
LAYER_SCALE = re.compile(r"(^|\.)(gamma_?\d*|layer_scale_?\d*(\.(scale|gamma))?)$")
# Blocks that change the stream by less, relative to what it is after the first, are the identity.
LEAST_CHANGE = 1e-3
IMAGES = 4


def control(network: nn.Module, model: Model, view: View, kind: str, seed: int) -> nn.Module:
    """Return the control of `network`, of the same architecture and with a head alike, on the CPU.

    `untrained`: fresh weights, those that training with this seed begins with. `unit_layer_scale`: the same with every
    LayerScale set to 1. `permuted`: the network's own weights (and running statistics), the values of each tensor in
    another order, so that their distribution stays. The global random stream is left as it was. Raises StudyError where
    there is no LayerScale to set.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = build(model, view)
    if kind == "permuted":
        twin.load_state_dict(_permuted(network.state_dict(), seed))
    elif kind == "unit_layer_scale":
        scales = [value for name, value in twin.named_parameters() if LAYER_SCALE.search(name)]
        if not scales:
            raise StudyError(f"control: {model.name} has no LayerScale to set to 1; choose untrained or permuted")
        with torch.no_grad():
            for scale in scales:
                scale.fill_(1)
    return twin


def first_layer_scale(model: Model, view: View) -> float | None:
    """Return the largest value of any LayerScale in a fresh network, None where it has none.

    Weights are allocated, and so it takes a moment, only where there is a LayerScale.
    """
    with torch.device("meta"):
        if not any(LAYER_SCALE.search(name) for name, _ in build(model, view).named_parameters()):
            return None
    with torch.random.fork_rng(devices=[]):
        fresh = build(model, view)
    return max(
        float(value.detach().abs().max()) for name, value in fresh.named_parameters() if LAYER_SCALE.search(name)
    )


def _permuted(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Whole numbers are counters and indices, no weights.
    return {
        name: value.cpu().flatten()[torch.randperm(value.numel(), generator=generator)].view(value.shape)
        if value.is_floating_point()
        else value
        for name, value in state.items()
    }


@torch.no_grad()
def is_identity(network: nn.Module, view: View, seed: int = 0) -> bool:
    """Whether the blocks of a network hardly change the residual stream, on a few images of noise.

    Of each block whose features have the shape of the first block's: |f[l] - f[0]| / |f[0]| (Frobenius norms, over all
    images); the network's blocks are the identity if the largest is below LEAST_CHANGE. A network without two such
    blocks is none. It is left in evaluation mode.
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(IMAGES, view.channels, view.image_size, view.image_size, generator=generator)
    first, *others = features(network.eval(), images.to(next(network.parameters())))
    changes = [
        float((block - first).norm() / first.norm()) for block in others if block.shape == first.shape and first.any()
    ]
    return bool(changes) and max(changes) < LEAST_CHANGE
