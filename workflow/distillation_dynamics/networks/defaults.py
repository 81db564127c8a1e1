"""Default view of a network: as timm or transformers documents its weights."""

import re
from pathlib import Path
from typing import Any

from timm.layers import to_2tuple
from timm.models import get_pretrained_cfg

from ..errors import StudyError
from ..files import read_json
from ..spec.images import View
from ..spec.network import ModelQuery
from .beside import cfg_beside, is_of_transformers
from .weights_file import LOCAL, is_local

TIMMS = re.compile(r"hf-hub:timm/(?P<name>[^@]+)")


def pretrained_cfg(query: ModelQuery) -> dict[str, Any] | None:
    """Return timm's `pretrained_cfg` of released weights; None for a network without.

    In a local folder it is `config.json` next to the weights; otherwise timm's entry for the hub name
    (`timm/<model>.<tag>`) or the model's name. If transformers wrote that file, `preprocessor_config.json` overrides
    timm.
    """
    if query.released is None:
        return None
    beside: dict[str, Any] = {}
    if said := config_beside(query.released):
        if not is_of_transformers(said):
            known = said.get("pretrained_cfg", said)
            return known | {key: said[key] for key in ("num_classes",) if key in said}
        beside = cfg_beside(Path(query.released.removeprefix(LOCAL)))
    hub = TIMMS.match(query.released)
    cfg = None
    if hub and hub["name"].partition(".")[0] == query.name.partition(".")[0]:
        cfg = get_pretrained_cfg(hub["name"])
    cfg = cfg or get_pretrained_cfg(query.name)
    return beside or None if cfg is None else cfg.to_dict() | beside


def config_beside(released: str) -> dict[str, Any]:
    """Return `config.json` of a local folder of weights; empty if there is none."""
    path = Path(released.removeprefix(LOCAL)) / "config.json"
    return read_json(path) if released.startswith(LOCAL) and path.is_file() else {}


def view_of(query: ModelQuery) -> View:
    """Return a network's view: as the study sets it, else as its weights were trained, else timm's default.

    Raises StudyError if it is unknown, or if images would not be square.
    """
    known: dict[str, Any] = {} if query.default is None else dict(vars(query.default))
    if (cfg := pretrained_cfg(query)) is not None:
        names = {"mean": "mean", "std": "std", "crop_pct": "crop_fraction"}
        names |= {"interpolation": "interpolation", "crop_mode": "crop_mode"}
        known |= {ours: cfg[theirs] for theirs, ours in names.items() if cfg.get(theirs) is not None}
        if cfg.get("input_size") is not None:
            channels, *sides = cfg["input_size"]
            known |= {"channels": channels, "image_size": sides}
    known |= query.view
    for argument, name in (("img_size", "image_size"), ("in_chans", "channels")):
        if argument in query.args:
            known[name] = query.args[argument]
    if lacking := [name for name in ("channels", "image_size", "mean", "std") if name not in known]:
        raise StudyError(
            f"view: nothing says {' and '.join(lacking)} of the images that {query.name} sees; give "
            f"{'it' if len(lacking) == 1 else 'them'} there"
        )
    rows, columns = to_2tuple(known["image_size"])
    if rows != columns:
        raise StudyError(
            f"view.image_size: {query.name} sees images of {rows} x {columns} pixels; give one number, for square ones"
        )
    for name in ("mean", "std"):
        known[name] = tuple(float(value) for value in known[name])
        if len(known[name]) != known["channels"]:
            raise StudyError(
                f"view.{name}: has {len(known[name])} values, but the images have {known['channels']} channels; give "
                f"view.{name} with one a channel"
            )
    return View(**known | {"image_size": int(rows)})


def size_is_said(query: ModelQuery) -> bool:
    """Return whether the study or the weights' `config.json` gives the image size of a network itself."""
    if "image_size" in query.view or "img_size" in query.args:
        return True
    released = query.released or ""
    if not released.startswith(LOCAL):
        return not is_local(released)
    said = config_beside(released)
    if is_of_transformers(said):
        said = cfg_beside(Path(released.removeprefix(LOCAL)))
    return said.get("pretrained_cfg", said).get("input_size") is not None
