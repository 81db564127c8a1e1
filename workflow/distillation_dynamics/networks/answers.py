"""Runs a network once and returns the outputs that training and metrics request."""

from typing import NamedTuple

from torch import Tensor, nn

from ..outputs import Outputs, Prefix, Request
from .blocks import TimmNetwork, block_names, chosen, classes_of, gives_prefix, intermediates, prefix_of


class Passed(NamedTuple):
    """Results of one forward pass: the head's input (None: not requested), features and other tokens by block."""

    final: Tensor | None
    features: dict[int, Tensor]
    prefix: dict[int, Tensor | None]


def run(network: nn.Module, images: Tensor, request: Request) -> Outputs:
    """Return the requested outputs of `network` for images [B, C, H, W] that one forward pass gives.

    Returns logits and pooled features, and by block features and other tokens. `observer` adds attention, read in the
    same pass, gradients and the lens. The pass ends at the last requested block if nothing after it is needed. Blocks
    without other tokens, or for which timm gives none, have an empty `Prefix`; without a head there are no logits.
    Gradients flow to the network's parameters unless the caller disabled them.
    """
    if request == Request(logits=True) and classes_of(network) > 0:
        return Outputs(network(images))
    return outputs_of(network, request, forward(network, images, request))


def forward(network: TimmNetwork, images: Tensor, request: Request) -> Passed:
    """Pass images through a network as far as a request needs.

    The lens also needs the last block, to find the path from the blocks to the head. For attention the pass includes
    the last requested block.
    """
    lens = {*chosen(network, request.lens), len(block_names(network)) - 1} if request.lens else set()
    attention = chosen(network, request.attention)[-1:]
    wanted = {*chosen(network, request.features), *chosen(network, request.prefix), *lens, *attention}
    to_the_end = bool(lens) or request.pooled or (request.logits and classes_of(network) > 0)
    if wanted:
        return _intermediates(network, images, sorted(wanted), bool(request.prefix or lens), to_the_end)
    return Passed(network.forward_features(images) if to_the_end else None, {}, {})


def outputs_of(network: TimmNetwork, request: Request, passed: Passed) -> Outputs:
    """Return the outputs of a request from a forward pass."""
    return Outputs(
        logits=network.forward_head(passed.final) if request.logits and classes_of(network) > 0 else None,
        features={block: passed.features[block] for block in chosen(network, request.features)},
        prefix={
            block: _split(network, passed.features[block], passed.prefix[block])
            for block in chosen(network, request.prefix)
        },
        pooled=network.forward_head(passed.final, pre_logits=True) if request.pooled else None,
    )


def _intermediates(network: nn.Module, images: Tensor, blocks: list[int], tokens: bool, to_the_end: bool) -> Passed:
    """Return the head's input, features and, if `tokens`, other tokens of blocks (None: none)."""
    options = {"return_prefix_tokens": True} if tokens and gives_prefix(network) else {}
    if to_the_end:
        # Explicit, since Hiera would stop at the last requested block.
        final, found = intermediates(network, images, blocks, stop_early=False, **options)
    else:
        final = None
        found = intermediates(network, images, blocks, intermediates_only=True, stop_early=True, **options)
    pairs = found if options else [(values, None) for values in found]
    features, prefix = (dict(zip(blocks, values, strict=True)) for values in zip(*pairs, strict=True))
    return Passed(final, features, prefix)


def _split(network: nn.Module, features: Tensor, tokens: Tensor | None) -> Prefix:
    if tokens is None:
        tokens = features.new_empty(len(features), 0, features.shape[1])
    return prefix_of(network, tokens)
