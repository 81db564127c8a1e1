"""Loads released weights from a file through timm's own filters, at any image size.

A common prefix is removed, and names of transformers are translated to timm's (`readings`). timm renames tensors of
other code bases (DINOv2, MAE, CLIP, ConvNeXt, Swin), resamples position grids and patches, and adapts the first
convolution to other channels. `fitting` judges missing and unused tensors: an unneeded head is dropped, another
architecture is refused.
"""

from pathlib import Path
from typing import Any

import torch
from timm.models import load_pretrained
from torch import nn

from ..errors import StudyError
from ..spec.images import View
from ..spec.network import Model
from .blocks import classes_of
from .build import build
from .fitting import Fitted, classifiers_of, filter_of, fitting, not_of, others_of, rows_of
from .weights import check_finite, check_state, load_weights, read_weights
from .weights_file import described, header, read_as

# Result of loading a file that fits exactly.
AS_IT_IS: dict[str, Any] = {
    "prefix": "", "others": [], "library": None, "resampled": {}, "missing": [], "unused": [], "renamed": False
}  # fmt: skip


def load_released(
    path: str | Path, network: nn.Module, model: Model, expected_sha256: str | None = None, remedy: str = ""
) -> dict[str, Any]:
    """Load released safetensors into `network`, built from `model`; print one line on what did not fit exactly.

    Weights of an architecture of this library must match the network exactly, since timm does not know it.

    Returns `prefix`, removed from all names; `others`, prefixes of further networks in the file that would fit;
    `library`, whose names were translated to timm's (None: none); `resampled`, name -> [shape in the file (None: under
    another name), shape in the network]; `missing`, tensors of the network that keep their initial values; `unused`,
    tensors of the file without a place; `renamed`, whether timm renamed tensors. float16 and bfloat16 are widened.

    Raises StudyError with `remedy` if the file is missing, damaged, not the expected one, of another architecture, has
    a head with another number of classes than the model's (unless that is 0), or values that are not finite.
    """
    if model.architecture:
        load_weights(path, network, expected_sha256, _of_architecture(model, remedy))
        return AS_IT_IS
    read = read_weights(path, expected_sha256, remedy)
    given = {name: value.float() if value.is_floating_point() else value for name, value in read.items()}
    timms = filter_of(model)
    fitted = fitting(path, given, network, model, timms, remedy)
    fits = {name: value for name, value in fitted.state.items() if name not in fitted.unused}
    if others_of(fits, network):
        # A first convolution with other channels; timm has nothing left to do for the head.
        classes, channels = classes_of(network), _channels(network)
        cfg = timms.cfg | {"num_classes": classes, "state_dict": fits}
        try:
            load_pretrained(network, cfg, num_classes=classes, in_chans=channels, strict=False)
        except RuntimeError as error:
            said = " ".join(str(error).split())[:300]
            raise StudyError(f"{not_of(path, model)}: {said}; {remedy}") from error
    else:
        network.load_state_dict(fits, strict=False)
    check_finite(path, network, remedy)
    loaded = _said(fitted, network)
    if said := described(loaded):
        print(f"{path}: {said}", flush=True)
    return loaded


def check_header(path: Path, model: Model, view: View, remedy: str) -> tuple[int, str | None]:
    """Return facts on released weights before loading: the number of classes of their head (0: none), and a note.

    The note says how their names are read, None if unchanged. Raises StudyError with `remedy` if names and shapes are
    of another architecture or other classes, as `load_released` does; nothing is checked if timm's filter needs values.
    """
    with torch.device("meta"):
        network = build(model, view)
        given = {
            name: torch.empty(tensor["shape"], dtype=torch.float32 if "F" in tensor["dtype"] else torch.int64)
            for name, tensor in header(path).items()
        }
        if model.architecture:
            check_state(path, given, network, _of_architecture(model, remedy))
            return classes_of(network), None
        timms = filter_of(model)
        try:
            reading, state, _, _, others = fitting(path, given, network, model, timms, remedy)
            note = read_as(reading.prefix, others, reading.library)
        except NotImplementedError:
            state, note = given, ""
    return next(iter(rows_of(state, classifiers_of(timms.cfg))), 0), f"{path}: {note}" if note else None


def _of_architecture(model: Model, remedy: str) -> str:
    (name,) = model.architecture
    return f"weights of {model.name} as it was released are not those of {name}; {remedy}"


def _channels(network: nn.Module) -> int:
    return next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), 3)


def _said(fitted: Fitted, network: nn.Module) -> dict[str, Any]:
    """Return the result of `load_released` for tensors that were read and filtered by timm."""
    wanted, state, given = network.state_dict(), fitted.state, fitted.reading.state
    kept = {value.untyped_storage().data_ptr() for value in state.values()}
    # Tensors that are in the filtered state neither by name nor by memory were dropped or resampled.
    gone = {n: v for n, v in given.items() if n not in state and v.untyped_storage().data_ptr() not in kept}
    memory = {value.untyped_storage().data_ptr() for value in given.values()}
    resampled: dict[str, list] = {}
    for name in sorted(wanted.keys() & state.keys()):
        new = wanted[name]
        if name in given and given[name].shape != new.shape and given[name].squeeze().shape != new.squeeze().shape:
            resampled[name] = [list(given[name].shape), list(new.shape)]
        elif name not in given and state[name].untyped_storage().data_ptr() not in memory and "pos" in name:
            before = [n for n, v in gone.items() if "pos" in n and v.shape[-1] == new.shape[-1]]
            old = list(gone.pop(before[0]).shape) if len(before) == 1 else None
            resampled[name] = [old, list(new.shape)]
    return {
        "prefix": fitted.reading.prefix,
        "others": list(fitted.others),
        "library": fitted.reading.library,
        "resampled": resampled,
        "missing": fitted.missing,
        "unused": sorted({*fitted.unused, *gone, *fitted.reading.left}),
        "renamed": any(name not in given for name in state),
    }
