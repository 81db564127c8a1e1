"""The logit lens: the head applied to an earlier block, as if later blocks did not exist.

Source: nostalgebraist, interpreting GPT: the logit lens, 2020; Belrose et al., Eliciting Latent Predictions from
Transformers with the Tuned Lens, 2023 (equation 2).
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..errors import say_once
from ..outputs import NotFinite
from .blocks import TimmNetwork, block_names

# Tolerance for rounding between two ways to compute the same numbers.
TOLERANCE = 1e-4
# Maps a block's output, patches [B, C, H, W] and other tokens [B, P, C] or None, to the input of `forward_head`.
Way = Callable[[Tensor, Tensor | None], Tensor]


def lens(
    network: TimmNetwork, final: Tensor, features: dict[int, Tensor], prefix: dict[int, Tensor | None]
) -> dict[int, Tensor]:
    """Return the head's logits [B, K] for blocks: the network's last norm, pooling and head, applied to each.

    `final` is the input of `forward_head`; `features` and `prefix` (tokens before the patches, None for none) are the
    blocks' outputs, including the last one's. The path from the last block to the head is one of those used in timm,
    chosen because it reproduces the head's input exactly; it includes CaiT's class-attention layers. Left out, and
    reported once on stderr: blocks with other channels than the last, and all blocks if no path fits or there is no
    head. Raises NotFinite for NaN or infinity.
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
    """Return the path from the last block's output to the head's input; None if no known path gives it.

    Pooled outputs are compared: networks may treat tokens that the head never reads differently.
    """
    with torch.no_grad():
        wanted = network.forward_head(final, pre_logits=True)
        for way in _ways(network):
            try:
                found = network.forward_head(way(features, prefix), pre_logits=True)
            except (RuntimeError, IndexError, ValueError):
                # Another layout: not a path of this network.
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
