"""Images as files in a folder, or in a .tar (of .tars).

With classes each lies in a folder of its class, of the level that `label_depth` says: 1 is that below the source
itself, -1 that which the image lies in. Without, folders are only a part of its name. Importing this imports no torch.
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
# In a WebDataset the files of a sample follow each other: of so many members of a .tar one must be its class.
MEMBERS_OF_A_SAMPLE = 100


def find(value: str | list[str], key: str) -> list[str]:
    """Return the one folder or .tar that a path means; raise StudyError naming `key` where it is anything else."""
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
    """Return the images of a folder, or the .tar; raise StudyError where the folder holds none, or cannot be read."""
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
    """Return None: only a listing tells how many images there are."""
    return None


def class_names(paths: Iterable[str], label_depth: int = 1) -> tuple[str, ...]:
    """Return the names of the classes that a folder has images of, in order of their numbers; nothing of a .tar."""
    (root,) = paths
    if not os.path.isdir(root):
        return ()
    return tuple(_names_at(label_depth, (os.path.relpath(file, root) for file in files_below(root))))


def classes_in(paths: Iterable[str], key: str, label_depth: int = 1) -> int | None:
    """Return how many classes a folder has images of; None of a .tar, which is listed only when it is split."""
    (root,) = paths
    return len(class_names([root], label_depth)) if os.path.isdir(root) else None


def class_of(name: str, label_depth: int) -> str | None:
    """Return the class of an image by its path in the source; None where it lies in no folder of that level."""
    folders = name.split(os.sep)[:-1]
    place = label_depth - 1 if label_depth > 0 else label_depth
    return folders[place] if -len(folders) <= place < len(folders) else None


def _names_at(label_depth: int, names: Iterable[str]) -> list[str]:
    """Return the classes of images by their paths, in order of their numbers."""
    return sorted({found for name in names if (found := class_of(name, label_depth)) is not None})


def _beside(left_out: LeftOut) -> str:
    return f", only {left_out}" if left_out.counts else ""


class Source:
    """The images of a folder or .tar, in the natural order of their names; see `data.source`.

    Raises StudyError naming the configuration's `key` when it holds none, and, with classes, when some lie in no folder
    of a class.
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
        """Return the sentence of a source that has images of other classes than the study's."""
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
            # A .tar is not compressed: its images are read from their place. Of several members of one name the last
            # counts, as where a .tar is unpacked.
            for name, place in self._members(file, 0, ""):
                rows[name] = name, place
        return list(rows.values())

    def _members(self, file: IO[bytes], inside: int, folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield name and place of the images of a .tar that begins `inside` bytes from the start of the source."""
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
        """Return the folders without folders, and without images, in them."""
        found = []
        for folder, below, _ in os.walk(self.root):
            below[:] = [name for name in below if not is_ignored(name)]
            if not below and not any(files_below(folder)):
                found.append(folder)
        return found
