"""Models of the study: built with timm, loaded from safetensors, asked for logits and block features.

Features are the residual stream after each block, before the final norm, class tokens removed, as [image, channel,
row, column] on the patch grid (timm `forward_intermediates`, `norm=False`).
"""

import difflib
import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file, save
from timm.layers import PatchEmbed
from torch import Tensor, nn

from .errors import StudyError
from .files import replacing, sha256
from .gpus import claim
from .objective import Outputs, Shape
from .spec.base import from_json, to_json
from .spec.images import View
from .spec.network import Model, ModelFacts
from .weights import check_safetensors

# The remedy where a result is damaged.
MAKE_AGAIN = "delete it and run the same command again"

# What networks call their blocks in timm; and what is none, where they call them otherwise.
BLOCK, STEM = re.compile("block|layer|stage"), "stem"


def build(model: Model, view: View) -> nn.Module:
    """Create the model with fresh weights (drawn from torch's global generator).

    Raises StudyError when timm does not know the name or refuses the arguments.
    """
    arguments = {
        "img_size": view.image_size, "in_chans": view.channels, "num_classes": view.classes, **model.args
    }  # fmt: skip
    if not timm.is_model(model.name):
        near = difflib.get_close_matches(model.name, timm.list_models(), n=1)
        hint = f"did you mean {near[0]}?" if near else "see timm.list_models()"
        raise StudyError(f"model.name: timm has no model {model.name!r}; {hint}")
    try:
        try:
            network = timm.create_model(model.name, **arguments)
        except TypeError as error:
            # Convolutional networks take images of any size and no such argument.
            if "img_size" not in str(error):
                raise
            network = timm.create_model(model.name, **{k: v for k, v in arguments.items() if k != "img_size"})
    except Exception as error:
        # Of wrong arguments timm and torch raise anything; what they say may have many lines.
        raise StudyError(
            f"model.args: timm cannot build {model.name} with {model.args} for images of {view.image_size} pixels "
            f"({_first_line(error)}); mend or remove an argument"
        ) from error
    if model.initialisation == "xavier":
        for module in network.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return network


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def describe(model: Model, view: View) -> ModelFacts:
    """Return what a model is, without allocating its weights.

    Raises StudyError when timm refuses the model, the model an image, or when timm knows no features of its blocks.
    """
    try:
        return _facts(model, view, "meta")
    except RuntimeError as error:
        # Some networks look at values, which there are none of on this device.
        if "meta tensors" not in str(error):
            raise
    return _facts(model, view, "cpu")


def _facts(model: Model, view: View, device: str) -> ModelFacts:
    with torch.device(device):
        network = build(model, view).eval()
        if not hasattr(network, "forward_intermediates") or not _numbered_blocks(network):
            raise StudyError(
                f"model.name: timm tells no features of blocks of {model.name} with {model.args}; choose a network "
                "with feature_info and forward_intermediates, such as one of ViT, DeiT, CaiT, Swin, ConvNeXt or ResNet"
            )
        images = torch.empty(1, view.channels, view.image_size, view.image_size)
        try:
            shapes = block_shapes(network, images)
        except Exception as error:
            if device == "meta" and "meta tensors" in str(error):
                raise
            raise StudyError(
                f"model.args: {model.name} with {model.args} does not give features of its blocks for an image of "
                f"{view.image_size} pixels ({_first_line(error)}); choose sizes that divide evenly"
            ) from error
    for module in network.modules():
        if isinstance(module, PatchEmbed) and not module.dynamic_img_pad:
            _check_border(model, view.image_size, module.patch_size)
    return ModelFacts(sum(p.numel() for p in network.parameters()), tuple(tuple(shape) for shape in shapes))


def _check_border(model: Model, image_size: int, patch: tuple[int, int]) -> None:
    """Raise StudyError where patches do not cover an image: timm would leave out its right and lower border."""
    if any(image_size % side for side in patch):
        near = max(1, round(image_size / patch[0])) * patch[0]
        raise StudyError(
            f"model.args: {model.name} cuts images into patches of {patch[0]} x {patch[1]} pixels, which do not cover "
            f"{image_size} (data.image_size); choose sizes that divide evenly, such as data.image_size {near}"
        )


def block_names(network: nn.Module) -> list[str]:
    """Return timm's module name of every block: `blocks.3` of a plain Transformer, `layers.1`, `layer2` of a stage.

    What a network calls features before its first block (a convolutional stem) is no block. Of a network that calls
    none of its features a block, a layer or a stage (`s1` of RegNet, `features.6` of VGG), all but a stem are blocks.
    """
    return [info["module"] for _, info in _numbered_blocks(network)]


def block_strides(network: nn.Module) -> list[float]:
    """Return the distance in pixels between neighbouring patch centres of every block's features."""
    return [float(info["reduction"]) for _, info in _numbered_blocks(network)]


