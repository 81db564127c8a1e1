"""Gradient magnitude: how strongly the logit of an image's own class depends on each block's output.

In: a network, images [B, C, H, W] and labels [B]; for `Metric`, what `block_gradients` returns. Out: float64, in
1 / activation unit. Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026 (G[l] = mean abs(d score_y / d block
output), over the whole output, class token included where it is in the stream). Where the logit is read from a class
token alone, the patch tokens of the last block have gradient exactly zero.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .. import models
from ..files import Column
from .accumulator import Accumulator

NEEDS = "gradients"
IMAGE_COLUMNS = {
    "gradient_magnitude": Column(
        "1 / activation unit", "mean absolute gradient of the label's logit by the block's output, all of its tokens"
    ),
    "gradient_magnitude_patches": Column("1 / activation unit", "the same over patch tokens alone"),
    "gradient_magnitude_class": Column(
        "1 / activation unit", "the same over class and distillation tokens alone; NaN where the block holds none"
    ),
}


class GradientOf(NamedTuple):
    """Gradients by one block's output: `patches` [b, rows x columns, C], row-major, and `prefix` [b, P, C] or None.

    The prefix are class and distillation tokens; a block without them (CaiT, Swin, a convolutional stage) has None.
    """

    patches: Tensor
    prefix: Tensor | None
    rows: int
    columns: int


@contextmanager
def gradients_on(network: nn.Module, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield copies of `images` [B, C, H, W] and `labels` [B] that autograd takes, with gradients on in the block.

    Works under `no_grad` and `inference_mode` too, if the network itself was made, loaded and moved outside
    `inference_mode`; parameters need no gradient. Raises ValueError for a network in training mode, where an image's
    gradient would depend on its batch, and for NaN or infinity in an image.
    """
    if any(module.training for module in network.modules()):
        raise ValueError("network: it is in training mode; call network.eval() first")
    _check_finite(images, "images:")
    with torch.inference_mode(False), torch.enable_grad():
        # Autograd keeps no tensor that was made under inference_mode; a copy is an ordinary one.
        yield images.detach().clone(), labels.clone()


def block_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[GradientOf]:
    """Gradients of each image's logit of its label by the whole output of every block, one entry a block.

    `images` [B, C, H, W] and `labels` [B] lie on the network's device. One forward and one backward pass; hooks are
    removed whatever happens. Raises ValueError for a network in training mode, for NaN or infinity in an image or in
    its gradient (naming block and image).
    """
    names = models.block_names(network)
    outputs: dict[str, Tensor] = {}
    with gradients_on(network, images, labels) as (leaf, target), ExitStack() as stack:
        for name in names:
            hook = network.get_submodule(name).register_forward_hook(
                lambda module, inputs, output, name=name: outputs.__setitem__(name, output)
            )
            stack.callback(hook.remove)
        run = models.run(network, leaf.requires_grad_(), list(range(len(names))))
        score = run.logits[torch.arange(len(leaf), device=leaf.device), target].sum()
        # Materialised: an output that the logit does not use has gradient zero.
        gradients = torch.autograd.grad(
            score, [outputs[name] for name in names], allow_unused=True, materialize_grads=True
        )
    for block, gradient in enumerate(gradients):
        _check_finite(gradient, f"gradients: block {block},")
    return [
        _split(gradient, outputs[name].detach(), run.features[block].detach())
        for block, (name, gradient) in enumerate(zip(names, gradients, strict=True))
    ]


def _check_finite(values: Tensor, where: str) -> None:
    broken = ~values.isfinite().flatten(1).all(dim=1)
    if broken.any():
        raise ValueError(f"{where} image {int(broken.nonzero()[0])} holds NaN or infinity")


def _split(gradient: Tensor, output: Tensor, feature_bchw: Tensor) -> GradientOf:
    """Lay the gradient by a block's output out as tokens; `feature_bchw` is the same output as timm's feature map."""
    rows, columns = feature_bchw.shape[2:]
    if gradient.ndim == 3:
        prefix = gradient.shape[1] - rows * columns
        return GradientOf(gradient[:, prefix:], gradient[:, :prefix] if prefix else None, rows, columns)
    # By value: of a block with as many channels as rows and columns, shapes do not tell which axis is which.
    channels_first = torch.equal(output, feature_bchw)
    patches = gradient.flatten(2).transpose(1, 2) if channels_first else gradient.flatten(1, 2)
    return GradientOf(patches, None, rows, columns)


def gradient_magnitude(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
    """Gradient magnitude of every image by every block: column name -> [L, B], in 1 / activation unit.

    The columns are those of IMAGE_COLUMNS. Raises ValueError as block_gradients does.
    """
    blocks = [_magnitudes(gradient) for gradient in block_gradients(network, images, labels)]
    return {name: torch.stack([block[name] for block in blocks]).cpu().numpy() for name in IMAGE_COLUMNS}


def gradient_maps(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Where each block's gradient lies: for every block, mean over channels of abs of the patch gradient, [b, H, W].

    In 1 / activation unit, in the network's type. Raises ValueError as block_gradients does.
    """
    return [
        gradient.patches.abs().mean(dim=2).unflatten(1, (gradient.rows, gradient.columns))
        for gradient in block_gradients(network, images, labels)
    ]


def _magnitudes(gradient: GradientOf) -> dict[str, Tensor]:
    """Column name -> [b], accumulated in float64."""
    patches, prefix = gradient.patches, gradient.prefix
    whole = patches if prefix is None else torch.cat([prefix, patches], dim=1)
    over_patches = patches.double().abs().mean(dim=(1, 2))
    return {
        "gradient_magnitude": whole.double().abs().mean(dim=(1, 2)),
        "gradient_magnitude_patches": over_patches,
        "gradient_magnitude_class": torch.full_like(over_patches, torch.nan)
        if prefix is None
        else prefix.double().abs().mean(dim=(1, 2)),
    }


class Metric(Accumulator):
    """Gradient magnitudes, streamed: a batch is the list of `block_gradients`."""

    def update(self, batch: Sequence[GradientOf]) -> None:
        """Take the gradients by every block for one batch of images."""
        self.images.add([_magnitudes(gradient) for gradient in batch])
