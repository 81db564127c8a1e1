"""Gradient magnitude: how strongly the logit of an image's own class depends on each block's output.

In: a network, images [B, C, H, W] and labels [B]; for `Metric`, what `block_gradients` returns. Out: float64, in
1 / activation unit. Source: Tian, Xu, Li, Distillation Dynamics, AAAI 2026 (G[l] = mean abs(d score_y / d block
output), over the whole output, class token included where it is in the stream). Where the logit is read from a class
token alone, the patch tokens of the last block have gradient exactly zero.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .. import models
from ..errors import say_once
from ..files import Column
from ..objective import Outputs
from .accumulator import Accumulator
from .blocks import NotFinite

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

    `images` [B, C, H, W] and `labels` [B] lie on the network's device. The output is that of the module which timm
    names or, where that is none or gives something else than the block's features, of the last module that gives them
    (MViTv2, Twins). A block whose features no module gives has gradients of NaN, which is said on stderr. One forward
    (two where modules are searched) and one backward pass; hooks are removed whatever happens. Raises ValueError for a
    network in training mode and for NaN or infinity in an image, NotFinite for them in its gradient (naming block and
    image).
    """
    names = models.block_names(network)
    modules = dict(network.named_modules())
    with gradients_on(network, images, labels) as (leaf, target):
        leaf.requires_grad_()
        for watched in ({name: modules[name] for name in names if name in modules}, modules):
            run, outputs = _watch(network, leaf, watched, len(names))
            sources = [_source(outputs, name, run.features[block]) for block, name in enumerate(names)]
            if None not in sources:
                break
        score = run.logits[torch.arange(len(leaf), device=leaf.device), target].sum()
        found = [source.output for source in sources if source]
        gradients = iter(torch.autograd.grad(score, found, allow_unused=True) if found else ())
    blocks, empty = [], []
    for block, (name, source) in enumerate(zip(names, sources, strict=True)):
        gradient = next(gradients) if source else None
        if source and source.name == name and gradient is None:
            # An output that the logit does not use.
            gradient = torch.zeros_like(source.output)
        if gradient is None:
            # What was found lies beside the way to the logit: a copy made for whoever asks for features.
            empty.append(name)
            values = torch.full_like(run.features[block].detach().flatten(2).mT, torch.nan)
        else:
            _check_finite(gradient, f"gradients: block {block},", NotFinite)
            values = source.layout(gradient)
        rows, columns = run.features[block].shape[2:]
        prefix = values.shape[1] - rows * columns
        blocks.append(GradientOf(values[:, prefix:], values[:, :prefix] if prefix else None, rows, columns))
    if empty:
        which = f"{', '.join(empty)} of {type(network).__name__}"
        say_once(
            f"gradient: its columns stay empty for {which}: no module on the way to the logit gives these features"
        )
    return blocks


def _watch(
    network: nn.Module, images: Tensor, modules: dict[str, nn.Module], blocks: int
) -> tuple[Outputs, list[tuple[str, Tensor]]]:
    """Run a network; return what it says and all tensors that `modules` put out, in order, each with its module."""
    outputs: list[tuple[str, Tensor]] = []

    def keep(name: str, output: Any) -> None:
        outputs.extend((name, part) for part in tree_leaves(output) if isinstance(part, Tensor))

    with ExitStack() as stack:
        for name, module in modules.items():
            hook = module.register_forward_hook(lambda module, inputs, output, name=name: keep(name, output))
            stack.callback(hook.remove)
        return models.run(network, images, list(range(blocks))), outputs


class _Source(NamedTuple):
    """A module's output that holds a block's features, and how it is laid out as tokens [b, prefix + patches, C]."""

    name: str
    output: Tensor
    layout: Callable[[Tensor], Tensor]


# By number of axes: tokens; channels first, channels last.
LAYOUTS = {
    3: (lambda values: values,),
    4: (lambda values: values.flatten(2).mT, lambda values: values.flatten(1, 2)),
}


def _source(outputs: Sequence[tuple[str, Tensor]], name: str, feature_bchw: Tensor) -> _Source | None:
    """Find the last output that holds a feature map, one of the module `name` before all others.

    By value, of the first image: of a block with as many channels as rows and columns, shapes do not tell which axis
    is which.
    """
    tokens = feature_bchw[0].detach().flatten(1).mT
    for module, output in sorted(reversed(outputs), key=lambda entry: entry[0] != name):
        for layout in LAYOUTS.get(output.ndim, ()):
            values = layout(output.detach()[:1])
            if values.shape[2] == tokens.shape[1] and _same(values[0, -len(tokens) :], tokens):
                return _Source(module, output, layout)
    return None


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _check_finite(values: Tensor, where: str, kind: type[ValueError] = ValueError) -> None:
    broken = ~values.isfinite().flatten(1).all(dim=1)
    if broken.any():
        raise kind(f"{where} image {int(broken.nonzero()[0])} holds NaN or infinity")


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
