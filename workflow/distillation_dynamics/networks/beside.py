"""Reads the files that Hugging Face's transformers writes next to weights: `config.json`, `preprocessor_config.json`.

Imports no torch.
"""

from pathlib import Path
from typing import Any

from ..files import read_json

# (width, blocks) -> timm's name of the size.
SIZES: dict[tuple[Any, Any], str] = {
    (192, 12): "tiny",
    (384, 12): "small",
    (768, 12): "base",
    (1024, 24): "large",
    (1280, 32): "huge",
}
SIZES |= {(1536, 40): "giant"}
# transformers' model type -> timm's name.
NAMES = {
    "vit": "vit_{size}_patch{patch}_224",
    "vit_mae": "vit_{size}_patch{patch}_224",
    "vit_msn": "vit_{size}_patch{patch}_224",
    "deit": "deit_{size}_distilled_patch{patch}_224",
    "dinov2": "vit_{size}_patch{patch}_dinov2",
    "dinov2_with_registers": "vit_{size}_patch{patch}_reg4_dinov2",
    "clip": "vit_{size}_patch{patch}_clip{quick}_224",
    "clip_vision_model": "vit_{size}_patch{patch}_clip{quick}_224",
}
QUICK = "quickgelu"
# Pillow's numbers of interpolations.
INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}


def is_of_transformers(config: dict[str, Any]) -> bool:
    """Return whether a `config.json` was written by transformers rather than timm."""
    return "model_type" in config and "architecture" not in config


def said_of(config: dict[str, Any]) -> str:
    """Return the name that a transformers configuration gives its network."""
    return str(next(iter(config.get("architectures") or ()), config["model_type"]))


def timm_name(config: dict[str, Any]) -> str | None:
    """Return the timm model of a transformers configuration, None if unknown."""
    if not is_of_transformers(config):
        return None
    # The image tower of a whole CLIP.
    tower = config.get("vision_config") or config
    name, size = NAMES.get(config["model_type"]), SIZES.get((tower.get("hidden_size"), tower.get("num_hidden_layers")))
    if name is None or size is None:
        return None
    default = 14 if "dinov2" in config["model_type"] else 16
    return name.format(
        size=size, patch=tower.get("patch_size", default), quick=f"_{QUICK}" if _is_quick(config) else ""
    )


def other_activation(config: dict[str, Any], model: str) -> str | None:
    """Return how a timm model's computation differs from a transformers configuration, None if it does not.

    CLIP's QuickGELU leaves no trace in the weights.
    """
    if not is_of_transformers(config) or _is_quick(config) == (QUICK in model):
        return None
    given = "QuickGELU" if _is_quick(config) else "GELU"
    better = timm_name(config) or f"the model of its size {'with' if _is_quick(config) else 'without'} {QUICK}"
    return (
        f"config.json beside its weights says that {said_of(config)} has {given}, which {model} has not; take {better}"
    )


def _is_quick(config: dict[str, Any]) -> bool:
    tower = config.get("vision_config") or config
    of_clip = str(config["model_type"]).startswith("clip")
    return tower.get("hidden_act", "quick_gelu" if of_clip else "gelu") == "quick_gelu"


def cfg_beside(folder: Path) -> dict[str, Any]:
    """Return the settings of `preprocessor_config.json` in a folder, with the keys of timm's `pretrained_cfg`."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return {}
    said = read_json(path)
    cfg: dict[str, Any] = {}
    if not said.get("do_normalize", True):
        cfg |= {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    else:
        cfg |= {ours: said[theirs] for theirs, ours in (("image_mean", "mean"), ("image_std", "std")) if theirs in said}
    if (interpolation := INTERPOLATIONS.get(said.get("resample"))) is not None:
        cfg["interpolation"] = interpolation
    size, crop = _sides(said.get("size")), _sides(said.get("crop_size"))
    if said.get("do_center_crop") and crop:
        cfg |= {"input_size": (3, *crop), "crop_mode": "center"} | ({"crop_pct": crop[0] / size[0]} if size else {})
    elif size:
        cfg |= {"input_size": (3, *size), "crop_pct": 1.0, "crop_mode": "squash"}
    return cfg


def _sides(size: Any) -> tuple[int, int] | None:
    """Return rows and columns of a transformers size: a number, both sides, or the shortest side."""
    if isinstance(size, dict):
        if "shortest_edge" in size:
            return (size["shortest_edge"],) * 2
        return (size["height"], size["width"]) if {"height", "width"} <= size.keys() else None
    return (size, size) if isinstance(size, int) else None
