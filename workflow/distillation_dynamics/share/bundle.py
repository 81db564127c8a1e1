"""A folder with one network that plain timm loads: `python -m distillation_dynamics.share.bundle STUDY ...`.

In: a finished study, and a variant with a seed or the name of a network. Out, in `results/<study>/bundles/<name>/`:
`model.safetensors` (the study's own file, byte for byte), `config.json`, and `README.md`, a model card; asked for,
`model.onnx`. timm loads the folder before it is called ready, and must give the same logits.
"""

import argparse
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..files import read_table, replacing, write_json, write_text
from ..jobs import provenance
from ..networks.weights_file import LOCAL
from . import card
from .members import Member, network, student

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
# Images that the check is made with, and how far logits may lie apart: other builds of one network, same arithmetic.
IMAGES, TOLERANCE = 4, 1e-5
# The optional extra `onnx`.
ONNX_NEEDS = ("onnx", "onnxruntime")


def write(study: str, variant: str | None, seed: int, name: str | None, onnx: bool = False) -> Path:
    """Write the bundle of a student or network; return its folder.

    Raises StudyError where it is not in the study, not finished, or not the same once timm has loaded it; and where
    ONNX is asked for without the packages that it needs.
    """
    if onnx and (missing := [name for name in ONNX_NEEDS if find_spec(name) is None]):
        raise StudyError(f"ONNX: {', '.join(missing)} not installed; pip install -e '.[onnx]', or leave ONNX out")
    folder, said = provenance.read(study)
    if variant is not None and name is None:
        member = student(folder, variant, seed)
    elif name is not None and variant is None:
        member = network(folder, said, name)
    else:
        raise StudyError("VARIANT, NETWORK: give one of them, VARIANT=soft SEED=0 or NETWORK=vit")
    out = folder / "bundles" / member.folder
    # Until all is checked it is no bundle.
    (out / CONFIG).unlink(missing_ok=True)
    with replacing(out / WEIGHTS) as temporary:
        shutil.copyfile(member.weights, temporary)
    original, images = _original(member)
    write_json(out / CONFIG, config_of(member, original))
    loaded = _by_timm(out)
    _check(out, original, loaded, images)
    if onnx:
        from .onnx import export

        export(loaded, images, out / "model.onnx")
    tables = {table: folder / f"summary/{table}.parquet" for table in ("summary", "runs")}
    tables["variants"] = folder / "statistics/variants.parquet"
    read = {table: read_table(path) for table, path in tables.items() if path.is_file()}
    write_text(out / CARD, card.document(member, said, read, onnx))
    return out


def _original(member: Member):
    """Return the network as the study has it, and a few made-up images in its view."""
    import torch

    from ..networks.build import build
    from ..networks.weights import load_weights

    built = build(member.model, member.view).eval()
    load_weights(member.weights, built, member.sha256)
    size = IMAGES, member.view.channels, member.view.image_size, member.view.image_size
    return built, torch.randn(size, generator=torch.Generator().manual_seed(0))


def config_of(member: Member, built) -> dict[str, Any]:
    """Return config.json of a network: its architecture and arguments, and how it sees images, as timm reads them."""
    model, view, known = member.model, member.view, built.pretrained_cfg
    arguments = {"in_chans": view.channels, **model.args}
    # Convolutional networks take images of any size, and have no such argument.
    fixed = bool(known.get("fixed_input_size"))
    if fixed:
        arguments = {"img_size": view.image_size} | arguments
    return {
        "architecture": model.name,
        "num_classes": model.classes,
        "num_features": built.num_features,
        "model_args": arguments,
        "pretrained_cfg": {
            "num_classes": model.classes,
            "input_size": [view.channels, view.image_size, view.image_size],
            "fixed_input_size": fixed,
            "interpolation": view.interpolation,
            "crop_pct": view.crop_fraction,
            "crop_mode": view.crop_mode,
            "mean": list(view.mean),
            "std": list(view.std),
            # timm adapts colour weights to other channels by it, and no others.
            "first_conv": known.get("first_conv") if view.channels == 3 else None,
            "classifier": known.get("classifier"),
            "custom_load": False,
        },
    }


def _by_timm(out: Path):
    import timm

    return timm.create_model(f"{LOCAL}{out}", pretrained=True).eval()


def _check(out: Path, original, loaded, images) -> None:
    """Raise StudyError where the network that timm loads says something else than that of the study."""
    import torch

    with torch.inference_mode():
        apart = (original(images) - loaded(images)).abs().max().item()
    if not apart <= TOLERANCE:
        (out / CONFIG).unlink()
        raise StudyError(f"{out}: timm loads another network from it, whose outputs lie {apart:.2g} from the study's")


def main(arguments: list[str]) -> str | None:
    """Write a bundle; return the sentence with which it failed, None where it did not."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.share.bundle", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("study", help="name of a finished study")
    parser.add_argument("--variant", help="of the student")
    parser.add_argument("--seed", type=int, default=0, help="of the student")
    parser.add_argument("--network", help="name of a network, instead of a student")
    parser.add_argument("--onnx", action="store_true", help="also as ONNX (pip install -e '.[onnx]')")
    given = parser.parse_args(arguments)
    try:
        out = write(given.study, given.variant, given.seed, given.network, given.onnx)
    except StudyError as error:
        return f"error: {error}"
    print(f'{out}: timm.create_model("{LOCAL}{out}", pretrained=True) loads it')
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
