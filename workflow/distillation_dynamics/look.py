"""Look into one network without writing a configuration: `python -m distillation_dynamics.look NETWORK IMAGES`.

In: released weights (`hf-hub:owner/name`, a folder or a .safetensors file) and pictures (a folder, a .tar or Parquet
files). Out: a study of that network alone, whose configuration lies beside its results; it is run, and its
figures and its answer to "is it U-shaped?" are named. Imports no torch.
"""

import argparse
import json
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from .data.source import files_below
from .errors import StudyError
from .files import read_json, write_text
from .jobs import model_info
from .networks.weights_file import HUB, LOCAL
from .spec.tables import INDEX
from .study.load import load

RESULTS, FILE = Path("results"), "look.yaml"
QUESTION = "## Is it U-shaped?"
# A study's names of them, and those of timm's `pretrained_cfg`.
VIEW = {"mean": "mean", "std": "std", "crop_pct": "crop_fraction", "crop_mode": "crop_mode"}
INTERPOLATIONS = ("bilinear", "bicubic")
# With a LayerScale that begins below it, the blocks of an untrained twin are the identity, and it is no control.
SMALLEST_SCALE = 1e-2


def configuration_of(network: str, images: str, name: str | None = None, model: str | None = None) -> dict[str, Any]:
    """Return the configuration of a study that looks at one network.

    `model` is its timm name, where nothing beside the weights says it. Raises StudyError where it is not known what the
    network or the images are.
    """
    given, named = _network(network, model)
    name = name or named
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:50]
    if not name:
        raise StudyError("NAME: no letter or digit of it is left for a folder; give another name")
    return {"name": f"look_{name}", "data": _data(images), "networks": {name: given}}


