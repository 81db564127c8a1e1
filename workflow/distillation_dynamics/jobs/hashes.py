"""What is in a file or a folder of images, read once and remembered.

A file is known again by its size, its times of change and its inode; only when one of them is another is it read. What
is remembered lies in one small file beside the results, which is safe to delete.
"""

import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import sources
from ..errors import StudyError
from ..files import sha256, write_text

CACHE = ".hashes.json"
# Under which a record keeps what a file is known again by.
IDENTITY = "identity"
# What timm's readers of folders take for an image.
IMAGES = frozenset({".png", ".jpg", ".jpeg"})
READERS = 8
# So much is read without a word.
SILENT_FILES, SILENT_BYTES = 2000, 2**30


def identity(status: os.stat_result) -> list[int]:
    """Return what a file is known again by. The time of change is that of its inode too: no `touch -r` hides one."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class Hashes:
    """SHA-256 of files and folders, remembered in `folder`; without one, for as long as this object lives."""

    def __init__(self, folder: str | Path | None = None):
        self.path = None if folder is None else Path(folder) / CACHE
        self.known: dict[str, list] = {}
        self.new = False
        self.code: dict[str, list] = {}
        if self.path is not None and self.path.is_file():
            try:
                said = json.loads(self.path.read_text(encoding="utf-8"))
                self.known, code = said["files"], said["code"]
                sources.known.update(code)
                self.code = dict(sources.known)
            except (ValueError, KeyError, TypeError):
                print(f"{self.path}: is damaged and made anew", file=sys.stderr)

    def of(self, path: str | Path) -> str:
        """Return the SHA-256 of a file's content; raise StudyError where it cannot be read."""
        path = os.path.normpath(path)
        try:
            seen = identity(os.stat(path))
            if path not in self.known or self.known[path][:-1] != seen:
                self._remember(path, [*seen, sha256(path)])
        except OSError as error:
            raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
        return self.known[path][-1]

    def of_images(self, root: str, trust_times: bool) -> str:
        """Return what stands for the names and contents of all images under a folder, or the content of a .tar.

        With `trust_times` sizes and times of change stand in for the contents. Raises StudyError where one cannot be
        read.
        """
        if os.path.isfile(root):
            return self.of(root)
        folders = {}
        for folder, names in _image_folders(root):
            listed = [(name, os.stat(os.path.join(folder, name))) for name in names]
            folders[folder] = {name: status for name, status in listed}
        total = hashlib.sha256()
        due = {}
        for folder, entries in folders.items():
            seen = _digest([name, *identity(status)] for name, status in entries.items())
            key = f"{os.path.normpath(folder)}{os.sep}*"
            if not trust_times and (key not in self.known or self.known[key][0] != seen):
                due[folder] = key, seen
        self._read(folders, due)
        for folder, entries in folders.items():
            total.update(os.path.relpath(folder, root).encode() + b"\0")
            if trust_times:
                said = _digest([name, status.st_size, status.st_mtime_ns] for name, status in entries.items())
            else:
                said = self.known[f"{os.path.normpath(folder)}{os.sep}*"][-1]
            total.update(said.encode())
        return total.hexdigest()

    def _read(self, folders: dict[str, dict[str, os.stat_result]], due: dict[str, tuple[str, str]]) -> None:
        """Read all images of the folders that are `due`, several at a time."""
        count = sum(len(folders[folder]) for folder in due)
        size = sum(status.st_size for folder in due for status in folders[folder].values())
        if count > SILENT_FILES or size > SILENT_BYTES:
            print(
                f"reading {count} images ({size / 1e9:.1f} GB) once, to know them again; "
                "data.trust_times: true goes by their size and time of change instead",
                file=sys.stderr,
                flush=True,
            )
        with ThreadPoolExecutor(READERS) as pool:
            for folder, (key, seen) in due.items():
                names = list(folders[folder])
                try:
                    contents = list(pool.map(sha256, (os.path.join(folder, name) for name in names)))
                except OSError as error:
                    raise StudyError(f"{error.filename}: cannot be read ({error.strerror})") from error
                self._remember(key, [seen, _digest(zip(names, contents, strict=True))])

    def save(self) -> None:
        """Write down what was read of files and of the library's code, if anything was; what is gone is forgotten."""
        if self.path is not None and (self.new or sources.known != self.code):
            here = {path: facts for path, facts in self.known.items() if os.path.exists(path.removesuffix("*"))}
            write_text(self.path, json.dumps({"files": here, "code": sources.known}))
            self.new, self.code = False, dict(sources.known)

    def _remember(self, key: str, facts: list) -> None:
        self.known[key] = facts
        self.new = True


def _digest(rows) -> str:
    return hashlib.sha256(json.dumps([list(row) for row in rows]).encode()).hexdigest()


def _image_folders(root: str):
    """Yield (folder, names of its images), both in the order of their names, of all folders under `root`."""
    for folder, below, names in os.walk(root, followlinks=True):
        below.sort()
        yield folder, sorted(name for name in names if os.path.splitext(name)[1].lower() in IMAGES)
