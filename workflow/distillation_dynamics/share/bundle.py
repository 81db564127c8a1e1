"""A folder with one network that plain timm loads: `python -m distillation_dynamics.share.bundle STUDY ...`.

In: a finished study, and a variant with a seed or the name of a network. Out, in `results/<study>/bundles/<name>/`:
`model.safetensors` (the study's own file, byte for byte), `config.json`, and `README.md`, a model card; asked for,
`model.onnx`. timm loads the folder before it is called ready, and must give the same logits.
"""

import argparse
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from ..errors import StudyError
from ..files import read_table, write_text
from ..jobs import provenance
from ..networks.weights_file import LOCAL
from . import card
from .members import Member, network, student

WEIGHTS, CARD = "model.safetensors", "README.md"
# Images that the check is made with, and how far logits may lie apart: other builds of one network, same arithmetic.
IMAGES, TOLERANCE = 4, 1e-5
# What timm knows of an architecture, whatever its weights.
OF_ARCHITECTURE = ("architecture", "input_size", "num_classes", "pool_size", "classifier")
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
    tables = {table: folder / f"summary/{table}.parquet" for table in ("summary", "runs")}
    tables["variants"] = folder / "statistics/variants.parquet"
    read = {table: read_table(path) for table, path in tables.items() if path.is_file()}
    # Until all is checked it is no bundle.
    unchecked = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        original, images = _original(member)
        save(member, original, unchecked)
        loaded = _loaded(unchecked, original, images)
        if onnx:
            from .onnx import export

            export(loaded, images, unchecked / "model.onnx")
        write_text(unchecked / CARD, card.document(member, said, read, onnx))
        shutil.rmtree(out, ignore_errors=True)
        unchecked.rename(out)
    finally:
        shutil.rmtree(unchecked, ignore_errors=True)
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


def save(member: Member, built, folder: Path) -> None:
    """Write weights and config.json of a network as timm reads them: architecture, arguments, how it sees images."""
    from timm.models import save_for_hf

    view = member.view
    seen = {
        "input_size": (view.channels, view.image_size, view.image_size), "interpolation": view.interpolation,
        "crop_pct": view.crop_fraction, "crop_mode": view.crop_mode, "mean": view.mean, "std": view.std,
    }  # fmt: skip
    # Not what timm knows of weights from elsewhere, such as their licence.
    built.pretrained_cfg = {key: built.pretrained_cfg.get(key) for key in OF_ARCHITECTURE}
    save_for_hf(built, str(folder), safe_serialization=True, data_config=seen)
    # The study's own file: its sha256 stands in the card.
    shutil.copyfile(member.weights, folder / WEIGHTS)


def _loaded(folder: Path, original, images):
    """Return the network that timm loads; raise StudyError where it says something else than that of the study."""
    import timm
    import torch

    loaded = timm.create_model(f"{LOCAL}{folder}", pretrained=True).eval()
    with torch.inference_mode():
        apart = (original(images) - loaded(images)).abs().max().item()
    if not apart <= TOLERANCE:
        raise StudyError(
            f"{folder}: timm loads another network from it, whose outputs lie {apart:.2g} from the study's; nothing is "
            "written"
        )
    return loaded


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
