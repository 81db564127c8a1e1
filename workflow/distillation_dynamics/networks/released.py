"""Weights as they were released, from a file: through timm's own filters, to whatever size the study looks at.

timm renames what other code bases call their tensors (DINOv2, MAE, CLIP, ConvNeXt, Swin), resamples position grids and
patches, and adapts the first convolution to other channels. What the file then has too few or too many of is told
apart: a head that is not asked for is left out, another architecture is refused.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from timm.models import _builder, clean_state_dict, load_pretrained
from torch import Tensor, nn

from ..errors import StudyError
from ..spec.images import View
from ..spec.network import Model
from .blocks import classes_of
from .build import build, create, without_values
from .weights import check_finite, check_state, load_weights, read_weights
from .weights_file import header

# Norms that only one way of pooling has, as timm calls them: left as made (1 and 0) where a file lacks them, since
# another way was pooled there, and left out where the network has no use for them.
LAST_NORMS = ("norm", "fc_norm", "head.norm")
# What a network reads with besides its norm and its classifier.
HEADS = (*LAST_NORMS, "attn_pool", "head_drop", "pre_logits")
# Tokens: without them a network computes something else.
TOKENS = ("cls_token", "dist_token", "reg_token", "pos_embed")
# Of a batch norm: counts what was seen in training, and changes nothing.
COUNTERS = "num_batches_tracked"
# Names that a sentence lists.
LISTED = 3


class Filter(NamedTuple):
    """How timm loads released weights of a model: what it knows of them, and what it puts a state through (or None)."""

    cfg: dict[str, Any]
    through: Callable[..., dict[str, Tensor]] | None


def load_released(
    path: str | Path, network: nn.Module, model: Model, expected_sha256: str | None = None, remedy: str = ""
) -> dict[str, Any]:
    """Load released safetensors into `network`, built from `model`, and print in one line what did not fit as it was.

    Those of an architecture of this library must be just what its network holds, since timm knows no other of it.

    Returns it: `resampled`, name -> [shape in the file (None: of a tensor of another name), shape in the network];
    `missing`, tensors of the network that keep what they were made with; `unused`, tensors of the file that the network
    has no place for; `renamed`, whether timm renamed tensors. Values of float16 and bfloat16 are widened.

    Raises StudyError with `remedy` when the file is missing, damaged, not the expected one, of another architecture,
    with a head of other classes than the model's (unless these are 0), or with values that are not finite.
    """
    if model.architecture:
        load_weights(path, network, expected_sha256, _of_architecture(model, remedy))
        return {"resampled": {}, "missing": [], "unused": [], "renamed": False}
    read = clean_state_dict(read_weights(path, expected_sha256, remedy))
    given = {name: value.float() if value.is_floating_point() else value for name, value in read.items()}
    timms = filter_of(model)
    state, missing, unused = _fitted(path, given, network, model, timms, remedy)
    fitting = {name: value for name, value in state.items() if name not in unused}
    if _others(fitting, network):
        # A first convolution of other channels; of the head timm has nothing left to do.
        classes, channels = classes_of(network), _channels(network)
        cfg = timms.cfg | {"num_classes": classes, "state_dict": fitting}
        try:
            load_pretrained(network, cfg, num_classes=classes, in_chans=channels, strict=False)
        except RuntimeError as error:
            said = " ".join(str(error).split())[:300]
            raise StudyError(f"{_where(path, model)}: {said}; {remedy}") from error
    else:
        network.load_state_dict(fitting, strict=False)
    check_finite(path, network, remedy)
    loaded = _said(given, state, network, missing, unused)
    _print(path, loaded)
    return loaded


def check_header(path: Path, model: Model, view: View, remedy: str) -> int:
    """Return how many classes the head in a file of released weights has, 0 for none, before anything is loaded.

    Raises StudyError with `remedy` where names and shapes are those of another architecture or of other classes, as
    `load_released` does; where timm's filter needs values to tell, nothing is said here.
    """
    with torch.device("meta"):
        network = build(model, view)
        given = {
            name: torch.empty(tensor["shape"], dtype=torch.float32 if "F" in tensor["dtype"] else torch.int64)
            for name, tensor in header(path).items()
        }
        if model.architecture:
            check_state(path, given, network, _of_architecture(model, remedy))
            return classes_of(network)
        timms = filter_of(model)
        try:
            state, _, _ = _fitted(path, clean_state_dict(given), network, model, timms, remedy)
        except NotImplementedError:
            state = given
    return next(iter(_rows(state, _classifiers(timms.cfg))), 0)


def _of_architecture(model: Model, remedy: str) -> str:
    (name,) = model.architecture
    return f"weights of {model.name} as it was released are not those of {name}; {remedy}"


def _where(path: str | Path, model: Model) -> str:
    return f"{path}: is not this architecture ({model.name} with {model.args})"


def _fitted(
    path: str | Path, given: dict[str, Tensor], network: nn.Module, model: Model, timms: Filter, remedy: str
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Return what timm's filter makes of tensors, what the network lacks of it, and what it has no place for.

    Raises StudyError where these are not the weights of such a network.
    """
    # What a filter does to the dictionary itself stays in a copy.
    state = dict(given)
    if timms.through is not None:
        try:
            # Some filters know what to do without the network.
            alone = len(inspect.signature(timms.through).parameters) == 1
            state = timms.through(state) if alone else timms.through(state, network)
        except Exception as error:
            if "meta" in str(error):
                # Of values that are not there: those of a header.
                raise NotImplementedError from error
            # Of names and shapes that it does not expect a filter raises anything.
            why = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            raise StudyError(f"{_where(path, model)}: timm cannot convert it ({why}); {remedy}") from error
    classifiers = _classifiers(timms.cfg)
    _check_head(path, state, network, classifiers, remedy)
    wanted = network.state_dict()
    missing = sorted(name for name in wanted.keys() - state.keys() if not name.endswith(COUNTERS))
    unused = sorted(state.keys() - wanted.keys())
    said = _of_another(network, missing, unused, classifiers)
    # The first convolution may see other channels than it did.
    first = timms.cfg.get("first_conv") or ()
    firsts = {f"{name}.weight" for name in ([first] if isinstance(first, str) else first)}
    others = [name for name in _others({k: v for k, v in state.items() if k in wanted}, network) if name not in firsts]
    if said is None and others:
        name = min(others)
        said = f"{name} has shape {list(state[name].shape)}, the model {list(wanted[name].shape)}"
    if said is not None:
        raise StudyError(f"{_where(path, model)}: {said}; {remedy}")
    return state, missing, unused