def _numbered_blocks(network: nn.Module) -> list[tuple[int, dict[str, Any]]]:
    """Return (number in timm's `forward_intermediates`, what timm says of it) of every block."""
    infos = getattr(network, "feature_info", [])
    numbered = list(enumerate(infos if isinstance(infos, list) else infos.info))
    named = [(number, info) for number, info in numbered if BLOCK.search(info["module"])]
    return named or [(number, info) for number, info in numbered if STEM not in info["module"]]


def features(network: nn.Module, images: Tensor, blocks: list[int] | None = None) -> list[Tensor]:
    """Return the features [B, C, H, W] of all blocks (or of `blocks`, ascending) for images [B, C, H, W]."""
    return _intermediates(network, images, blocks, intermediates_only=True, stop_early=True)


def _intermediates(network: nn.Module, images: Tensor, blocks: list[int] | None, **options: bool):
    numbers = [number for number, _ in _numbered_blocks(network)]
    wanted = numbers if blocks is None else [numbers[block] for block in blocks]
    return network.forward_intermediates(images, indices=wanted, norm=False, **options)


@torch.no_grad()
def block_shapes(network: nn.Module, images: Tensor) -> list[Shape]:
    """Return (channels, rows, columns) of each block's features for images [B, C, H, W]."""
    return [Shape(*block.shape[1:]) for block in features(network, images)]


def run(network: nn.Module, images: Tensor, blocks: list[int], logits: bool = True) -> Outputs:
    """Return logits [B, K] (if asked for) and the features of `blocks` (ascending) of images [B, C, H, W]."""
    if not blocks:
        return Outputs(network(images))
    if not logits:
        return Outputs(None, dict(zip(blocks, features(network, images, blocks), strict=True)))
    # Said here, since Hiera by itself would stop at the last block that is asked for.
    final, intermediates = _intermediates(network, images, blocks, stop_early=False)
    return Outputs(network.forward_head(final), dict(zip(blocks, intermediates, strict=True)))


def save_weights(path: str | Path, network: nn.Module) -> None:
    """Write a module's parameters and buffers as safetensors, whole or not at all."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(state))


def load_weights(
    path: str | Path, network: nn.Module, expected_sha256: str | None = None, remedy: str = MAKE_AGAIN
) -> None:
    """Load safetensors into `network`, every name and shape exact, every value finite (float16, bfloat16: widened).

    Raises StudyError with `remedy` when the file is missing, damaged, not the expected one, or of another model.
    """
    if not Path(path).is_file():
        raise StudyError(f"{path}: no such weights file")
    if expected_sha256 is not None and (found := sha256(path)) != expected_sha256:
        raise StudyError(f"{path}: its sha256 is {found}, but the configuration expects {expected_sha256}")
    check_safetensors(path, remedy)
    state = load_file(path)
    if (said := _misfit(state, network.state_dict())) is not None:
        raise StudyError(f"{path}: does not fit the model in the configuration ({said}); {remedy}")
    network.load_state_dict(state, strict=True)
    for name, value in network.state_dict().items():
        if not value.isfinite().all():
            raise StudyError(f"{path}: {name} holds values that are not finite numbers (NaN or infinity); {remedy}")


def _misfit(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> str | None:
    """Return why weights are not those of a model; None when they are."""
    for difference, names in (("lacks", wanted.keys() - state.keys()), ("has too", state.keys() - wanted.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"it {difference} {min(names)}{more}"
    for name, value in state.items():
        if value.shape != wanted[name].shape:
            return f"{name} has shape {list(value.shape)}, the model {list(wanted[name].shape)}"
        if value.is_floating_point() != wanted[name].is_floating_point():
            return f"{name} holds {value.dtype}, the model {wanted[name].dtype}"
    return None


def device(gpus: int) -> torch.device:
    """Return this process's GPU if the job was given any and torch sees it, the CPU otherwise (said on stderr)."""
    if not gpus:
        return torch.device("cpu")
    # A job of SLURM sees its own GPUs, one for each process; elsewhere a process takes a free one.
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if "SLURM_JOB_ID" not in os.environ and claim() is not None:
        number = 0
    if torch.cuda.is_available():
        return torch.device("cuda", number)
    print("warning: this job was given a GPU but torch sees none; it runs on the CPU", file=sys.stderr)
    return torch.device("cpu")


def main() -> None:
    """Print the facts of the models given by owner as JSON on the command line, as one JSON object."""
    view, facts = from_json(View, sys.argv[1]), {}
    for owner, model in json.loads(sys.argv[2]).items():
        try:
            facts[owner] = asdict(describe(Model(**model), view))
        except StudyError as error:
            raise SystemExit(f"error: {owner}.{' '.join(str(error).split())}") from error
    print(to_json(facts))


if __name__ == "__main__":
    main()
