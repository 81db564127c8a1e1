"""The logit lens: what the head says of an earlier block, as if the blocks after it were not there.

Source: nostalgebraist, interpreting GPT: the logit lens, 2020; Belrose et al., Eliciting Latent Predictions from
Transformers with the Tuned Lens, 2023 (equation 2).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..errors import say_once
from ..outputs import NotFinite
from .blocks import TimmNetwork, block_names

# Two ways to the same numbers differ by rounding alone.
TOLERANCE = 1e-4
# From a block's output, patches [B, C, H, W] and other tokens [B, P, C] or None, to what `forward_head` reads.
Way = Callable[[Tensor, Tensor | None], Tensor]


def lens(
    network: TimmNetwork, final: Tensor, features: dict[int, Tensor], prefix: dict[int, Tensor | None]
) -> dict[int, Tensor]:
    """Return the head's logits [B, K] of blocks: the network's last norm, its pooling and its head, applied to each.

    `final` is what `forward_head` reads, `features` and `prefix` (tokens before the patches, None for none) the output
    of blocks, the last among them. How the network gets from its last block to its head is taken from those ways that
    timm's networks go, where it leads to the very numbers that the head reads; CaiT's class-attention layers belong to
    it. Blocks of other channels than the last have no logits, and no block has any where no way leads there or the
    network has no head: they are left out, which is said once on stderr. Raises NotFinite for NaN or infinity.
    """
    last = len(block_names(network)) - 1
    for what, values in (
        *((f"block {block}", features[block]) for block in sorted(features)),
        ("the last norm", final),
    ):
        if not values.isfinite().all():
            raise NotFinite(f"{what} holds NaN or infinity")
    way = _way(network, final, features[last], prefix[last])
    channels = features[last].shape[1]
    found = {
        block: network.forward_head(way(values, prefix[block]))
        for block, values in features.items()
        if way is not None and values.shape[1] == channels
    }
    if empty := sorted(features.keys() - found.keys()):
        kind, names = type(network).__name__, block_names(network)
        if way is None:
            say_once(
                f"lens: its columns stay empty for {kind}: what lies between its last block and its head is its own"
            )
        else:
            which = ", ".join(names[block] for block in empty)
            say_once(
                f"lens: its columns stay empty for {which} of {kind}: they have other channels than its head reads"
            )
    return found


def _way(network: TimmNetwork, final: Tensor, features: Tensor, prefix: Tensor | None) -> Way | None:
    """Return the way from the last block's output to what the head reads; None where none of those known leads there.

    What the head pools is compared: networks may give tokens that it never looks at another form.
    """
    with torch.no_grad():
        wanted = network.forward_head(final, pre_logits=True)
        for way in _ways(network):
            try:
                found = network.forward_head(way(features, prefix), pre_logits=True)
            except (RuntimeError, IndexError, ValueError):
                # Of another layout: no way of this network.
                continue
            scale = float(wanted.abs().max())
            if found.shape == wanted.shape and torch.allclose(found, wanted, TOLERANCE, TOLERANCE * scale, True):
                return way
    return None


def _ways(network: TimmNetwork) -> Iterator[Way]:
    norm = network.norm if isinstance(getattr(network, "norm", None), nn.Module) else nn.Identity()

    def tokens(features: Tensor, prefix: Tensor | None) -> Tensor:
        patches = features.flatten(2).mT
        return patches if prefix is None else torch.cat([prefix, patches], dim=1)

    if getattr(network, "blocks_token_only", None) is not None:

        def class_attention(features: Tensor, prefix: Tensor | None) -> Tensor:
            patches = tokens(features, prefix)
            classes = network.cls_token.expand(len(patches), -1, -1)
            for block in network.blocks_token_only:
                classes = block(patches, classes)
            return norm(torch.cat([classes, patches], dim=1))

        yield class_attention
    yield lambda features, prefix: norm(tokens(features, prefix))
    yield lambda features, prefix: norm(features.permute(0, 2, 3, 1))
    yield lambda features, prefix: norm(features)
    yield lambda features, prefix: features
