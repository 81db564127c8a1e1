"""What every finished job left behind: size, hash and time stamp of each file, package versions, seconds.

A record lies beside the files it speaks of and travels with them. It tells a file that was damaged or changed by hand
from one that was copied or touched, results of another torch from today's, and how long a stage takes.
"""

import os
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .errors import StudyError
from .files import read_json, sha256, write_json

# Packages whose version may change numbers.
PACKAGES = ("torch", "timm")
PATTERN = "*record.json"


class Recorder:
    """Record of one job, written by `finish`; an earlier record of the same files is removed at once."""

    def __init__(self, path: str | Path):
        self.path, self.start = Path(path), time.time()
        self.path.unlink(missing_ok=True)

    def finish(self, stage: str, outputs: Iterable[str], **facts: Any) -> None:
        """Write the record of `outputs`; raise StudyError when one of them does not exist."""
        files = {}
        for name in sorted(outputs):
            if not Path(name).is_file():
                raise StudyError(f"{name}: the stage {stage} did not write this file")
            files[os.path.relpath(name, self.path.parent)] = _facts(name)
        packages = {name: version(name) for name in PACKAGES}
        seconds = round(time.time() - self.start, 3)
        write_json(self.path, {"stage": stage, "seconds": seconds, **facts, "packages": packages, "files": files})


def read(*folders: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (path, record) of every record under `folders`; one that cannot be read counts as none."""
    for folder in folders:
        for path in sorted(Path(folder).rglob(PATTERN)):
            try:
                yield path, read_json(path)
            except StudyError:
                continue


def damaged(path: Path, record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (file, what is wrong with it) for the files of a record that are there but not as they were written.

    A file of the recorded size and time stamp is trusted; with another time stamp (a copy) its hash decides.
    """
    for name, facts in record["files"].items():
        file = os.path.normpath(path.parent / name)
        if not os.path.isfile(file):
            continue
        status = os.stat(file)
        if status.st_size != facts["bytes"]:
            yield file, f"has {status.st_size} bytes, {facts['bytes']} were written"
        elif status.st_mtime_ns != facts["mtime_ns"] and sha256(file) != facts["sha256"]:
            yield file, "has another content than was written"


def other_packages(record: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return name -> (version then, version now) of the packages whose version is not that of the record."""
    now = {name: version(name) for name in PACKAGES}
    return {name: (then, now[name]) for name, then in record["packages"].items() if now.get(name, then) != then}


def _facts(name: str) -> dict[str, Any]:
    status = os.stat(name)
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256(name)}