def with_control(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with a control that is one, where the untrained twin of its network would be none.

    Raises StudyError where the study cannot be run.
    """
    networks = dict(configuration["networks"])
    for name, info in load(configuration, model_info.describe).model_info.items():
        if info.layer_scale is not None and info.layer_scale < SMALLEST_SCALE:
            networks[name] = networks[name] | {"control": "unit_layer_scale"}
    return configuration | {"networks": networks}


def _network(network: str, model: str | None) -> tuple[dict[str, Any], str]:
    """Return what a study says of a network, and a name for it."""
    path = Path(network.removeprefix(LOCAL))
    on_hub = network.startswith(HUB)
    if on_hub:
        repository, _, revision = network.removeprefix(HUB).partition("@")
        revision = revision or "main"
        config = _config_of_hub(repository, revision)
        weights, named, source = f"{HUB}{repository}@{revision}", repository.rpartition("/")[2], "timm"
    elif path.is_dir():
        beside = path / "config.json"
        config = read_json(beside) if beside.is_file() else {}
        weights, named, source = f"{LOCAL}{path}", path.absolute().name, "timm"
    elif path.is_file():
        config, weights, named, source = {}, str(path), path.stem, "checkpoint"
    else:
        raise StudyError(f"NETWORK: {network} is no file or folder; give one, or {HUB}owner/name of a hub")
    model = model or config.get("architecture")
    if model is None:
        raise StudyError(
            f"NETWORK: nothing beside the weights of {network} says which model of timm they are of; give its name, "
            "MODEL=vit_small_patch16_224"
        )
    args, view = dict(config.get("model_args") or {}), {}
    if on_hub:
        # Of weights here the plan reads it.
        cfg = config.get("pretrained_cfg", config)
        args["num_classes"], view = config.get("num_classes", cfg.get("num_classes", 0)), _view(cfg)
    given = {"source": source, "model": {"name": model} | ({"args": args} if args else {}), "weights": weights}
    return given | ({"view": view} if view else {}), named


def _view(cfg: dict[str, Any]) -> dict[str, Any]:
    """Return how the weights of a hub see images, as far as their own configuration says."""
    view = {ours: cfg[theirs] for theirs, ours in VIEW.items() if cfg.get(theirs) is not None}
    if cfg.get("interpolation") in INTERPOLATIONS:
        view["interpolation"] = cfg["interpolation"]
    if cfg.get("input_size"):
        channels, rows, columns = cfg["input_size"]
        view |= {"channels": channels} | ({"image_size": rows} if rows == columns else {})
    return view


def _config_of_hub(repository: str, revision: str) -> dict[str, Any]:
    """Return `config.json` of a hub's repository; empty where it has none."""
    try:
        return json.loads(Path(hf_hub_download(repository, "config.json", revision=revision)).read_text("utf-8"))
    except LocalEntryNotFoundError as error:
        raise StudyError(
            f"NETWORK: the hub cannot be reached for {repository}@{revision}; look where there is a network, or copy "
            "the repository and give the folder"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StudyError(
            f"NETWORK: config.json of {repository}@{revision} cannot be had ({reason}); give {HUB}owner/name of a "
            "repository that is there"
        ) from error
    except ValueError as error:
        raise StudyError(f"NETWORK: config.json of {repository}@{revision} is not valid JSON ({error})") from error


def _data(images: str) -> dict[str, Any]:
    """Return what a study says of pictures: which reader, and how many classes, where their folders or labels tell."""
    path = Path(images)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.suffix == ".parquet" else []
    if files and all(file.is_file() for file in files):
        classes = _labels(files)
        said = {"source": "parquet", "test": [str(file) for file in files]}
    elif path.is_dir():
        classes = _folders(path)
        said = {"source": "folder", "test": images}
    elif path.is_file() and path.suffix == ".tar":
        classes, said = None, {"source": "folder", "test": images}
    else:
        raise StudyError(f"IMAGES: {images} is no folder, .tar or .parquet file; give one with pictures in it")
    return said | ({} if classes is None else {"classes": classes})


def _folders(root: Path) -> int | None:
    """Return how many folders of that name hold pictures; None where some lie in no subfolder, or all in one."""
    found = {Path(file).parent.relative_to(root) for file in files_below(str(root))}
    if not found:
        raise StudyError(f"IMAGES: no pictures lie in {root}; give a folder that holds some")
    names = {folder.name for folder in found}
    return len(names) if Path() not in found and len(names) > 1 else None


def _labels(files: list[Path]) -> int | None:
    """Return how many classes a column of labels says; None where there is none, or images without a label."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    largest = -1
    for file in files:
        if "label" not in pq.read_schema(file).names:
            return None
        labels = pq.read_table(file, columns=["label"])["label"]
        bounds = pc.min_max(labels).as_py()
        if labels.null_count or not isinstance(bounds["min"], int) or bounds["min"] < 0:
            return None
        largest = max(largest, bounds["max"])
    return largest + 1 if largest > 0 else None


def answer_in(report: str) -> str:
    """Return what a study's `report.md` answers to "is it U-shaped?", without its tables."""
    section = report.partition(QUESTION)[2].partition("\n## ")[0]
    paragraphs = [part.strip() for part in section.split("\n\n") if part.strip()]
    return "\n\n".join(takewhile(lambda part: not part.startswith("|"), paragraphs))


def main(arguments: list[str]) -> str | None:
    """Look into a network; return the sentence with which it failed, None where it did not."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.look", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("network", help="hf-hub:owner/name[@revision], a folder, or a .safetensors file")
    parser.add_argument("images", help="a folder or .tar of pictures, or Parquet files")
    parser.add_argument("--name", help="of the network in tables and figures")
    parser.add_argument("--model", help="the timm model, where nothing beside the weights says it")
    given, others = parser.parse_known_args(arguments)
    try:
        configuration = with_control(configuration_of(given.network, given.images, given.name, given.model))
    except StudyError as error:
        return f"error: {error}"
    path = RESULTS / configuration["name"] / FILE
    write_text(path, yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True))
    print(f"{path} says what is looked at; change it and run snakemake with it for more", flush=True)
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", str(path), *others]
    if status := subprocess.run(command, check=False).returncode:
        return f"error: snakemake ended with status {status}; what it said stands above"
    results = RESULTS / configuration["name"]
    report = results / "statistics/report.md"
    if not report.is_file():
        # With options of snakemake that run nothing, or not everything.
        return None
    answer = answer_in(report.read_text("utf-8"))
    print(f"\nPage: {results / INDEX}\nFigures: {results / 'figures'}\n\nIs it U-shaped? {answer}")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
