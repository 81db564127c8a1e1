"""Hashes of the inputs from outside: images and weights. Imports no torch."""

import os
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ..data.source import options_of
from ..errors import StudyError
from ..networks.weights_file import LOCAL, check_safetensors, local_weights, other_weights
from ..spec.configured import Data
from ..study.study import Study
from .hashes import Hashes

# Name of the image set that `data` configures.
DATA = "main"


@dataclass(frozen=True)
class Content:
    """Hashes of the inputs from outside: images by set and source, weights by network.

    `missing` names files that do not exist yet and that only a run needs. `counts`: number of images by set and source,
    where known before they are listed. `columns`: unit and meaning of each column of the metrics' tables, by table;
    empty if not requested.
    """

    images: dict[str, dict[str, str]]
    weights: dict[str, str] = field(default_factory=dict)
    missing: str | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    columns: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study, hashes: Hashes) -> "Content":
        """Return the present content; raise StudyError naming the key whose files cannot be read."""
        images, counts, missing = {}, {}, None
        for name, data in sets_of(study).items():
            images[name], counts[name], lacking = _content(key_of(name), data, hashes)
            missing = missing or lacking
        if missing is None:
            _warn_of(images[DATA], counts[DATA])
        return cls(images, _weights_of(study, hashes), missing, counts)


def sets_of(study: Study) -> dict[str, Data]:
    """Return a study's image sets by name: that of `data`, and the probes."""
    return {DATA: study.data, **study.probes}


def key_of(name: str) -> str:
    """Return the configuration key of an image set."""
    return "data" if name == DATA else f"probes.{name}"


def _content(key: str, data: Data, hashes: Hashes) -> tuple[dict[str, str], dict[str, int], str | None]:
    """Return hashes of a set's sources, numbers of their images, and what is missing; raise as its reader does."""
    reader = import_module(f"..data.sources.{data.source}", __package__)
    found, counts, missing = {}, dict(data.rows), None
    for source, paths in data.files.items():
        if not os.path.exists(paths[0]):
            missing = (
                missing or f"{key}.{source}: the folder {paths[0]} does not exist; give a folder of images, or a .tar"
            )
            found[source] = "missing"
            continue
        files = reader.contents(paths, f"{key}.{source}", **options_of(reader, data))
        found[source] = hashes.of_source(paths, files, data.trust_times)
        if os.path.isdir(paths[0]) and not data.packed:
            # Each of these files is one image, read in place.
            counts[source] = len(files)
    if missing is None:
        _check_classes(key, data, reader)
    return found, counts, missing


def _check_classes(key: str, data: Data, reader: Any) -> None:
    """Raise StudyError if a set's given number of classes contradicts its labels, as far as they are known."""
    source = "train" if data.train else "test"
    paths, name, options = data.files[source], f"{key}.{source}", options_of(reader, data)
    if data.classes is None or not hasattr(reader, "classes_in"):
        return
    if reader.classes_in(paths, name, **options) in (None, data.classes):
        return
    # Worded as in the stage that splits them.
    images = reader.Source(paths, data.classes, name, **options)
    if images.classes is not None and len(images.classes) != data.classes:
        raise StudyError(images.not_of(data.classes))
    lacking = set(range(data.classes)) - set(images.labels.tolist())
    if data.train and lacking:
        raise StudyError(f"{key}.classes: {data.classes} is given, but {name} has no image of class {min(lacking)}")


def _warn_of(images: dict[str, str], counts: dict[str, int]) -> None:
    """Warn of likely mistakes: testing on training images, or with more images than in training."""
    if "train" not in images:
        return
    if images["train"] == images["test"]:
        print("warning: data.train and data.test are the same images: such a test shows nothing", file=sys.stderr)
    elif (test := counts.get("test")) and (train := counts.get("train")) and test > train:
        print(f"warning: data.test has {test} images, data.train {train}: are they swapped?", file=sys.stderr)


def _weights_of(study: Study, hashes: Hashes) -> dict[str, str]:
    """Return hashes of local weights; raise StudyError if they fit no network."""
    found = {}
    for name, network in study.networks.items():
        key = f"networks.{name}"
        path: str | Path
        if network.weights is None:
            continue
        if network.source == "checkpoint":
            path = network.weights
        elif network.source == "timm" and network.weights.startswith(LOCAL):
            path = local_weights(network.weights, key)
        else:
            continue
        check_safetensors(path, other_weights(key))
        found[name] = hashes.of(path)
        if network.sha256 not in (None, found[name]):
            raise StudyError(
                f"{key}.sha256: {network.weights} has sha256 {found[name]}, but {network.sha256} is expected"
            )
    return found
