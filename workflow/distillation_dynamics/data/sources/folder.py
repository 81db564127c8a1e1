"""Reads images from files in a folder or a .tar (of .tars).

With classes, an image is in its class's folder at the level `label_depth`: 1 is the level below the source, -1 the
image's own folder. Without classes, folders are only part of the name. Importing this imports no torch.
"""

import os
import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import StudyError
from ..source import NO_CONTENT, SYSTEMS_OWN, LeftOut, files_below, is_ignored, natural, picture_suffixes, some

PACKED = False
OPTIONS = ("label_depth",)
# In a WebDataset the files of a sample are consecutive: among this many members of a .tar one must be a class.
MEMBERS_OF_A_SAMPLE = 100


def find(value: str | list[str], key: str) -> list[str]:
    """Return the folder or .tar of a path; raise StudyError naming `key` for anything else."""
    if isinstance(value, list):
        raise StudyError(f"{key}: with data.source: folder give one folder or .tar, not a list")
    path = os.path.normpath(os.path.expanduser(value))
    if os.path.exists(path) and not os.path.isdir(path) and (not os.path.isfile(path) or Path(path).suffix != ".tar"):
        raise StudyError(
            f"{key}: {path} is no folder and no .tar; give a folder (or .tar) of images, with one subfolder a class "
            "where data.classes is given, or Parquet files with data.source: parquet"
        )
    return [path]


def contents(paths: Iterable[str], key: str, label_depth: int = 1) -> list[str]:
    """Return the images of a folder, or the .tar; raise StudyError if the folder is empty or unreadable."""
    (root,) = paths
    if os.path.isfile(root):
        return [root]
    left_out = LeftOut()
    if not (files := list(files_below(root, left_out=left_out))):
        raise StudyError(
            f"{key}: the folder {root} holds no images{_beside(left_out)}; give a folder of images, or files with "
            "source: parquet"
        )
    return files


def count(paths: Iterable[str], classes: int | None, key: str, label_depth: int = 1) -> int | None:
    """Return None: only a listing knows the number of images."""
    return None


def class_names(paths: Iterable[str], label_depth: int = 1) -> tuple[str, ...]:
    """Return the classes of a folder's images in order of their numbers; empty for a .tar."""
    (root,) = paths
    if not os.path.isdir(root):
        return ()
    return tuple(_names_at(label_depth, (os.path.relpath(file, root) for file in files_below(root))))


def classes_in(paths: Iterable[str], key: str, label_depth: int = 1) -> int | None:
    """Return the number of classes of a folder's images; None for a .tar, which is listed only when it is split."""
    (root,) = paths
    return len(class_names([root], label_depth)) if os.path.isdir(root) else None


def class_of(name: str, label_depth: int) -> str | None:
    """Return the class of an image from its path; None if it is in no folder of that level."""
    folders = name.split(os.sep)[:-1]
    place = label_depth - 1 if label_depth > 0 else label_depth
    return folders[place] if -len(folders) <= place < len(folders) else None


def _names_at(label_depth: int, names: Iterable[str]) -> list[str]:
    """Return the classes of images from their paths, in order of their numbers."""
    return sorted({found for name in names if (found := class_of(name, label_depth)) is not None})


def _beside(left_out: LeftOut) -> str:
    return f", only {left_out}" if left_out.counts else ""


