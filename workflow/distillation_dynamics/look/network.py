"""Derives the configuration of a network from the released weights a user names: on a hub, in a folder, or a file."""

import json
import os
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from ..errors import StudyError
from ..files import read_json
from ..networks.beside import is_of_transformers, said_of, timm_name
from ..networks.weights_file import HUB, LOCAL

# Keys of a study, and of timm's `pretrained_cfg`.
VIEW = {"mean": "mean", "std": "std", "crop_pct": "crop_fraction", "crop_mode": "crop_mode"}
INTERPOLATIONS = ("bilinear", "bicubic")
# Model arguments that a study sets in its view.
IN_VIEW = {"img_size": "image_size", "in_chans": "channels"}


def network_of(network: str, model: str | None, size: int | None) -> tuple[dict[str, Any], str]:
    """Return the configuration of a network with input size `size` in pixels (None: that of its weights), and a name.

    `model`: its timm name, if nothing next to the weights gives it. Raises StudyError if the model is unknown.
    """
    if not network:
        raise StudyError(f"NETWORK: is not given; name one, such as NETWORK={HUB}timm/vit_small_patch16_224.dino@main")
    path = Path(os.path.expanduser(network.removeprefix(LOCAL)))
    on_hub = network.startswith(HUB)
    if on_hub:
        repository, _, revision = network.removeprefix(HUB).partition("@")
        revision = revision or "main"
        config = _config_of_hub(repository, revision)
        weights, named, source = f"{HUB}{repository}@{revision}", repository.rpartition("/")[2], "timm"
    elif path.is_dir():
        beside = path / "config.json"
        config = read_json(beside) if beside.is_file() else {}
        weights, named, source = f"{LOCAL}{path}", path.absolute().name, "timm"
    elif path.is_file():
        config, weights, named, source = {}, str(path), path.stem, "checkpoint"
    else:
        raise StudyError(f"NETWORK: {network} is no file or folder; give one, or {HUB}owner/name of a hub")
    model = model or config.get("architecture") or timm_name(config)
    if model is None and is_of_transformers(config):
        raise StudyError(
            f"NETWORK: config.json of {network} is that of transformers ({said_of(config)}), which names no model of "
            "timm; give its name, MODEL=vit_small_patch16_224; ViT, DeiT, DINOv2 and CLIP's vision are read, of others "
            "take timm's own weights"
        )
    if model is None:
        raise StudyError(
            f"NETWORK: nothing next to the weights of {network} names their timm model; give its name, "
            "MODEL=vit_small_patch16_224"
        )
    args, view = dict(config.get("model_args") or {}), {}
    said = {ours: args.pop(theirs) for theirs, ours in IN_VIEW.items() if theirs in args}
    if on_hub:
        # For local weights the plan reads it.
        cfg = config.get("pretrained_cfg", config)
        args["num_classes"], view = config.get("num_classes", cfg.get("num_classes", 0)), _view(cfg)
    view |= said | ({} if size is None else {"image_size": size})
    given = {"source": source, "model": {"name": model} | ({"args": args} if args else {}), "weights": weights}
    return given | ({"view": view} if view else {}), named


def _view(cfg: dict[str, Any]) -> dict[str, Any]:
    """Return the preprocessing for weights from a hub, as far as their configuration gives it."""
    view = {ours: cfg[theirs] for theirs, ours in VIEW.items() if cfg.get(theirs) is not None}
    if cfg.get("interpolation") in INTERPOLATIONS:
        view["interpolation"] = cfg["interpolation"]
    if cfg.get("input_size"):
        channels, rows, columns = cfg["input_size"]
        view |= {"channels": channels} | ({"image_size": rows} if rows == columns else {})
    return view


def _config_of_hub(repository: str, revision: str) -> dict[str, Any]:
    """Return `config.json` of a hub's repository; empty if there is none."""
    try:
        return json.loads(Path(hf_hub_download(repository, "config.json", revision=revision)).read_text("utf-8"))
    except LocalEntryNotFoundError as error:
        raise StudyError(
            f"NETWORK: the hub cannot be reached for {repository}@{revision}; look on a machine with "
            "internet access, or copy the repository and give the folder"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StudyError(
            f"NETWORK: config.json of {repository}@{revision} cannot be had ({reason}); give {HUB}owner/name of a "
            "repository that exists"
        ) from error
    except ValueError as error:
        raise StudyError(f"NETWORK: config.json of {repository}@{revision} is not valid JSON ({error})") from error
