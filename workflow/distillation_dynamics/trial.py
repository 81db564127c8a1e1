"""Tries metrics on two made-up images and a small network.

Finds errors, and return values that a metric's file does not document, in seconds instead of after all trainings, with
the code that measures. In: JSON, metric -> settings, and the names of pair metrics. Out, as JSON: the fault of each,
and for the others the texts of their columns. `jobs.tried` runs it.
"""

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from .arms import COLUMNS
from .data.image_set import MeasuredImages
from .data.split import CPU, Batch
from .errors import StudyError, at_fault
from .metrics import tabulated
from .metrics.keys import NETWORK
from .networks.build import build
from .networks.inspection import info_of
from .networks.weights import save_weights
from .progress import Progress
from .spec.base import From
from .spec.compare import ACTIVATIONS, KEPT, CompareJob, KeptActivations
from .spec.images import Images, ImageSet, View
from .spec.measure import MeasureJob
from .spec.network import Checkpoints, Model, ModelQuery
from .spec.tables import MAIN_IMAGE_SET
from .stages import compare, measure
from .stages.compare import PAIR_KEYS

IMAGES, SIZE, CLASSES = 2, 32, 2
VIEW = View(3, SIZE, (0.5,) * 3, (0.5,) * 3)
ARGS = {"img_size": SIZE, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2}
MODEL = Model("vit_tiny_patch16_224", ARGS, "timm", CLASSES)
FOLDERS = "trained", "untrained"
# Key columns of the tables that metrics share.
KEYS = {"scalars": tabulated.SCALAR_KEYS, "depth": tabulated.DEPTH_KEYS, "spectrum": tabulated.SPECTRUM_KEYS}