class Source:
    """The images of a folder or .tar in natural order of their names; see `data.source`.

    Raises StudyError naming the configuration's `key` if there are none or, with classes, some are in no class folder.
    """

    classes: dict[str, int] | None = None
    labels: np.ndarray | None = None

    def __init__(self, paths: Iterable[str], classes: int | None, key: str, label_depth: int = 1):
        (self.root,) = paths
        self.label_depth, self.left_out = label_depth, LeftOut()
        if classes is not None and os.path.isfile(self.root):
            self._refuse_a_webdataset(key)
        names, places = zip(*self._listed(key), strict=True)
        try:
            "".join(names).encode()
        except UnicodeEncodeError as error:
            odd = next(name for name in names if name.encode(errors="ignore").decode() != name)
            raise StudyError(f"{key}: the name of {odd!r} in {self.root} is not UTF-8; give it another") from error
        self.names, self.places = np.array(names), np.array(places, dtype=np.int64)
        if classes is None:
            return
        own = [class_of(name, label_depth) for name in names]
        if None in own:
            raise StudyError(self._no_class(names[own.index(None)], key))
        numbers = {name: number for number, name in enumerate(_names_at(label_depth, names))}
        self.classes, self.labels = numbers, np.array([numbers[name] for name in own if name], dtype=np.int64)

    def not_of(self, classes: int) -> str:
        """Return the error for a source with other classes than the study's."""
        of = "subfolders" if self.label_depth == 1 else f"folders of level {self.label_depth}"
        said = f"data.classes: {classes} is given, but {self.root} has images in {len(self.classes or ())} {of}"
        if empty := min(self._empty(), default=None):
            return f"{said}; {empty} holds none"
        said += f" ({some(self.classes or ())})"
        for level in range(1, 1 + max(str(name).count(os.sep) for name in self.names)):
            if len(names := _names_at(level, map(str, self.names))) == classes:
                return f"{said}; with data.label_depth: {level} they are {some(names)}"
        return said

    def _no_class(self, name: str, key: str) -> str:
        if os.sep not in name:
            return (
                f"{key}: images lie in {self.root} itself; put each into the subfolder of its class, or leave out "
                "data.classes"
            )
        return (
            f"{key}: {name} lies in no folder of level {self.label_depth} of {self.root}; put it into that of its "
            "class, or give another data.label_depth"
        )

    def _refuse_a_webdataset(self, key: str) -> None:
        try:
            with tarfile.open(self.root, "r:") as tar:
                its_labels = any(member.name.endswith(".cls") for member in islice(tar, MEMBERS_OF_A_SAMPLE))
        except (OSError, tarfile.TarError) as error:
            raise self._unreadable(key, error) from error
        if its_labels:
            raise StudyError(
                f"{key}: {self.root} is a WebDataset, whose labels (.cls) are not read; unpack it into one subfolder a "
                "class"
            )

    def _unreadable(self, key: str, why: object) -> StudyError:
        return StudyError(
            f"{key}: {self.root} cannot be read ({why}); give a folder, or a .tar, of images, with one subfolder a "
            "class where data.classes is given"
        )

    def _listed(self, key: str) -> list[tuple[str, tuple[int, int]]]:
        """Return (name, place) of all images in order."""
        try:
            rows = self._in_tar() if os.path.isfile(self.root) else self._in_folder()
        except (OSError, tarfile.TarError) as error:
            raise self._unreadable(key, error) from error
        if not rows:
            raise self._unreadable(key, f"it holds no images{_beside(self.left_out)}")
        return sorted(rows, key=lambda row: natural(row[0]))

    def _in_folder(self) -> list[tuple[str, tuple[int, int]]]:
        if not os.path.isdir(self.root):
            raise FileNotFoundError("it does not exist")
        found = files_below(self.root, left_out=self.left_out)
        return [(os.path.relpath(path, self.root), (-1, -1)) for path in found]

    def _in_tar(self) -> list[tuple[str, tuple[int, int]]]:
        rows = {}
        with open(self.root, "rb") as file:
            # A .tar is not compressed, so images are read in place. Of members with the same name the last one counts,
            # as when a .tar is unpacked.
            for name, place in self._members(file, 0, ""):
                rows[name] = name, place
        return list(rows.values())

    def _members(self, file: IO[bytes], inside: int, folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield name and place of the images in a .tar that begins at byte `inside` of the source."""
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                name = os.path.normpath(os.path.join(os.sep, folder, member.name.lstrip(os.sep))).lstrip(os.sep)
                base, suffix = os.path.splitext(name)
                if member.isdir():
                    continue
                if any(map(is_ignored, name.split(os.sep))):
                    self.left_out.add(SYSTEMS_OWN, os.path.basename(name))
                elif not member.isfile() or member.issparse():
                    self.left_out.add(NO_CONTENT, os.path.basename(name))
                elif suffix.lower() == ".tar" and (packed := tar.extractfile(member)) is not None:
                    yield from self._members(packed, inside + member.offset_data, base)
                elif suffix.lower() in picture_suffixes():
                    yield name, (inside + member.offset_data, member.size)
                else:
                    self.left_out.add(suffix.lower() or "without a suffix", os.path.basename(name))

    def _empty(self) -> list[str]:
        """Return the class folders without images."""
        found = []
        for folder, below, _ in os.walk(self.root):
            below[:] = [name for name in below if not is_ignored(name)]
            if not below and not any(files_below(folder)):
                found.append(folder)
        return found
