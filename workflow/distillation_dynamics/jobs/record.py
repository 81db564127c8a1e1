"""The record of a finished job, next to its files: key, job, hashes of inputs and outputs, resources used.

A record travels with its files. Results are judged by it, wherever they were copied from, and not by what a workflow
remembers of a path.
"""

import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, NotRequired, cast

from annotated_types import Ge, Le, Len
from typing_extensions import TypedDict

from ..errors import StudyError
from ..files import remove as remove_file
from ..files import sha256, write_json
from ..spec.base import counted
from . import own
from .hashes import IDENTITY, Hashes, identity
from .task import Task

NAME = ".record.json"


class Facts(TypedDict):
    """Facts that a record holds about a file."""

    identity: Annotated[list[int], Len(4, 4)]
    sha256: str


class Record(TypedDict):
    """Content of a record, besides facts on the process (threads, GPUs, CPU)."""

    __pydantic_config__ = {"extra": "allow"}  # type: ignore[misc]  # noqa: RUF012 (as pydantic reads it)

    stage: str
    name: str
    key: str
    seconds: Annotated[float, Ge(0)]
    peak_mb: NotRequired[Annotated[float, Ge(0), Le(1e9)]]
    packages: dict[str, str]
    inputs: dict[str, str]
    files: dict[str, Facts]
    job: dict[str, Any]
    code: list[str]
    linked: NotRequired[list[str]]


def read(path: str | Path) -> dict[str, Any] | None:
    """Return a record; None if there is none that can be read."""
    # pydantic validates it, but to callers it is a plain dictionary.
    return cast(dict[str, Any] | None, own.read(path, Record))


def all_under(*folders: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield (path, record) of every record under `folders`."""
    for folder in folders:
        for path in sorted(Path(folder).rglob(f"*{NAME}")):
            if (record := read(path)) is not None:
                yield path, record


def remove(task: Task) -> None:
    """Remove the record of files that are about to be rewritten."""
    remove_file(Path(task.record))


def write(task: Task, inputs: dict[str, str], **facts: Any) -> None:
    """Write the record of a finished task; raise StudyError if one of its files is missing."""
    folder = Path(task.record).parent
    files = {os.path.relpath(name, folder): facts_of(task, name) for name in task.writes}
    put(
        task,
        {
            "stage": task.stage,
            "name": task.name,
            "key": task.key,
            **facts,
            "packages": {name: _version(name) for name in task.packages},
            "inputs": inputs,
            "files": files,
            "job": counted(task.job),
            "code": list(task.code),
        },
    )


def put(task: Task, record: dict[str, Any]) -> None:
    """Write a record to its location."""
    write_json(task.record, record)


def facts_of(task: Task, name: str) -> dict[str, Any]:
    """Return hash and identity of one file."""
    if not os.path.isfile(name):
        raise StudyError(f"{name}: the stage {task.stage} did not write this file")
    digest = sha256(name)
    return {IDENTITY: identity(os.stat(name)), "sha256": digest}


def name_in(record_path: str, path: str) -> str:
    """Return a file's name in a record: its path relative to the record's folder."""
    folder = os.path.dirname(record_path)
    # A plan calls this for thousands of files, nearly all in that folder.
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else os.path.relpath(path, folder)


def fault(task: Task, record: dict[str, Any] | None, hashes: Hashes) -> str | None:
    """Return why files on disk do not match a task; None if they match.

    Inputs and package versions are not considered.
    """
    if record is None:
        return "does not exist yet"
    if record["key"] != task.key:
        return "is of another key"
    for path in task.writes:
        facts = record["files"].get(name_in(task.record, path))
        if facts is None:
            return f"{path} is a new output"
        if (said := damage(path, facts, hashes)) is not None:
            return f"{path} {said}"
    return None


def damage(path: str, facts: dict[str, Any], hashes: Hashes) -> str | None:
    """Return what is wrong with a file, None if it is as written; it is read only if its identity changed."""
    try:
        seen = identity(os.stat(path))
    except OSError:
        return "is missing"
    if seen == facts[IDENTITY]:
        return None
    if seen[0] != facts[IDENTITY][0]:
        return f"has {seen[0]} bytes, {facts[IDENTITY][0]} were written"
    return None if hashes.of(path) == facts["sha256"] else "has changed since it was written"


def other_packages(record: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return name -> (recorded version, present version) of packages whose version changed."""
    now = {name: _version(name) for name in record["packages"]}
    return {name: (then, now[name]) for name, then in record["packages"].items() if now[name] != then}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def content(path: str, record_path: str, hashes: Hashes) -> str:
    """Return the hash of another job's output from that job's record; the file is read only if its identity changed.

    Raises StudyError if the file does not match its record.
    """
    record = read(record_path)
    name = name_in(record_path, path)
    if record is None or name not in record["files"]:
        raise StudyError(f"{path}: it has no record; run the same command again")
    facts = record["files"][name]
    if (said := damage(path, facts, hashes)) is not None:
        raise StudyError(f"{path}: {said}; run the same command again")
    return facts["sha256"]
