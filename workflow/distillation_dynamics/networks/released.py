"""Weights as they were released, from a file: through timm's own filters, to whatever size the study looks at.

A prefix of all names is taken off, and names of transformers are brought to timm's (`readings`). timm renames what
other code bases call their tensors (DINOv2, MAE, CLIP, ConvNeXt, Swin), resamples position grids and patches, and
adapts the first convolution to other channels. What the file then has too few or too many of is told apart (`fitting`):
a head that is not asked for is left out, another architecture is refused.
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

# What a file that is just right is loaded as.
AS_IT_IS: dict[str, Any] = {
    "prefix": "", "others": [], "library": None, "resampled": {}, "missing": [], "unused": [], "renamed": False
}  # fmt: skip


def load_released(
    path: str | Path, network: nn.Module, model: Model, expected_sha256: str | None = None, remedy: str = ""
) -> dict[str, Any]:
    """Load released safetensors into `network`, built from `model`, and print in one line what did not fit as it was.

    Those of an architecture of this library must be just what its network holds, since timm knows no other of it.

    Returns it: `prefix`, what was taken off all names, and `others`, those of further networks in the file that would
    have fitted; `library`, whose names were brought to timm's (None: none's); `resampled`, name -> [shape in the file
    (None: of a tensor of another name), shape in the network]; `missing`, tensors of the network that keep what they
    were made with; `unused`, tensors of the file that the network has no place for; `renamed`, whether timm renamed
    tensors. Values of float16 and bfloat16 are widened.

    Raises StudyError with `remedy` when the file is missing, damaged, not the expected one, of another architecture,
    with a head of other classes than the model's (unless these are 0), or with values that are not finite.
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
        # A first convolution of other channels; of the head timm has nothing left to do.
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
    """Return what is known of released weights before any are loaded: the classes of their head (0: none), and a note.

    The note says how their names are read, None where they are as they are. Raises StudyError with `remedy` where names
    and shapes are those of another architecture or of other classes, as `load_released` does; where timm's filter needs
    values to tell, nothing is said here.
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
    """Return what `load_released` returns of tensors that were read, and of what timm's filter made of them."""
    wanted, state, given = network.state_dict(), fitted.state, fitted.reading.state
    kept = {value.untyped_storage().data_ptr() for value in state.values()}
    # What is in the filtered state neither by its name nor by its memory was left out or, of one tensor, resampled.
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
