"""The study of one network: its configuration, the size of its output, and its file."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import StudyError
from ..files import write_text
from ..jobs import costs, model_info
from ..jobs.build import build_graph
from ..jobs.content import DATA, Content
from ..study.load import load
from ..study.study import Study
from .images import count_of, data_of
from .network import network_of

# Omitted by default: this metric writes by far the most.
FEATURES = "features"
# With a smaller initial LayerScale an untrained twin's blocks are the identity, which is no control.
SMALLEST_SCALE = 1e-2
MARK = "# Written by `make look`, which leaves this file alone once it is changed; sha256 of what follows: "


@dataclass(frozen=True)
class Asked:
    """Request of a look, as the command gives it; `size` in pixels, `groups` a regular expression."""

    network: str
    images: str
    name: str | None = None
    model: str | None = None
    size: str | None = None
    groups: str | None = None
    features: bool = False


def configuration_of(asked: Asked) -> dict[str, Any]:
    """Return the configuration of a study of one network.

    Raises StudyError if network or images are not recognised.
    """
    given, named = network_of(asked.network, asked.model, _pixels(asked.size))
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", asked.name or named).strip("_-")[:50]
    if not name:
        raise StudyError("NAME: no letter or digit of it is left for a folder; give another name")
    if not asked.features:
        given["without"] = [FEATURES]
    said = {"name": f"look_{name}", "data": data_of(asked.images, asked.groups)}
    # A feature of the published data set; here they would repeat the first measured images.
    return said | {"measure": {"published_images": 0}, "networks": {name: given}}


def _pixels(size: str | None) -> int | None:
    if size is None or (size.isascii() and size.isdigit()):
        return None if size is None else int(size)
    raise StudyError(f"SIZE: {size!r} is not a whole number of pixels; give the side of the square image, SIZE=224")


def studied(configuration: dict[str, Any], asked: Asked) -> tuple[dict[str, Any], Study]:
    """Return the configuration, with another control if the untrained twin is useless, and its study.

    Raises StudyError, in the command's words, if the study cannot run.
    """
    (name,) = configuration["networks"]
    try:
        study = load(configuration, model_info.describe)
        scale = study.model_info[name].layer_scale
        if scale is not None and scale < SMALLEST_SCALE:
            network = configuration["networks"][name] | {"control": "unit_layer_scale"}
            configuration = configuration | {"networks": {name: network}}
            study = load(configuration, model_info.describe)
    except StudyError as error:
        raise StudyError(_in_words_of(asked, name, str(error))) from error
    return configuration, study


def _in_words_of(asked: Asked, name: str, said: str) -> str:
    """Return a fault with the command's names instead of the study's keys."""
    words = {"data.groups: ": "GROUPS: ", "data.test: ": "IMAGES: ", f"networks.{name}.weights: ": "NETWORK: "}
    words[f"networks.{name}.model.name: "] = "MODEL: "
    if asked.size is not None:
        words |= {f"networks.{name}.view.image_size: ": "SIZE: ", f"networks.{name}.model.args: ": "SIZE: "}
        said = said.replace("such as an image_size of ", "such as SIZE=")
    for key, word in words.items():
        said = re.sub(rf"^{re.escape(key)}", word, said, flags=re.MULTILINE)
    return said


def announced(configuration: dict[str, Any], study: Study) -> list[str]:
    """Return what to print before anything is written: images, and bytes of features."""
    (name,) = study.networks
    (count, beside), side = count_of(study.data), study.view(name).image_size
    size, most = _bytes_of_features(configuration, count), "about" if count is not None else "at most"
    said = f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"
    of_all = f"{most} {said}, of every block and token of the images that are measured, network and control"
    if FEATURES in study.networks[name].without:
        features = f"features are not written; FEATURES=1 writes them ({of_all})"
    else:
        features = f"features will be written: {of_all}; without FEATURES=1 they are left out"
    pictures = "the images" if count is None else f"{count:,} image{'s' * (count != 1)}"
    looked = f"{name}: looks at {pictures}, brought to {side} x {side} pixels"
    return [looked, *([f"left out: {beside}"] if beside else []), features]


def _bytes_of_features(configuration: dict[str, Any], count: int | None) -> int:
    """Return how many bytes of features the study would write if requested."""
    ((name, network),) = configuration["networks"].items()
    network = {key: value for key, value in network.items() if key != "without"}
    study = load(configuration | {"networks": {name: network}}, model_info.describe)
    content = Content({DATA: {"test": ""}}, {name: ""}, counts={DATA: {} if count is None else {"test": count}})
    measured = build_graph(study, content).of("measure")
    return sum(costs.stored_bytes(task.job) or 0 for task in measured if task.job.metric == FEATURES)


def write(path: Path, configuration: dict[str, Any]) -> str:
    """Write a configuration to its file and return what was done; never overwrite an edited file.

    Raises StudyError if an edited file conflicts with the request.
    """
    body = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)
    before = path.read_text("utf-8") if path.is_file() else None
    if before is not None and _read(before) == configuration:
        return f"{path} is the study of this look, as before"
    if before is not None and not _is_own(before):
        raise StudyError(
            f"{path}: was edited, and this look asks for something else; run it with `snakemake "
            f"--cores all --configfile {path}`, or give this look another name (NAME=), or delete the file"
        )
    write_text(path, f"{MARK}{_hash(body)}\n{body}")
    said = f"{path} is the study of this look; edit it and run snakemake with it for more"
    return said if before is None else f"{said} (it replaces the one of an earlier look)"


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _is_own(text: str) -> bool:
    """Return whether a file is unchanged since a look wrote it."""
    first, _, body = text.partition("\n")
    return first == f"{MARK}{_hash(body)}"


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