def _others(state: dict[str, Tensor], network: nn.Module) -> list[str]:
    """Return the names of tensors of another shape than the network's."""
    wanted = network.state_dict()
    return [name for name, value in state.items() if value.shape != wanted[name].shape]


def filter_of(model: Model) -> Filter:
    """Return how timm itself would load released weights of this model: caught where it is about to do so."""
    caught: list[Filter] = []

    def catch(network: nn.Module, pretrained_cfg: dict, filter_fn: Callable | None = None, **_: Any) -> None:
        caught.append(Filter(pretrained_cfg, filter_fn))

    arguments = {"num_classes": model.classes, **model.args}
    with mock.patch.object(_builder, "load_pretrained", catch), torch.random.fork_rng(devices=[]):
        without_values(lambda: create(model.name, arguments, pretrained=True))
    return caught[-1] if caught else Filter({}, None)


def _channels(network: nn.Module) -> int:
    return next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), 3)


def _classifiers(cfg: dict[str, Any]) -> tuple[str, ...]:
    names = cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _rows(state: dict[str, Tensor], classifiers: tuple[str, ...]) -> list[int]:
    """Return how many classes each head in a file has."""
    return [len(state[f"{name}.weight"]) for name in classifiers if f"{name}.weight" in state]


def _check_head(
    path: str | Path, state: dict[str, Tensor], network: nn.Module, classifiers: tuple[str, ...], remedy: str
) -> None:
    """Raise StudyError where the head in a file is not that of the network, if that has one."""
    classes, wanted, rows = classes_of(network), network.state_dict(), _rows(state, classifiers)
    if classes == 0:
        return
    if not rows and any(f"{name}.weight" in wanted for name in classifiers):
        raise StudyError(
            f"{path}: has no head, but the model has one of {classes} classes; set num_classes: 0 in its args; {remedy}"
        )
    if rows and rows[0] != classes:
        raise StudyError(
            f"{path}: its head has {rows[0]} classes, but the model's has {classes}; set num_classes: {rows[0]} in its "
            f"args, or 0 to leave the head out; {remedy}"
        )


def _of_another(network: nn.Module, missing: list[str], unused: list[str], classifiers: tuple[str, ...]) -> str | None:
    """Return why weights are those of another architecture; None where no more than a head or a last norm differs."""
    if lacking := [name for name in missing if name.rpartition(".")[0] not in LAST_NORMS]:
        return f"it lacks {_listed(lacking)}"
    trained = {name.partition(".")[0] for name, _ in network.named_children()}
    heads = {name.partition(".")[0] for name in (*classifiers, *HEADS)}

    def changes(name: str) -> bool:
        first = name.partition(".")[0]
        if name in TOKENS:
            return True
        # Indices and masks that a network now makes by itself lie in old files.
        by_itself = name.endswith(("relative_position_index", "relative_coords_table", "attn_mask", COUNTERS))
        return first in trained and first not in heads and not by_itself

    if too_many := [name for name in unused if changes(name)]:
        return f"it has {_listed(too_many)}, of which the model has no place"
    return None


def _said(
    given: dict[str, Tensor], state: dict[str, Tensor], network: nn.Module, missing: list[str], unused: list[str]
) -> dict[str, Any]:
    """Return what `load_released` returns: `given` is what the file holds, `state` what timm's filter made of it."""
    wanted = network.state_dict()
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
    renamed = any(name not in given for name in state)
    return {"resampled": resampled, "missing": missing, "unused": sorted({*unused, *gone}), "renamed": renamed}


def _listed(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _print(path: str | Path, loaded: dict[str, Any]) -> None:
    """Say in one line what was changed; nothing where all was as it should be."""
    parts = [f"{name} resampled from {old} to {new}" for name, (old, new) in loaded["resampled"].items()]
    if len(parts) > LISTED:
        parts = [f"{len(parts)} tensors resampled, such as {parts[0].replace(' resampled', '')}"]
    parts += [f"{what}: {_listed(loaded[key])}" for key, what in (("missing", "left as made"), ("unused", "not used"))
              if loaded[key]]  # fmt: skip
    if loaded["renamed"]:
        parts.append("names translated by timm")
    if parts:
        print(f"{path}: {'; '.join(parts)}", flush=True)
