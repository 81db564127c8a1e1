"""Builds networks with timm from name and arguments, and describes them without their weights."""

import difflib
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import timm
import torch
from torch import nn

from ..errors import StudyError
from ..spec.images import View
from ..spec.network import Footprint, Model, NetworkSize
from .blocks import block_strides, numbered_blocks
from .border import leaving_out, left_out, not_divided
from .footprint import footprint_of
from .parts import size_of

Made = TypeVar("Made")
# torch's message when code reads values of a tensor without values.
NO_VALUES = "meta tensors"


def build(model: Model, view: View) -> nn.Module:
    """Create the network with fresh weights (drawn from torch's global generator); with 0 classes it has no head.

    Raises StudyError if timm does not know the name or refuses the arguments, or the architecture does not fit.
    """
    arguments = {
        "img_size": view.image_size, "in_chans": view.channels, "num_classes": model.classes, **model.args
    }  # fmt: skip
    if not timm.is_model(model.name):
        raise unknown(model.name)

    def make(**changes: Any) -> nn.Module:
        """Build the timm model with changed arguments; the architecture reports errors in the changes."""
        try:
            return create(model.name, arguments | changes)
        except Exception as error:
            if changes:
                raise
            # For wrong arguments timm and torch raise any kind of error, with messages of several lines.
            raise StudyError(
                f"model.args: timm cannot build {model.name} with {model.args} for images of {view.image_size} pixels "
                f"({_first_line(error)}); fix or remove an argument"
            ) from error

    network = _modified(model, make) if model.architecture else make()
    if model.initialisation == "xavier":
        for module in network.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return network


def _modified(model: Model, make: Callable[..., nn.Module]) -> nn.Module:
    """Return a model's network as modified by its architecture."""
    ((name, options),) = model.architecture.items()
    try:
        return import_module(f".architectures.{name}", __package__).modify(make, **options)
    except StudyError:
        raise
    except Exception as error:
        raise misfit(model, error) from error


def misfit(model: Model, why: str | Exception) -> StudyError:
    """Return the error for an architecture that does not fit its model; a ValueError's text is used as it is."""
    (name,) = model.architecture
    said = _first_line(why) if isinstance(why, Exception) else why
    said = said.removeprefix("ValueError: ")
    return StudyError(
        f"model.architecture.{name}: does not fit {model.name} with {model.args} ({said}); choose another architecture "
        "or model, or fix an option"
    )


def unknown(name: str) -> StudyError:
    """Return the error for a name unknown to timm."""
    near = difflib.get_close_matches(name, timm.list_models(), n=1)
    hint = f"did you mean {near[0]}?" if near else "see timm.list_models()"
    return StudyError(f"model.name: timm has no model {name!r}; {hint}")


def create(name: str, arguments: dict, **options) -> nn.Module:
    """Call `timm.create_model`, without an image size if the network accepts any."""
    try:
        return timm.create_model(name, **options, **arguments)
    except TypeError as error:
        # Convolutional networks have no such argument.
        if "img_size" not in str(error):
            raise
    return timm.create_model(name, **options, **{k: v for k, v in arguments.items() if k != "img_size"})


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def without_values(make: Callable[[], Made]) -> Made:
    """Return `make()` built of tensors without values, or on the CPU if the network reads values."""
    try:
        with torch.device("meta"):
            return make()
    except (RuntimeError, StudyError) as error:
        if NO_VALUES not in str(error):
            raise
    return make()


def describe(model: Model, view: View) -> tuple[int, NetworkSize, Footprint]:
    """Return a network's number of parameters, sizes and cost per image without allocating weights.

    Raises StudyError if timm refuses the model, the model refuses an image, or timm gives no features of its blocks.
    """
    return without_values(lambda: _describe(model, view))


@torch.no_grad()
def _describe(model: Model, view: View) -> tuple[int, NetworkSize, Footprint]:
    network = build(model, view).eval()
    if not hasattr(network, "forward_intermediates") or not numbered_blocks(network):
        raise StudyError(
            f"model.name: timm gives no block features for {model.name} with {model.args}; choose a network "
            "with feature_info and forward_intermediates, such as one of ViT, DeiT, CaiT, Swin, ConvNeXt or ResNet"
        )
    side = view.image_size
    images = torch.empty(1, view.channels, side, side)
    with leaving_out(network, side) as cuts:
        try:
            size = size_of(network, images)
        except Exception as error:
            if NO_VALUES in str(error):
                raise
            if cuts:
                raise left_out(model, side, cuts[0]) from error
            patch, *others = {round(stride) for stride in block_strides(network)}
            if side % patch and not others:
                # A Transformer that cuts patches by reshaping the image, such as NaFlexVit.
                raise not_divided(model, side, patch) from error
            raise StudyError(
                f"model.args: {model.name} with {model.args} does not give features of its blocks for an image of "
                f"{side} pixels ({_first_line(error)}); choose sizes that divide evenly"
            ) from error
    if cuts:
        raise left_out(model, side, cuts[0])
    return sum(p.numel() for p in network.parameters()), size, footprint_of(network, images)
