"""Gradients of the logit of an image's own class by the output of each block.

In: a network in evaluation mode, images [B, C, H, W] and labels [B]. Source: Tian, Xu, Li, Distillation Dynamics, AAAI
2026 (d score_y / d block output, over the whole output, other tokens than patches included where they are in the
stream). Where the logit is read from a class token alone, the patch tokens of the last block have gradient exactly
zero.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ..errors import say_once
from ..outputs import GradientOf, Prefix, check_values
from .blocks import TimmNetwork, block_names, classes_of, intermediates, prefix_of


@contextmanager
def gradients_on(network: nn.Module, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield copies of `images` [B, C, H, W] and `labels` [B] for autograd, with gradients enabled inside.

    Works under `no_grad` and `inference_mode`, too, if the network was made, loaded and moved outside `inference_mode`;
    parameters need no gradient. Raises ValueError for a network in training mode, where an image's gradient would
    depend on its batch.
    """
    if any(module.training for module in network.modules()):
        raise ValueError("network: it is in training mode; call network.eval() first")
    with torch.inference_mode(False), torch.enable_grad():
        # Autograd cannot use tensors made under inference_mode; a copy is an ordinary tensor.
        yield images.detach().clone(), labels.clone()


def known(network: nn.Module, labels: Tensor) -> Tensor:
    """Return for which labels [B] a network's head has a logit, as bool [B]; all False without a head."""
    return (labels >= 0) & (labels < classes_of(network))


def block_gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[GradientOf]:
    """Return the gradient of each image's label logit by the whole output of every block, one entry per block.

    `images` [B, C, H, W] and `labels` [B] are on the network's device. Images whose label has no logit (-1, too large,
    no head) have NaN gradients, reported once on stderr. The output is that of the module timm names or, if there is
    none or it gives other features, of the last module that gives the block's features (MViTv2, Twins). A block whose
    features no module gives has NaN gradients, reported on stderr. One forward pass (two if modules are searched) and
    one backward pass; hooks are always removed. Raises ValueError for a network in training mode, NotFinite for NaN or
    infinity (naming block and image).
    """
    names = block_names(network)
    modules = dict(network.named_modules())
    count, labelled = len(images), known(network, labels)
    if not labelled.any():
        # One image is enough for the shapes; all gradients would be NaN.
        images, labels, labelled = images[:1], labels[:1], labelled[:1]
    with gradients_on(network, images, labels) as (leaf, target):
        leaf.requires_grad_()
        seen = _sources(network, leaf, names, {name: modules[name] for name in names if name in modules})
        if None in seen[2]:
            # Free the graph before the next pass.
            del seen
            seen = _sources(network, leaf, names, modules)
        logits, features, sources = seen
        labelled = known(network, target)
        gradients = _by_output(logits, target, labelled, [source.output for source in sources if source])
    blocks, empty = [], []
    for block, (name, source) in enumerate(zip(names, sources, strict=True)):
        gradient = next(gradients) if source else None
        if source and source.name == name and gradient is None:
            # An output that the logit does not depend on.
            gradient = torch.zeros_like(source.output)
        if source is None or gradient is None:
            # The tensor found is not on the path to the logit: a copy made for callers who want features.
            empty.append(name)
            values = torch.full_like(features[block].detach().flatten(2).mT, torch.nan)
        else:
            check_values(gradient, f"gradients: block {block},")
            values = source.layout(gradient).clone()
            values[~labelled] = torch.nan
        rows, columns = features[block].shape[2:]
        tokens = values.shape[1] - rows * columns
        values = values.expand(count, -1, -1)
        prefix = prefix_of(network, values[:, :tokens]) if tokens else None
        blocks.append(GradientOf(values[:, tokens:], prefix, rows, columns))
    _say(network, labelled, empty)
    return blocks


def repeated(gradients: Sequence[GradientOf], count: int) -> list[GradientOf]:
    """Return the gradients of one image repeated for `count` images."""

    def expanded(values: Tensor) -> Tensor:
        return values.expand(count, -1, -1)

    return [
        gradient._replace(
            patches=expanded(gradient.patches),
            prefix=None if gradient.prefix is None else Prefix(*map(expanded, gradient.prefix)),
        )
        for gradient in gradients
    ]


