"""Decides whether released weights fit a network, in one of the readings of their names, through timm's filter."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import timm
import torch
from timm.models import _builder
from torch import Tensor, nn

from ..errors import StudyError
from ..spec.network import Model
from . import hugging_face
from .blocks import classes_of
from .build import create, without_values
from .readings import TRANSFORMERS, Reading, fit_of, is_average, readings
from .weights_file import HUB, listed

# timm's names of norms that only one kind of pooling has. A file made with another pooling lacks them; they then keep
# their initial values (1 and 0). A network without them ignores them.
LAST_NORMS = ("norm", "fc_norm", "head.norm")
# Parts that a network reads with besides its norm and classifier.
HEADS = (*LAST_NORMS, "attn_pool", "head_drop", "pre_logits")
# Tokens: without them a network computes something else.
TOKENS = ("cls_token", "dist_token", "reg_token", "pos_embed")
# Counter of a batch norm, without effect on outputs.
COUNTERS = "num_batches_tracked"


class Filter(NamedTuple):
    """timm's way to load a model's released weights: its entry for them, and its filter of state dicts (or None)."""

    cfg: dict[str, Any]
    through: Callable[..., dict[str, Tensor]] | None


class Fitted(NamedTuple):
    """Tensors as the network takes them, how their names were read, and what is missing or unused.

    `others`: prefixes of other networks in the same file that would fit, too.
    """

    reading: Reading
    state: dict[str, Tensor]
    missing: list[str]
    unused: list[str]
    others: tuple[str, ...] = ()


def filter_of(model: Model) -> Filter:
    """Return how timm would load released weights of this model, intercepted just before it does so."""
    caught: list[Filter] = []

    def catch(network: nn.Module, pretrained_cfg: dict, filter_fn: Callable | None = None, **_: Any) -> None:
        caught.append(Filter(pretrained_cfg, filter_fn))

    arguments = {"num_classes": model.classes, **model.args}
    with mock.patch.object(_builder, "load_pretrained", catch), torch.random.fork_rng(devices=[]):
        without_values(lambda: create(model.name, arguments, pretrained=True))
    return caught[-1] if caught else Filter({}, None)


def fitting(
    path: str | Path, given: dict[str, Tensor], network: nn.Module, model: Model, timms: Filter, remedy: str
) -> Fitted:
    """Return the tensors in the reading of their names that fits the network: as they are, else without a prefix.

    Of several networks in one file the weight average of a training is used (a teacher, an EMA). Raises StudyError if
    no reading fits, or if several fit and none is an average; names the faults of the nearest reading.
    """
    wanted = network.state_dict().keys()
    fits: list[Fitted] = []
    faults: list[tuple[Reading, StudyError]] = []
    for reading in readings(given, wanted):
        named = f"{path} (its names without {reading.prefix})" if reading.prefix else path
        try:
            fits.append(Fitted(reading, *_fitted(named, reading.state, network, model, timms, remedy)))
        except StudyError as error:
            faults.append((reading, error))
        if fits and not reading.prefix:
            return fits[0]
    if fits:
        return _one_of(path, fits, remedy)
    nearest, fault = max(faults, key=lambda one: fit_of(one[0], wanted))
    kind = hugging_face.kind_of(given)
    if kind is None or nearest.library or fit_of(nearest, wanted) > len(wanted) / 2:
        raise fault
    names = timm.list_pretrained(f"{model.name}.*")
    raise StudyError(
        f"{path}: has the names of {TRANSFORMERS} ({kind}); those of its ViT, DeiT, DINOv2 and CLIP vision are brought "
        f"to those of timm, no others, and {model.name} is to be such a network; take timm's own weights ("
        f"{HUB}timm/{names[0] if names else 'name'}), or the model that these are of; {remedy}"
    ) from fault


def _one_of(path: str | Path, fits: list[Fitted], remedy: str) -> Fitted:
    """Return the network to use of those in a file; raise StudyError if the choice is unclear."""
    prefixes = tuple(fit.reading.prefix for fit in fits)
    taken = fits if len(fits) == 1 else [fit for fit in fits if is_average(fit.reading.prefix)]
    if len(taken) != 1:
        raise StudyError(
            f"{path}: holds {len(fits)} networks that fit ({', '.join(prefixes)}); write the tensors of one of them to "
            f"a file of their own; {remedy}"
        )
    (fit,) = taken
    return fit._replace(others=tuple(prefix for prefix in prefixes if prefix != fit.reading.prefix))


def _fitted(
    path: str | Path, given: dict[str, Tensor], network: nn.Module, model: Model, timms: Filter, remedy: str
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Return the output of timm's filter, and what of the network is missing and what of the file is unused.

    Raises StudyError if these are not weights of such a network.
    """
    # A copy, since filters may change the dictionary.
    state = dict(given)
    if timms.through is not None:
        try:
            # Some filters do not need the network.
            alone = len(inspect.signature(timms.through).parameters) == 1
            state = timms.through(state) if alone else timms.through(state, network)
        except Exception as error:
            if "meta" in str(error):
                # Tensors without values, from a header.
                raise NotImplementedError from error
            # Filters raise any kind of error for unexpected names and shapes.
            why = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
            raise StudyError(f"{not_of(path, model)}: timm cannot convert it ({why}); {remedy}") from error
    classifiers = classifiers_of(timms.cfg)
    _check_head(path, state, network, classifiers, remedy)
    wanted = network.state_dict()
    missing = sorted(name for name in wanted.keys() - state.keys() if not name.endswith(COUNTERS))
    unused = sorted(state.keys() - wanted.keys())
    said = _of_another(network, missing, unused, classifiers)
    # The first convolution may have other input channels than in the file.
    first = timms.cfg.get("first_conv") or ()
    firsts = {f"{name}.weight" for name in ([first] if isinstance(first, str) else first)}
    others = [
        name for name in others_of({k: v for k, v in state.items() if k in wanted}, network) if name not in firsts
    ]
    if said is None and others:
        name = min(others)
        said = f"{name} has shape {list(state[name].shape)}, the model {list(wanted[name].shape)}"
    if said is not None:
        raise StudyError(f"{not_of(path, model)}: {said}; {remedy}")
    return state, missing, unused


