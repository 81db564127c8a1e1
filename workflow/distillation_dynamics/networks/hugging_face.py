"""Converts state dicts of Hugging Face's transformers to timm: ViT, DeiT, DINOv2 and CLIP vision.

They are recognised by names, those in files (`encoder.layer.0.attention.attention.query`) and those in memory since
version 5 (`layers.0.attention.q_proj`). Networks that compute differently in any part (BEiT, Swin, SigLIP, DINOv3) have
unknown names and are not converted.
"""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

# Of the whole tower; tensors with one or two axes fewer than timm's get them in front.
WHOLE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.class_embedding": "cls_token",
    "embeddings.distillation_token": "dist_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.position_embedding.weight": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "embeddings.patch_embedding.weight": "patch_embed.proj.weight",
    "pre_layrnorm.weight": "norm_pre.weight",
    "pre_layrnorm.bias": "norm_pre.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
    "post_layernorm.weight": "norm.weight",
    "post_layernorm.bias": "norm.bias",
}
TOKENS = ("cls_token", "dist_token", "reg_token", "pos_embed")
BLOCK = re.compile(r"(?:encoder\.layers?|layers)\.(\d+)\.(.+)\.(weight|bias|lambda1)")
# Of a block.
PARTS = {
    "attention.output.dense": "attn.proj",
    "attention.o_proj": "attn.proj",
    "self_attn.out_proj": "attn.proj",
    "layernorm_before": "norm1",
    "layer_norm1": "norm1",
    "norm1": "norm1",
    "layernorm_after": "norm2",
    "layer_norm2": "norm2",
    "norm2": "norm2",
    "intermediate.dense": "mlp.fc1",
    "mlp.fc1": "mlp.fc1",
    "mlp.weights_in": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "mlp.fc2": "mlp.fc2",
    "mlp.weights_out": "mlp.fc2",
    "mlp.down_proj": "mlp.fc2",
    "layer_scale1": "ls1",
    "layer_scale2": "ls2",
}
# Also of a block: parts of a single timm layer, in timm's order.
JOINED = {
    **{f"attention.attention.{part}": ("attn.qkv", place) for place, part in enumerate(("query", "key", "value"))},
    **{
        f"{layer}.{part}_proj": ("attn.qkv", place)
        for layer in ("attention", "self_attn")
        for place, part in enumerate("qkv")
    },
    **{f"mlp.{part}_proj": ("mlp.fc1", place) for place, part in enumerate(("gate", "up"))},
}
KINDS = {"weight": "weight", "bias": "bias", "lambda1": "gamma"}
# Used only in training, or by no block.
LEFT_OUT = ("pooler.", "embeddings.mask_token", "embeddings.position_ids")
# Last part of a tower's prefix, next to which its head is; and heads.
TOWERS = ("vit", "deit", "dinov2", "dinov2_with_registers", "vision_model")
HEADS = {"classifier": "head", "cls_classifier": "head", "distillation_classifier": "head_dist"}
PROJECTION = "visual_projection.weight"
# Tensor names of its other networks, for messages.
OTHERS = {
    "BEiT": r"encoder\.layer\.\d+\.lambda_1$",
    "Swin": r"(^|\.)layers\.\d+\.blocks\.\d+\.attention\.",
    "SigLIP": r"embeddings\.patch_embedding\.bias$",
    "DINOv3": r"(^|\.)(?<!encoder\.)layer\.\d+\.attention\.q_proj\.",
    "ConvNeXt": r"encoder\.stages\.\d+\.layers\.\d+\.dwconv\.",
    "ResNet": r"embedder\.embedder\.convolution\.",
}
ANY = re.compile(r"(^|\.)(embeddings\.patch_embed|attention\.attention\.query|self_attn\.q_proj|layernorm_before)")


def converted(state: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Return a tower's tensors without prefix under timm's names; None if a name is unknown."""
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, value in state.items():
        if name.startswith(LEFT_OUT):
            continue
        if name in WHOLE:
            ours = WHOLE[name]
            found[ours] = value.reshape((1,) * (3 - value.ndim) + value.shape) if ours in TOKENS else value
        elif (block := BLOCK.fullmatch(name)) is None:
            return None
        elif block[2] in PARTS:
            found[f"blocks.{block[1]}.{PARTS[block[2]]}.{KINDS[block[3]]}"] = value
        elif block[2] in JOINED:
            layer, place = JOINED[block[2]]
            parts.setdefault(f"blocks.{block[1]}.{layer}.{block[3]}", {})[place] = value
        else:
            return None
    whole = all(len(values) == (3 if ".qkv." in name else 2) for name, values in parts.items())
    if not parts or not whole or "pos_embed" not in found:
        return None
    found |= {name: torch.cat([value for _, value in sorted(values.items())]) for name, values in parts.items()}
    if "reg_token" in found and "cls_token" in found:
        # With registers, which have no position in the grid, timm's class token includes its position.
        found["cls_token"] = found["cls_token"] + found["pos_embed"][:, :1]
        found["pos_embed"] = found["pos_embed"][:, 1:]
    return found


def heads(state: dict[str, Tensor], prefix: str, width: int) -> tuple[dict[str, Tensor], set[str]]:
    """Return the heads of the tower at `prefix` under timm's names, and their names in `state`.

    `width`: that of the tower. A head that reads more than one token (DINOv2's class token and mean) does not exist in
    timm.
    """
    *parents, last = prefix.removesuffix(".").split(".")
    if last not in ("", *TOWERS):
        return {}, set()
    beside = "".join(f"{parent}." for parent in parents)
    found: dict[str, Tensor] = {}
    used: set[str] = set()
    for theirs, ours in HEADS.items():
        weight = state.get(f"{beside}{theirs}.weight")
        if weight is not None and weight.shape[1:] == (width,):
            for kind in ("weight", "bias"):
                if (name := f"{beside}{theirs}.{kind}") in state:
                    found[f"{ours}.{kind}"] = state[name]
                    used.add(name)
    if (name := beside + PROJECTION) in state:
        found |= {"head.weight": state[name], "head.bias": torch.zeros(len(state[name]))}
        used.add(name)
    return found, used


def kind_of(names: Iterable[str]) -> str | None:
    """Return which transformers network has tensors of these names, None if none does."""
    names = list(names)
    for kind, pattern in OTHERS.items():
        if any(re.search(pattern, name) for name in names):
            return kind
    return "another network" if any(ANY.search(name) for name in names) else None