def joined(parts: Sequence[list[GradientOf]]) -> list[GradientOf]:
    """Return gradients of consecutive images, joined."""
    return parts[0] if len(parts) == 1 else [_joined(of) for of in zip(*parts, strict=True)]


def _joined(parts: Sequence[GradientOf]) -> GradientOf:
    patches = torch.cat([part.patches for part in parts])
    prefixes = [part.prefix for part in parts if part.prefix is not None]
    prefix = Prefix(*map(torch.cat, zip(*prefixes, strict=True))) if prefixes else None
    return parts[0]._replace(patches=patches, prefix=prefix)


def _by_output(logits: Tensor, labels: Tensor, labelled: Tensor, found: list[Tensor]) -> Iterator[Tensor | None]:
    """Yield the gradient of the label logits by each tensor in `found`; None if independent of it."""
    if not labelled.any():
        return (torch.zeros_like(output) for output in found)
    score = logits[labelled, labels[labelled]].sum()
    return iter(torch.autograd.grad(score, found, allow_unused=True) if found else ())


def _say(network: nn.Module, labelled: Tensor, empty: list[str]) -> None:
    """Report once for which network columns stay empty."""
    kind = type(network).__name__
    if classes_of(network) == 0:
        say_once(f"gradient: its columns stay empty for {kind}, which has no head and so no logit of a label")
    elif not labelled.all():
        say_once(f"gradient: its columns stay empty for images without a label that the head of {kind} has a logit for")
    if empty:
        which = f"{', '.join(empty)} of {kind}"
        say_once(
            f"gradient: its columns stay empty for {which}: no module on the way to the logit gives these features"
        )


def _sources(
    network: TimmNetwork, images: Tensor, names: list[str], modules: dict[str, nn.Module]
) -> tuple[Tensor, list[Tensor], list["_Source | None"]]:
    """Return logits, all blocks' features, and the module output that holds each (None if none does)."""
    logits, features, outputs = _watch(network, images, modules, len(names))
    return logits, features, [_source(outputs, name, features[block]) for block, name in enumerate(names)]


def _watch(
    network: TimmNetwork, images: Tensor, modules: dict[str, nn.Module], blocks: int
) -> tuple[Tensor, list[Tensor], list[tuple[str, Tensor]]]:
    """Run a network; return logits, all blocks' features, and the outputs of `modules`, in order, by name."""
    outputs: list[tuple[str, Tensor]] = []

    def keep(name: str, output: Any) -> None:
        outputs.extend((name, part) for part in tree_leaves(output) if isinstance(part, Tensor))

    with ExitStack() as stack:
        for name, module in modules.items():
            hook = module.register_forward_hook(lambda module, inputs, output, name=name: keep(name, output))
            stack.callback(hook.remove)
        final, features = intermediates(network, images, list(range(blocks)), stop_early=False)
        return network.forward_head(final), features, outputs


class _Source(NamedTuple):
    """A module's output that holds a block's features, and its layout as tokens [b, prefix + patches, C]."""

    name: str
    output: Tensor
    layout: Callable[[Tensor], Tensor]


# By number of axes: tokens; channels first, channels last.
LAYOUTS = {
    3: (lambda values: values,),
    4: (lambda values: values.flatten(2).mT, lambda values: values.flatten(1, 2)),
}


def _source(outputs: Sequence[tuple[str, Tensor]], name: str, feature_bchw: Tensor) -> _Source | None:
    """Return the last output that holds a feature map, preferably one of the module `name`.

    Compared by value on the first image: with as many channels as rows and columns, shapes do not show the layout.
    """
    tokens = feature_bchw[0].detach().flatten(1).mT
    for module, output in sorted(reversed(outputs), key=lambda entry: entry[0] != name):
        for layout in LAYOUTS.get(output.ndim, ()):
            values = layout(output.detach()[:1])[0, -len(tokens) :]
            if values.shape == tokens.shape and torch.allclose(values, tokens, rtol=0, atol=0, equal_nan=True):
                return _Source(module, output, layout)
    return None
