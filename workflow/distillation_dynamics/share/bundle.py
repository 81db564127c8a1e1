"""Writes one network as a folder that plain timm loads: `python -m distillation_dynamics.share.bundle STUDY ...`.

In: a finished study, and a variant with a seed or the name of a network. Out, in `results/<study>/bundles/<name>/`:
`model.safetensors` (the study's own file, byte for byte), `config.json`, and `README.md`, a model card; on request,
`model.onnx`. Before the folder is complete, timm must load it and give the same logits. A network with an architecture
of this library comes with the architecture's file, which is needed to load it.
"""

import argparse
import os
import shutil
import sys
from dataclasses import replace
from functools import partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

from ..errors import StudyError
from ..files import read_json, read_table, write_text
from ..jobs import provenance
from ..networks.weights_file import LOCAL
from . import card
from .members import Member, network, student

WEIGHTS, CARD = "model.safetensors", "README.md"
# Images for the check, and tolerance of logits: another build of the network, the same arithmetic.
IMAGES, TOLERANCE = 4, 1e-5
# timm's settings of an architecture that do not depend on its weights.
OF_ARCHITECTURE = ("architecture", "input_size", "num_classes", "pool_size", "classifier")
ARCHITECTURES = Path(__file__).parents[1] / "networks/architectures"
# The optional extra `onnx`.
ONNX_NEEDS = ("onnx", "onnxruntime")


def write(study: str, variant: str | None, seed: int | None, name: str | None, onnx: bool = False) -> Path:
    """Write the bundle of a student (`seed` None: the first seed) or network; return its folder.

    Raises StudyError if it is not in the study, not finished, or differs after timm loads it; and if ONNX is requested
    without the required packages.
    """
    if onnx and (missing := [name for name in ONNX_NEEDS if find_spec(name) is None]):
        raise StudyError(f"ONNX: {', '.join(missing)} not installed; pip install -e '.[onnx]', or leave ONNX out")
    folder, said = provenance.read(study)
    if variant is not None and name is None:
        member = student(folder, variant, seed)
    elif name is not None and variant is None:
        member = network(folder, said, name)
    else:
        raise StudyError("VARIANT, NETWORK: give one of them, VARIANT=soft (SEED=50) or NETWORK=vit")
    out = folder / "bundles" / member.folder
    tables = {table: folder / f"summary/{table}.parquet" for table in ("summary", "runs")}
    tables["variants"] = folder / "statistics/variants.parquet"
    read = {table: read_table(path) for table, path in tables.items() if path.is_file()}
    # Incomplete until everything is checked.
    unchecked = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        original, images = _original(member)
        save(member, original, unchecked)
        loaded = _loaded(unchecked, original, images)
        if onnx:
            from .onnx import export

            export(loaded, images, unchecked / "model.onnx")
        write_text(unchecked / CARD, card.document(member, said, read, onnx, getattr(original, "note", None)))
        shutil.rmtree(out, ignore_errors=True)
        unchecked.rename(out)
    finally:
        shutil.rmtree(unchecked, ignore_errors=True)
    return out


def _original(member: Member):
    """Return the study's network, and a few random images in its view."""
    import torch

    from ..networks.build import build
    from ..networks.weights import load_weights

    built = build(member.model, member.view).eval()
    load_weights(member.weights, built, member.sha256)
    size = IMAGES, member.view.channels, member.view.image_size, member.view.image_size
    return built, torch.randn(size, generator=torch.Generator().manual_seed(0))


def save(member: Member, built, folder: Path) -> None:
    """Write a network's weights and config.json as timm reads them: architecture, arguments, preprocessing.

    For a network with an architecture of this library they describe the unmodified model, and the architecture's file
    is added.
    """
    from timm.models import save_for_hf

    from ..networks.build import build

    view, changed = member.view, member.model.architecture
    seen = {
        "input_size": (view.channels, view.image_size, view.image_size), "interpolation": view.interpolation,
        "crop_pct": view.crop_fraction, "crop_mode": view.crop_mode, "mean": view.mean, "std": view.std,
    }  # fmt: skip
    if changed:
        built = build(replace(member.model, architecture={}), view)
    # Without timm's facts on released weights, such as their licence.
    built.pretrained_cfg = {key: built.pretrained_cfg.get(key) for key in OF_ARCHITECTURE}
    more = {card.CHANGED: changed} if changed else {}
    save_for_hf(built, str(folder), model_config=more, safe_serialization=True, data_config=seen)
    for name in changed:
        shutil.copyfile(ARCHITECTURES / f"{name}.py", folder / f"{name}.py")
    # The study's own file: the card gives its sha256.
    shutil.copyfile(member.weights, folder / WEIGHTS)


def _loaded(folder: Path, original, images):
    """Return the network that timm loads; raise StudyError if its outputs differ from the study's."""
    import torch

    loaded = _by_timm(folder).eval()
    with torch.inference_mode():
        apart = (original(images) - loaded(images)).abs().max().item()
    if not apart <= TOLERANCE:
        raise StudyError(
            f"{folder}: timm loads another network from it, whose outputs differ by {apart:.2g} from the study's; "
            "nothing is written"
        )
    return loaded


def _by_timm(folder: Path):
    """Return a bundle's network, loaded as its card says: by timm, with the architecture's file."""
    import timm
    from safetensors.torch import load_file

    said = read_json(folder / "config.json")
    if not (changed := said.get(card.CHANGED)):
        return timm.create_model(f"{LOCAL}{folder}", pretrained=True)
    ((name, options),) = changed.items()
    spec = spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None, "it is a Python file"
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.modify(partial(timm.create_model, said["architecture"], **said["model_args"]), **options)
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network


def main(arguments: list[str]) -> str | None:
    """Write a bundle; return the error sentence, None on success."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.share.bundle", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("study", help="name of a finished study")
    parser.add_argument("--variant", help="variant of the student")
    parser.add_argument("--seed", type=int, help="seed of the student; default: the first one")
    parser.add_argument("--network", help="name of a network, instead of a student")
    parser.add_argument("--onnx", action="store_true", help="also as ONNX (pip install -e '.[onnx]')")
    given = parser.parse_args(arguments)
    try:
        out = write(given.study, given.variant, given.seed, given.network, given.onnx)
    except StudyError as error:
        return f"error: {error}"
    plain = card.CHANGED not in read_json(out / "config.json")
    how = f'timm.create_model("{LOCAL}{out}", pretrained=True) loads it' if plain else f"{CARD} says how it is loaded"
    if given.variant is not None and given.seed is None:
        print(f"SEED= was not given: this is {given.variant} of seed {out.name.rpartition('seed')[2]}, the first one")
    print(f"{out}: {how}")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
