"""Hashes of files and image sources, read once and remembered.

A file is recognised by size, modification and change times, and inode, and read again only if one differs. The memory
is one small file next to the results, safe to delete.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import unreadable
from ..files import sha256, write_text
from . import definitions, own

CACHE = ".hashes.json"
# Key under which a record stores a file's identity.
IDENTITY = "identity"
READERS = 8
# Reads below this many bytes print nothing.
SILENT_FILES, SILENT_BYTES = 2000, 2**30


def identity(status: os.stat_result) -> list[int]:
    """Return a file's identity. It includes the inode's change time, which `touch -r` cannot fake."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


@dataclass(frozen=True)
class Remembered:
    """The remembered hashes: of a file with its identity, of a folder with its files' identities; and modules."""

    files: dict[str, tuple[int, int, int, int, str] | tuple[str, str]]
    modules: definitions.Known


class Hashes:
    """SHA-256 of files and sources, remembered in `folder`, or without one as long as this object exists."""

    def __init__(self, folder: str | Path | None = None):
        self.path = None if folder is None else Path(folder) / CACHE
        self.known: dict[str, list] = {}
        self.new = False
        self.code: definitions.Known = {}
        if self.path is not None and (said := own.read(self.path, Remembered)) is not None:
            self.known = {path: list(facts) for path, facts in said.files.items()}
            definitions.known.update(said.modules)
            self.code = dict(definitions.known)

    def of(self, path: str | Path) -> str:
        """Return the SHA-256 of a file's content; raise StudyError if it cannot be read."""
        path = os.path.normpath(path)
        status = _status(path)
        if not self._knows(path, status):
            self._remember(path, [*identity(status), _content(path)])
        return self.known[path][-1]

    def _knows(self, path: str, status: os.stat_result) -> bool:
        return path in self.known and self.known[path][:-1] == identity(status)

    def of_files(self, paths: Iterable[str], trust_times: bool) -> str:
        """Return the combined hash of a task's files; for a single file, its own SHA-256.

        With `trust_times` sizes and times replace contents. Raises StudyError if a file cannot be read.
        """
        paths = list(paths)
        status = [_status(path) for path in paths]
        if trust_times:
            return _digest([one.st_size, one.st_mtime_ns] for one in status)
        due = [one for path, one in zip(paths, status, strict=True) if not self._knows(path, one)]
        _say(len(due), sum(one.st_size for one in due))
        with ThreadPoolExecutor(READERS) as pool:
            contents = list(pool.map(self.of, paths))
        return contents[0] if len(contents) == 1 else _digest([said] for said in contents)

    def of_source(self, paths: Iterable[str], files: Iterable[str], trust_times: bool) -> str:
        """Return the hash of an image source with the given `files`.

        For files of the source itself (`paths`) only contents count; for others also their names, relative to the
        folder that is or holds the source. `trust_times` and errors: see `of_files`.
        """
        paths, files = list(paths), list(files)
        if files == paths:
            return self.of_files(paths, trust_times)
        root = paths[0] if os.path.isdir(paths[0]) else os.path.dirname(paths[0])
        folders: dict[str, dict[str, os.stat_result]] = {}
        for file in files:
            folder, name = os.path.split(file)
            folders.setdefault(folder, {})[name] = _status(file)
        total = hashlib.sha256()
        due = {}
        for folder, entries in folders.items():
            seen = _digest([name, *identity(status)] for name, status in entries.items())
            key = f"{os.path.normpath(folder)}{os.sep}*"
            if not trust_times and (key not in self.known or self.known[key][0] != seen):
                due[folder] = key, seen
        self._read(folders, due)
        for folder, entries in folders.items():
            total.update(os.path.relpath(folder or ".", root or ".").encode() + b"\0")
            if trust_times:
                said = _digest([name, status.st_size, status.st_mtime_ns] for name, status in entries.items())
            else:
                said = self.known[f"{os.path.normpath(folder)}{os.sep}*"][-1]
            total.update(said.encode())
        return total.hexdigest()

    def _read(self, folders: dict[str, dict[str, os.stat_result]], due: dict[str, tuple[str, str]]) -> None:
        """Read all files of the folders in `due`, several at a time."""
        count = sum(len(folders[folder]) for folder in due)
        size = sum(status.st_size for folder in due for status in folders[folder].values())
        _say(count, size)
        with ThreadPoolExecutor(READERS) as pool:
            for folder, (key, seen) in due.items():
                names = list(folders[folder])
                contents = list(pool.map(_content, (os.path.join(folder, name) for name in names)))
                self._remember(key, [seen, _digest(zip(names, contents, strict=True))])

    def save(self) -> None:
        """Save what was read of files and of the library's code, if anything was; forget files that are gone."""
        if self.path is not None and (self.new or definitions.known != self.code):
            here = {path: facts for path, facts in self.known.items() if os.path.exists(path.removesuffix("*"))}
            write_text(self.path, json.dumps({"files": here, "modules": definitions.known}))
            self.new, self.code = False, dict(definitions.known)

    def _remember(self, key: str, facts: list) -> None:
        self.known[key] = facts
        self.new = True


def _digest(rows) -> str:
    return hashlib.sha256(json.dumps([list(row) for row in rows]).encode()).hexdigest()


def _say(count: int, size: int) -> None:
    """Print what is about to be read, if that takes a while."""
    if count > SILENT_FILES or size > SILENT_BYTES:
        print(
            f"reading {count} files ({size / 1e9:.1f} GB) once, to recognise them later; "
            "data.trust_times: true goes by their size and time of change instead",
            file=sys.stderr,
            flush=True,
        )


def _content(path: str) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise unreadable(path, error) from error
