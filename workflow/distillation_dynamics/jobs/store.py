"""Manages what studies share under `results/shared/`: `python -m distillation_dynamics.jobs.store COMMAND`.

    unused            lists runs, networks, outputs and images that no study uses, with their size
    unused --delete   deletes them
    clear STUDY       deletes a study with its logs, unfinished trainings and all of the store that only it uses, after
                      a question that --yes answers

A study uses what its records name as inputs. Refuses while a workflow runs in the folder.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from ..errors import StudyError
from . import own, record
from .run import said_by
from .task import FLAGS, SHARED, TASKS

SHARED_STAGES = ("data", "network_weights", "networks", "teacher_outputs", "runs")


@dataclass(frozen=True)
class Entry:
    """A folder of the store: its bytes, and whether its content is finished."""

    folder: Path
    bytes: int
    finished: bool

    def __str__(self) -> str:
        state = "" if self.finished else ", unfinished"
        return f"{self.folder} ({self.bytes / 1e6:.1f} MB{state})"


class Unfinished(TypedDict):
    """Fields read from a training's task."""

    key: str
    job: dict[str, Any]


class Store:
    """The store of a results folder."""

    results, shared = Path("results"), Path("results/shared")

    @property
    def studies(self) -> list[str]:
        """Names of the studies with results here."""
        if not self.results.is_dir():
            return []
        names = (path.name for path in self.results.iterdir() if path.is_dir())
        return sorted(name for name in names if name != "shared" and not name.startswith("."))

    def entries(self) -> list[Entry]:
        """Return all folders of the store."""
        folders = [path for stage in SHARED_STAGES for path in sorted((self.shared / stage).glob("*"))]
        return [Entry(folder, _size(folder), record.read(folder / record.NAME) is not None) for folder in folders]

    def used(self, studies: Iterable[str]) -> set[Path]:
        """Return the store's folders that these studies' results were made from, directly or indirectly."""
        used: set[Path] = set()
        for study in studies:
            for path, known in record.all_under(self.results / study):
                if known["stage"] == "students" and path.is_relative_to(self.results / study / "students"):
                    used.add(self.shared / "runs" / known["key"])
                used |= self._made_from(known)
        queue = list(used)
        while queue:
            made = record.read(queue.pop() / record.NAME)
            more = (self._made_from(made) if made else set()) - used
            used |= more
            queue += more
        # No record of a run names stored outputs; they follow from teacher and images.
        for folder in (self.shared / "teacher_outputs").glob("*"):
            made = record.read(folder / record.NAME)
            if made and self._made_from(made) <= used:
                used.add(folder)
        return used

    def unused(self) -> list[Entry]:
        """Return the store's folders that no study uses."""
        used = self.used(self.studies)
        return [entry for entry in self.entries() if entry.folder not in used]

    def clear(self, study: str) -> list[Path]:
        """Delete a study; return the store's folders that stay because other studies use them.

        Raises StudyError if there is no such study.
        """
        unfinished = self._unfinished(study)
        if study not in self.studies and not unfinished:
            known = f"; there are {', '.join(self.studies)}" if self.studies else ""
            raise StudyError(f"{self.results / study}: there is no study of that name{known}")
        own, others = self.used([study]), self.used(set(self.studies) - {study})
        hidden = [Path(folder) / study for folder in (FLAGS, TASKS)]
        for folder in (self.results / study, Path("logs") / study, *hidden, *unfinished, *(own - others)):
            shutil.rmtree(folder, ignore_errors=True)
        return sorted(own & others)

    def _unfinished(self, study: str) -> list[Path]:
        """Return the folders of unfinished trainings that a study began, from the tasks it wrote."""
        folders = []
        for path in Path(TASKS, SHARED, "students").rglob("*.json"):
            task = own.read(path, Unfinished)
            if task is None or task["job"].get("study") != study:
                continue
            folder = self.shared / "runs" / task["key"]
            if folder.is_dir() and record.read(folder / record.NAME) is None:
                folders.append(folder)
        return folders

    def _made_from(self, known: dict) -> set[Path]:
        folders = set()
        for path in known["inputs"]:
            parts = Path(os.path.relpath(path, self.shared)).parts
            if parts[0] in SHARED_STAGES:
                folders.add(self.shared / parts[0] / parts[1])
        return folders


def _size(folder: Path) -> int:
    """Return the bytes of a folder's files that have no other hard link."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(status.st_size for status in files if status.st_nlink == 1)


def _refuse_while_running() -> None:
    if any(Path(".snakemake/locks").glob("*")):
        raise StudyError(
            ".snakemake/locks: a workflow runs in this folder; wait for its end, or after a kill use snakemake --unlock"
        )


def _unused(store: Store, delete: bool) -> None:
    entries = store.unused()
    for entry in entries:
        print(entry)
    total = sum(entry.bytes for entry in entries) / 1e6
    if not entries:
        print("Everything in the store is used by a study.")
    elif delete:
        _refuse_while_running()
        for entry in entries:
            shutil.rmtree(entry.folder)
        print(f"{len(entries)} folders deleted, {total:.1f} MB.")
    else:
        print(f"{len(entries)} folders, {total:.1f} MB, are used by no study; --delete deletes them.")


def _clear(store: Store, study: str, sure: bool) -> None:
    _refuse_while_running()
    if study in store.studies and not sure and not _confirmed(store.results / study):
        raise StudyError(f"{store.results / study}: nothing was deleted; answer y, or give YES=1 (--yes)")
    stays = store.clear(study)
    print(f"The study {study} is deleted; its next run starts from scratch.")
    if stays:
        print(f"{len(stays)} folders of the store stay, because other studies use them.")


def _confirmed(folder: Path) -> bool:
    """Ask for confirmation to delete a study; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        return False
    question = f"Delete {folder} ({_size(folder) / 1e6:.0f} MB) and all in {Store.shared} that only it uses? [y/N] "
    return input(question).strip().lower() in ("y", "yes")


def main() -> None:
    """List or delete unused folders, or delete a study."""
    parser = argparse.ArgumentParser(prog="python -m distillation_dynamics.jobs.store", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("unused").add_argument("--delete", action="store_true", help="delete what is listed")
    clear = commands.add_parser("clear")
    clear.add_argument("study", help="name of the study")
    clear.add_argument("--yes", action="store_true", help="do not ask")
    arguments, store = parser.parse_args(), Store()
    if arguments.command == "unused":
        sys.exit(said_by(lambda: _unused(store, arguments.delete)))
    sys.exit(said_by(lambda: _clear(store, arguments.study, arguments.yes)))


if __name__ == "__main__":
    main()
