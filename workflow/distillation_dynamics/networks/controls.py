"""Builds the control of a network: the same architecture without the effect of training.

An untrained twin is a control only if its blocks do something: with LayerScale 1e-5 (DINOv2, CaiT) a fresh network
passes on its stem's output. Then the control has fresh weights with LayerScale 1, or the trained weights permuted
within each tensor.
"""

import re

import torch
from torch import Tensor, nn

from ..errors import StudyError
from ..spec.images import View
from ..spec.network import Model
from .blocks import features
from .build import build

# timm's names of LayerScale parameters: `gamma`, `gamma_1`, `gamma1`, and `scale` of a `layer_scale1`.
LAYER_SCALE = re.compile(r"(^|\.)(gamma_?\d*|layer_scale_?\d*(\.(scale|gamma))?)$")
# Blocks that change the stream by less, relative to its size after the first block, count as the identity.
LEAST_CHANGE = 1e-3
IMAGES = 4


def control(network: nn.Module, model: Model, view: View, kind: str, seed: int) -> nn.Module:
    """Return the control of `network` on the CPU: the same architecture, with a head of the same size.

    `untrained`: fresh weights, the initial ones of a training with this seed. `unit_layer_scale`: the same with every
    LayerScale set to 1. `permuted`: the network's own weights and running statistics, permuted within each tensor, so
    that their distribution stays. The global random stream is unchanged. Raises StudyError if there is no LayerScale to
    set.
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
    """Return the largest LayerScale value of a fresh network, None without LayerScale.

    Weights are allocated, which takes a moment, only if there is a LayerScale.
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
    # Integers are counters and indices, not weights.
    return {
        name: value.cpu().flatten()[torch.randperm(value.numel(), generator=generator)].view(value.shape)
        if value.is_floating_point()
        else value
        for name, value in state.items()
    }


@torch.no_grad()
def is_identity(network: nn.Module, view: View, seed: int = 0) -> bool:
    """Return whether a network's blocks hardly change the residual stream, on a few noise images.

    For each block whose features have the first block's shape: |f[l] - f[0]| / |f[0]| (Frobenius norms over all
    images). The blocks are the identity if the largest is below LEAST_CHANGE; a network without two such blocks is not.
    It is left in evaluation mode.
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(IMAGES, view.channels, view.image_size, view.image_size, generator=generator)
    first, *others = features(network.eval(), images.to(next(network.parameters())))
    changes = [
        float((block - first).norm() / first.norm()) for block in others if block.shape == first.shape and first.any()
    ]
    return bool(changes) and max(changes) < LEAST_CHANGE
