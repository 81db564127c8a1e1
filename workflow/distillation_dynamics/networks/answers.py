"""A network asked for what training and metrics want of it in one forward pass."""

from typing import NamedTuple

from torch import Tensor, nn

from ..outputs import Outputs, Prefix, Request
from .blocks import TimmNetwork, block_names, chosen, classes_of, gives_prefix, intermediates, prefix_of


class Passed(NamedTuple):
    """What one forward pass left: what the head reads (None: not asked), features and other tokens by block."""

    final: Tensor | None
    features: dict[int, Tensor]
    prefix: dict[int, Tensor | None]


def run(network: nn.Module, images: Tensor, request: Request) -> Outputs:
    """Return what is asked of `network` for images [B, C, H, W], as far as one forward pass tells it.

    That are logits and pooled features, and by block features and other tokens; `observer` answers for attention, which
    it reads in the same pass, gradients and the lens. The pass ends at the last block asked for where nothing after it
    is. Blocks without other tokens, or of which timm gives none, have an empty `Prefix`; without a head there are no
    logits. Gradients flow back to the network's parameters unless the caller turned them off.
    """
    if request == Request(logits=True) and classes_of(network) > 0:
        return Outputs(network(images))
    return outputs_of(network, request, forward(network, images, request))


def forward(network: TimmNetwork, images: Tensor, request: Request) -> Passed:
    """Pass images through a network as far as a request asks.

    For the lens there is the last block, too: by it one finds out how the network gets from its blocks to its head.
    For attention the pass goes as far as it is asked for.
    """
    lens = {*chosen(network, request.lens), len(block_names(network)) - 1} if request.lens else set()
    attention = chosen(network, request.attention)[-1:]
    wanted = {*chosen(network, request.features), *chosen(network, request.prefix), *lens, *attention}
    to_the_end = bool(lens) or request.pooled or (request.logits and classes_of(network) > 0)
    if wanted:
        return _intermediates(network, images, sorted(wanted), bool(request.prefix or lens), to_the_end)
    return Passed(network.forward_features(images) if to_the_end else None, {}, {})


def outputs_of(network: TimmNetwork, request: Request, passed: Passed) -> Outputs:
    """Return what a request asks of what a forward pass left."""
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
    """Return what the head reads, features and, if `tokens`, other tokens of blocks (None: none)."""
    options = {"return_prefix_tokens": True} if tokens and gives_prefix(network) else {}
    if to_the_end:
        # Said here, since Hiera by itself would stop at the last block that is asked for.
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