class MadeUp(MeasuredImages):
    """Two noise images, one of each class."""

    def __init__(self):
        self.positions = self.labels = self.groups = np.arange(IMAGES)
        self.names = [f"image {number}" for number in range(IMAGES)]

    def batches(self, size: int, first: int = 0, device: torch.device = CPU) -> Iterator[Batch]:
        """Yield both at once, or one by one."""
        pixels = torch.randn(IMAGES, VIEW.channels, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        for chosen in torch.arange(IMAGES).split(size)[first // size :]:
            yield Batch(self.positions[chosen.numpy()], pixels[chosen], chosen)


class Faults(Progress):
    """Records the fault of each metric."""

    def __init__(self, names: list[str]):
        self.names = names
        self.found: dict[str, str] = {}

    def fail(self, job: int, error: StudyError) -> None:
        """A metric failed."""
        self.found[self.names[job]] = str(error)


def tried(metrics: dict[str, dict[str, Any]], pairs: list[str]) -> dict[str, dict[str, Any]]:
    """Return the faults of metrics (by name, with settings) and pair metrics, and facts on the others.

    `tables`: metric -> table -> column -> unit and meaning; `own`: metric -> table -> columns that only it has.
    """
    with TemporaryDirectory() as folder:
        faults = _measured(metrics, Path(folder)) | (_compared(pairs, Path(folder)) if pairs else {})
    own: dict[str, dict[str, list[str]]] = {}
    tables: dict[str, dict[str, dict[str, list[str]]]] = {}
    for name in (*metrics, *pairs):
        if name in faults:
            continue
        module = _module(f"pairs.{name}" if name in pairs else name)
        documented = {name: compare.documentation(module)} if name in pairs else tabulated.documentation(module)
        tables[name] = {table: {n: list(one) for n, one in columns.items()} for table, columns in documented.items()}
        own[name] = _own_pair(name, module) if name in pairs else _own(module)
        taken = {table: KEYS.get(table, PAIR_KEYS if name in pairs else NETWORK) | COLUMNS for table in own[name]}
        if known := sorted({one for table, columns in own[name].items() for one in taken[table].keys() & set(columns)}):
            path = os.path.relpath(module.__file__)
            faults[name] = f"{path}: {', '.join(known)} is a column of every metric's table; choose another name"
    return {"faults": faults, "tables": tables, "own": own}


def _own(module: Any) -> dict[str, list[str]]:
    """Return a metric's columns by table, without the key columns."""
    image, block, bins = (list(getattr(module, f"{kind}_COLUMNS", ())) for kind in ("IMAGE", "BLOCK", "BIN"))
    errors = [name + tabulated.STANDARD_ERROR for name in image]
    shared = {"scalars": image, "depth": [*block, *image, *errors], "spectrum": bins}
    return {table: names for table, names in shared.items() if names} | {
        table: list(columns) for table, columns in getattr(module, "TABLES", {}).items()
    }


def _own_pair(name: str, module: Any) -> dict[str, list[str]]:
    return {name: list(getattr(module, "PAIR_COLUMNS", getattr(module, "NETWORK_COLUMNS", ())))}


def _module(name: str) -> Any:
    return import_module(f"{__package__}.metrics.{name}")


def _measured(metrics: dict[str, dict[str, Any]], folder: Path) -> dict[str, str]:
    """Return the faults of metrics on a network with two checkpoints, the second of which reads the first's files."""
    network = build(MODEL, VIEW)
    shapes = info_of(ModelQuery(MODEL.name, MODEL.args, classes=CLASSES, default=VIEW)).shapes
    files = tuple(str(folder / f"{name}.safetensors") for name in FOLDERS)
    for seed, path in enumerate(files):
        torch.manual_seed(seed)
        save_weights(path, build(MODEL, VIEW) if seed else network)
    checkpoints = Checkpoints(MODEL, FOLDERS, None, (None, 0), FOLDERS, shapes, From("made up", files=files))
    image_set = ImageSet(MAIN_IMAGE_SET, Images("made up", VIEW, True, folder="", test=""), "test", IMAGES, CLASSES)
    faults: dict[str, str] = {}
    jobs = []
    for name, options in metrics.items():
        try:
            _module(name)
        except Exception as error:
            faults[name] = str(at_fault(error))
            continue
        jobs.append(MeasureJob(name, checkpoints, (image_set,), options, None, out=str(folder / name)))
    session, progress = measure.Session(), Faults([job.metric for job in jobs])
    session.opened[image_set] = MadeUp()
    if jobs:
        measure.main(jobs, progress=progress, session=session)
    return faults | progress.found | _without_files(jobs, progress.found)


def _without_files(jobs: list[MeasureJob], failed: dict[str, str]) -> dict[str, str]:
    """Return the faults of metrics that did not write all their files."""
    faults = {}
    for job in (job for job in jobs if job.metric not in failed):
        module = _module(job.metric)
        named = [file.format(block=0) for file in getattr(module, "FILES", ())]
        if missing := [name for name in named if not Path(job.out, FOLDERS[0], name).is_file()]:
            faults[job.metric] = (
                f"{os.path.relpath(module.__file__)}: FILES: its Metric did not write {', '.join(missing)}"
            )
    return faults


def _compared(pairs: list[str], folder: Path) -> dict[str, str]:
    """Return the faults of pair metrics."""
    kept = [folder / ACTIVATIONS / name / KEPT for name in FOLDERS]
    if not kept[0].is_file():
        _measured({ACTIVATIONS: {}}, folder)
    sides = [KeptActivations(n, None, None, From(n, files=(str(f),))) for n, f in zip(FOLDERS, kept, strict=True)]
    faults = {}
    for name in pairs:
        try:
            compare.main(CompareJob(name, ((sides[0], sides[1]),), out=str(folder / "compare")))
        except Exception as error:
            faults[name] = str(at_fault(error))
    return faults


def main() -> None:
    """Try the metrics on the command line, and print the result."""
    given = json.loads(sys.argv[1])
    print(json.dumps(tried(given["metrics"], given["pairs"])))
