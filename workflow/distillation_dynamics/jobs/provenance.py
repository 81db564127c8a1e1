"""Describes a study for readers: `results/<study>/study.json`, written before anything of it runs.

It holds the configuration with all defaults, the folders used under `results/shared/`, hashes of images, weights and
code, the project's commit and whether its tree was clean, versions of packages, machine and date.
"""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import StudyError, nearest
from ..files import read_json, write_json
from . import cpu
from .fingerprints import fingerprint
from .graph import Graph
from .task import SHARED, STUDY_FILE, entries_of

PACKAGES = (
    *("torch", "torchvision", "timm", "captum", "safetensors", "numpy", "scipy", "pandas", "pyarrow", "seaborn"),
    *("matplotlib", "snakemake", "snakemake-executor-plugin-slurm"),
)


def write(graph: Graph) -> None:
    """Write the file."""
    write_json(f"{graph.home}/{STUDY_FILE}", describe(graph))


def read(study: str, results: str | Path = "results") -> tuple[Path, dict[str, Any]]:
    """Return a study's folder and the content of its file; raise StudyError if there is none."""
    folder = Path(results, study)
    if not (folder / STUDY_FILE).is_file():
        known = sorted(path.parent.name for path in Path(results).glob(f"*/{STUDY_FILE}"))
        hint = nearest(study, known) if known else "run one first"
        raise StudyError(f"STUDY: {folder} holds no study; {hint}")
    known = read_json(folder / STUDY_FILE)
    if not isinstance(known, dict) or not isinstance(known.get("configuration"), dict):
        raise StudyError(f"{folder / STUDY_FILE}: does not describe the study; run the study again to rewrite it")
    return folder, known


def describe(graph: Graph) -> dict[str, Any]:
    """Return what is known of a study before it runs."""
    study, content = graph.study, graph.content
    shared = {str(task): task.folder for task in graph.tasks if task.scope == SHARED}
    entries = {entry for task in graph.tasks for entry in entries_of(task.stage, *task.by_name)}
    return {
        "name": study.name,
        "configuration": study.configuration,
        "shared_folders": shared,
        "images": content.images,
        "image_counts": content.counts,
        "weights": content.weights,
        "networks": {
            owner: {
                "parameters": info.parameters,
                "classes": info.classes,
                "view": vars(info.view),
                "resampling": info.resampling,
            }
            for owner, info in study.model_info.items()
        },
        "code": dict(entry.split(":") for entry in fingerprint(*entries, texts=True)),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **versions()},
        "machine": {
            "system": platform.platform(),
            "processor": cpu.name(),
            "cores": os.cpu_count(),
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Return the versions of the installed packages."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any] | None:
    """Return the project's commit and whether its files match it; None without git or repository."""
    root = Path(__file__).parents[3]
    try:
        said = [
            subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"hash": said[0].strip(), "clean": not said[1].strip()}
