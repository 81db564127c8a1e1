"""State dicts of Hugging Face's transformers, brought to names and shapes of timm: ViT, DeiT, DINOv2, CLIP's vision.

They are told by their names, those of files (`encoder.layer.0.attention.attention.query`) and those that the library
has in memory since version 5 (`layers.0.attention.q_proj`). What computes otherwise in any part (BEiT, Swin, SigLIP,
DINOv3) has a name that is not known here, and is not converted.
"""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

# Of the tower as a whole; a tensor of one axis or two less than timm's gets them in front.
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
# Of a block too: parts of what is one layer in timm, in the order in which it holds them.
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
# Used in training alone, or by nothing that a block computes.
LEFT_OUT = ("pooler.", "embeddings.mask_token", "embeddings.position_ids")
# The last part of a tower's prefix, beside which its head lies; and heads.
TOWERS = ("vit", "deit", "dinov2", "dinov2_with_registers", "vision_model")
HEADS = {"classifier": "head", "cls_classifier": "head", "distillation_classifier": "head_dist"}
PROJECTION = "visual_projection.weight"
# What others of its networks call their tensors, by which these are told.
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
    """Return the tensors of a tower, their prefix taken off, by timm's names; None where they are not all known."""
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
        # Beside registers, which have no place in the grid of positions, timm's class token has its own taken up.
        found["cls_token"] = found["cls_token"] + found["pos_embed"][:, :1]
        found["pos_embed"] = found["pos_embed"][:, 1:]
    return found


def heads(state: dict[str, Tensor], prefix: str, width: int) -> tuple[dict[str, Tensor], set[str]]:
    """Return the heads that belong to the tower at `prefix` by timm's names, and what they are called in `state`.

    `width`: of the tower. What reads more than one token (DINOv2's class token beside the mean) is no head of timm's.
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
    """Return what network of transformers tensors of these names are of, as far as names tell; None: of none."""
    names = list(names)
    for kind, pattern in OTHERS.items():
        if any(re.search(pattern, name) for name in names):
            return kind
    return "another network" if any(ANY.search(name) for name in names) else None
