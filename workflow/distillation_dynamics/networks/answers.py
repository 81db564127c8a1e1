"""A network asked for what metrics and objectives want of it: one request, one answer."""

from torch import Tensor, nn

from ..errors import say_once
from ..outputs import Outputs, Prefix, Request
from .attention import AttentionReader
from .blocks import chosen, classes_of, gives_prefix, intermediates, numbered_blocks, prefix_of
from .gradients import block_gradients
from .lens import lens


def run(
    network: nn.Module,
    images: Tensor,
    request: Request,
    labels: Tensor | None = None,
    reader: AttentionReader | None = None,
) -> Outputs:
    """Return what is asked of `network` for images [B, C, H, W]; `labels` [B] (-1: none) are needed for gradients.

    One forward pass gives logits, pooled features, and by block features, other tokens and the lens; it ends at the
    last block asked for where nothing after it is. Attention maps come from `reader` (one of this network; None: one
    made here), gradients from a pass of their own. Blocks without other tokens, or of which timm gives none, have an
    empty `Prefix`; without a head there are no logits and no lens. Gradients flow back to the network's parameters
    unless the caller turned them off.

    Raises ValueError where gradients are asked for without labels, or of a network in training mode; NotFinite for
    NaN or infinity in gradients.
    """
    outputs = _forward(network, images, request)
    if request.attention:
        maps = (reader or AttentionReader(network))(images)
        outputs.attention = {block: maps[block] for block in chosen(network, request.attention)}
    if request.gradients:
        if labels is None:
            raise ValueError("request: gradients are asked for, but no labels are given")
        gradients = block_gradients(network, images, labels)
        outputs.gradients = {block: gradients[block] for block in chosen(network, request.gradients)}
    if request.network:
        outputs.network, outputs.images = network, images
    outputs.labels = labels
    return outputs


def _forward(network: nn.Module, images: Tensor, request: Request) -> Outputs:
    """Return what one forward pass gives of a request."""
    wanted = {name: chosen(network, getattr(request, name)) for name in ("features", "prefix", "lens")}
    head = classes_of(network) > 0
    if wanted["lens"] and not head:
        say_once(f"lens: its columns stay empty for {type(network).__name__}, which has no head")
        wanted["lens"] = []
    blocks = {block for numbers in wanted.values() for block in numbers}
    if wanted["lens"]:
        # There it is found out how the network gets from its blocks to its head.
        blocks.add(len(numbered_blocks(network)) - 1)
    logits = request.logits and head
    to_the_end = logits or request.pooled or bool(wanted["lens"])
    if not blocks:
        if not to_the_end:
            return Outputs()
        if not request.pooled:
            return Outputs(network(images))
        final, features, prefix = network.forward_features(images), {}, {}
    else:
        tokens = bool(wanted["prefix"] or wanted["lens"])
        final, features, prefix = _intermediates(network, images, sorted(blocks), tokens, to_the_end)
    looked_through = lens(network, final, features, prefix) if wanted["lens"] else {}
    return Outputs(
        logits=network.forward_head(final) if logits else None,
        features={block: features[block] for block in wanted["features"]},
        prefix={block: _split(network, features[block], prefix[block]) for block in wanted["prefix"]},
        lens={block: looked_through[block] for block in wanted["lens"] if block in looked_through},
        pooled=network.forward_head(final, pre_logits=True) if request.pooled else None,
    )


def _intermediates(
    network: nn.Module, images: Tensor, blocks: list[int], tokens: bool, to_the_end: bool
) -> tuple[Tensor | None, dict[int, Tensor], dict[int, Tensor | None]]:
    """Return what the head reads (None: not asked), features and, if `tokens`, other tokens of blocks (None: none)."""
    options = {"return_prefix_tokens": True} if tokens and gives_prefix(network) else {}
    if to_the_end:
        # Said here, since Hiera by itself would stop at the last block that is asked for.
        final, found = intermediates(network, images, blocks, stop_early=False, **options)
    else:
        final = None
        found = intermediates(network, images, blocks, intermediates_only=True, stop_early=True, **options)
    pairs = found if options else [(values, None) for values in found]
    features, prefix = (dict(zip(blocks, values, strict=True)) for values in zip(*pairs, strict=True))
    return final, features, prefix


def _split(network: nn.Module, features: Tensor, tokens: Tensor | None) -> Prefix:
    if tokens is None:
        tokens = features.new_empty(len(features), 0, features.shape[1])
    return prefix_of(network, tokens)