def others_of(state: dict[str, Tensor], network: nn.Module) -> list[str]:
    """Return the names of tensors whose shape differs from the network's."""
    wanted = network.state_dict()
    return [name for name, value in state.items() if value.shape != wanted[name].shape]


def _check_head(
    path: str | Path, state: dict[str, Tensor], network: nn.Module, classifiers: tuple[str, ...], remedy: str
) -> None:
    """Raise StudyError if the head in a file differs from the network's head, if it has one."""
    classes, wanted, rows = classes_of(network), network.state_dict(), rows_of(state, classifiers)
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
    """Return why weights belong to another architecture; None if at most a head or last norm differs."""
    if lacking := [name for name in missing if name.rpartition(".")[0] not in LAST_NORMS]:
        return f"it lacks {listed(lacking)}"
    trained = {name.partition(".")[0] for name, _ in network.named_children()}
    heads = {name.partition(".")[0] for name in (*classifiers, *HEADS)}

    def changes(name: str) -> bool:
        first = name.partition(".")[0]
        if name in TOKENS:
            return True
        # Old files hold indices and masks that networks now create themselves.
        by_itself = name.endswith(("relative_position_index", "relative_coords_table", "attn_mask", COUNTERS))
        return first in trained and first not in heads and not by_itself

    if too_many := [name for name in unused if changes(name)]:
        return f"it has {listed(too_many)}, of which the model has no place"
    return None


def classifiers_of(cfg: dict[str, Any]) -> tuple[str, ...]:
    """Return timm's names of a network's heads."""
    names = cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def rows_of(state: dict[str, Tensor], classifiers: tuple[str, ...]) -> list[int]:
    """Return the number of classes of each head in a file."""
    return [len(state[f"{name}.weight"]) for name in classifiers if f"{name}.weight" in state]


def not_of(path: str | Path, model: Model) -> str:
    """Return the beginning of a message that weights are not those of a model."""
    return f"{path}: is not this architecture ({model.name} with {model.args})"
