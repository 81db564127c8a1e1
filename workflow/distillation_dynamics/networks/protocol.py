"""The interface that the library requires of a network: timm's networks have it, architectures must keep it.

`check` tests an architecture's network against it before anything runs, with fresh weights on random images.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol

import torch
from timm.models.cait import TalkingHeadAttn
from torch import Tensor

from ..outputs import ALL, Outputs, Request, asked_for
from ..spec.images import View
from ..spec.network import Model
from .answers import run
from .blocks import TimmNetwork, block_names, classes_of, gives_prefix
from .build import build, misfit, without_values

IMAGES = 2
# Tolerance for rounding between two ways to compute the same numbers.
TOLERANCE = 1e-4


class Network(Protocol):
    """Interface of a network; B images [B, C, H, W], K classes (0: no head, no logits).

    Optional: `num_prefix_tokens` (class, distillation and register tokens before the patches) and `reg_token` [1, R, C]
    of the network or a part, by which `forward_intermediates(return_prefix_tokens=True)` is asked for other tokens and
    registers are recognised; `norm` and `blocks_token_only` between the last block and `forward_head` (for the lens);
    modules named `attn` in blocks (attention). Weights are its `state_dict`, with finite values.
    """

    # For every block in order: `module`, the name of the module that gives its features, and `reduction`, the distance
    # of neighbouring patches in pixels. Features, gradients and attention are found by it.
    feature_info: list[dict[str, Any]]
    num_classes: int

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, K], equal to `forward_head(forward_features(images))`."""

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the input of `forward_head`."""

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits [B, K] or, with `pre_logits`, the pooled features [B, D]."""

    def forward_intermediates(
        self, images: Tensor, indices: list[int], norm: bool, stop_early: bool, intermediates_only: bool = False
    ) -> Any:
        """Return the output of `forward_features` and the features [B, C, H, W] of blocks `indices`, without a norm.

        With `intermediates_only` only the features. With `return_prefix_tokens`, features of networks with other tokens
        are pairs with those tokens [B, P, C].
        """

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters exempt from weight decay besides biases and norms, such as positions."""


MEMBERS = (*Network.__annotations__, *(name for name in vars(Network) if not name.startswith("_")))


def _plain(network: TimmNetwork) -> bool:
    infos = network.feature_info if isinstance(network.feature_info, list) else []
    named = [info["module"] for info in infos] == [f"blocks.{number}" for number in range(len(infos))]
    own = [getattr(network, name, None) for name in ("blocks_token_only", "cls_attn_blocks", "attn_pool")]
    width = getattr(network, "embed_dim", None)
    return named and all(info["num_chs"] == width for info in infos) and own == [None] * len(own)


# Requirements of architectures on their model (`REQUIRES`), and the error if it lacks them.
REQUIRES = {
    "class_token": (
        lambda network: getattr(network, "cls_token", None) is not None,
        "it has no class token, so that its head reads a mean of the patches already",
    ),
    "plain": (
        _plain,
        "it is no plain Transformer, whose blocks are all of one width and whose head reads what the last one gives",
    ),
    "talking_heads": (
        lambda network: any(isinstance(module, TalkingHeadAttn) for module in network.modules()),
        "its heads of attention are not mixed with each other, as those of CaiT are",
    ),
}


def check(model: Model, view: View) -> str | None:
    """Raise StudyError if an architecture does not fit its model, or its network breaks the protocol.

    Return the network's own remark (`note`), if it has one.
    """
    (name,) = model.architecture
    given = import_module(f".architectures.{name}", __package__)
    bare = without_values(lambda: build(replace(model, architecture={}), view))
    for part in getattr(given, "REQUIRES", ()):
        fits, said = REQUIRES[part]
        if not fits(bare):
            raise misfit(model, said)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = build(model, view)
        try:
            images = torch.randn(IMAGES, view.channels, view.image_size, view.image_size)
            found = next(_faults(network.eval(), images, model.classes), None)
        except Exception as error:
            # For wrong constructions torch raises any kind of error.
            raise misfit(model, error) from error
    if found is not None:
        raise misfit(model, found)
    return getattr(network, "note", None)


def _faults(network: TimmNetwork, images: Tensor, classes: int) -> Iterator[str]:
    """Yield the ways in which a network breaks the protocol."""
    if missing := [name for name in MEMBERS if not hasattr(network, name)]:
        yield f"the network has no {', '.join(missing)} (networks/protocol.py)"
        return
    modules = {name for name, _ in network.named_modules()}
    if not block_names(network) or (strange := [name for name in block_names(network) if name not in modules]):
        yield f"feature_info names no module {strange[0]}" if block_names(network) else "feature_info names no block"
        return
    if classes_of(network) != classes:
        yield f"num_classes is {classes_of(network)}, but the head must have {classes}"
    said = run(network, images, Request(logits=True, pooled=True, features=ALL, prefix=ALL))
    yield from _shape_faults(said, gives_prefix(network))
    (first,) = run(network, images, Request(features=(0,))).features.values()
    if not _close(first, said.features[0]):
        yield "forward_intermediates gives other features of a block when it stops early"
    if classes:
        whole, features = network(images), network.forward_features(images)
        if whole.shape != (len(images), classes):
            yield f"forward gives {list(whole.shape)} of {len(images)} images, not [{len(images)}, {classes}]"
        ways = {"forward_features": network.forward_head(features), "forward_intermediates": asked_for(said.logits)}
        for way, logits in ways.items():
            if not _close(logits, whole):
                yield f"forward gives other logits than forward_head of what {way} gives"
    exempt = network.no_weight_decay()
    last = {name.rpartition(".")[2] for name in exempt}
    for name, _ in network.named_parameters():
        if name.rpartition(".")[2] in last and name not in exempt:
            yield f"no_weight_decay does not name {name} as it is called in the network"


def _shape_faults(said: Outputs, has_prefix: bool) -> Iterator[str]:
    pooled = asked_for(said.pooled)
    if pooled.shape[:-1] != (IMAGES,):
        yield f"forward_head with pre_logits gives {list(pooled.shape)} of {IMAGES} images, not [{IMAGES}, D]"
    for block, values in said.features.items():
        if values.ndim != 4 or len(values) != IMAGES:
            yield f"the features of block {block} are {list(values.shape)} of {IMAGES} images, not [{IMAGES}, C, H, W]"
        elif has_prefix and said.prefix[block].classes.shape[2] != values.shape[1]:
            yield f"the other tokens of block {block} have another width than its patches"


def _close(values: Tensor, others: Tensor) -> bool:
    return values.shape == others.shape and torch.allclose(
        values, others, TOLERANCE, TOLERANCE * float(others.abs().max()), equal_nan=True
    )
