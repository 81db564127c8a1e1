"""Tries a study's metrics once on two made-up images, and returns the texts of their columns.

A failing metric is found before anything runs, by a process that imports torch (`trial`). Results are kept under
`results/.metrics/`, named after code and settings, so that later plans are fast.
"""

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from .. import extensions
from ..errors import StudyError
from ..files import write_json
from ..spec.base import to_json
from ..spec.compare import ACTIVATIONS
from ..study.study import Study
from . import own
from .asking import UnansweredError, ask
from .fingerprints import fingerprint

MODULE = "trial"
# Table -> column -> (unit, meaning).
Texts = dict[str, dict[str, list[str]]]


class Known(NamedTuple):
    """Result of trying a metric: its tables, and by table the columns only it has."""

    tables: Texts
    own: dict[str, list[str]]


def columns(study: Study, cache: str | Path = "results/.metrics") -> Texts:
    """Return the texts of all columns of the metrics' tables; try metrics that were not tried before.

    Raises StudyError with one line per metric that fails or has a column of another metric.
    """
    paths = {name: f"metrics/{name}.py" for name in _metrics(study)}
    paths |= {name: f"metrics/pairs/{name}.py" for name in study.compare.metrics}
    known = _known(study, paths, Path(cache))
    owners: dict[tuple[str, str], str] = {}
    for name, metric in known.items():
        for table, names in metric.own.items():
            for column in names:
                other = owners.setdefault((table, column), name)
                if other != name:
                    raise StudyError(
                        f"{_path(paths[name])}: {column} is a column of {paths[other]}; choose another name"
                    )
    found: Texts = {}
    for metric in known.values():
        for table, texts in metric.tables.items():
            found.setdefault(table, {}).update(texts)
    return found


def _metrics(study: Study) -> dict[str, dict[str, Any]]:
    """Return the single-network metrics of a study with their settings."""
    known = extensions.metrics()
    names = [*study.measure.metrics, *([ACTIVATIONS] if study.compare.metrics else [])]
    return {name: study.settings(known[name].options) for name in dict.fromkeys(names)}


def _known(study: Study, paths: dict[str, str], cache: Path) -> dict[str, Known]:
    settings = _metrics(study)
    versions = [version(name) for name in ("torch", "timm", "numpy")]
    files, found = {}, {}
    for name, path in paths.items():
        module = path.removesuffix(".py").replace("/", ".")
        key = to_json([name, settings.get(name), versions, fingerprint(MODULE, module, texts=True)])
        files[name] = cache / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
        if (known := own.read(files[name], Known)) is not None:
            found[name] = known
    if missing := [name for name in paths if name not in found]:
        print("trying the metrics on two images (once)", file=sys.stderr, flush=True)
        pairs = [name for name in missing if name not in settings]
        said = _tried({name: settings[name] for name in missing if name in settings}, pairs)
        for name in (name for name in missing if name not in said["faults"]):
            found[name] = Known(said["tables"][name], said["own"][name])
            write_json(files[name], found[name]._asdict())
        if said["faults"]:
            raise StudyError("\n".join(said["faults"][name] for name in missing if name in said["faults"]))
    return {name: found[name] for name in paths}


def _tried(metrics: dict[str, dict[str, Any]], pairs: list[str]) -> dict[str, Any]:
    try:
        return ask(MODULE, json.dumps({"metrics": metrics, "pairs": pairs}))
    except UnansweredError as error:
        names = ", ".join([*metrics, *pairs])
        raise StudyError(f"measure.metrics: {names} cannot be tried on two images ({error})") from error


def _path(name: str) -> str:
    return os.path.relpath(extensions.ROOT / name)
