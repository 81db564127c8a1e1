"""Images as files in a folder, or in a .tar (of .tars), found with timm's readers.

With classes each lies in the subfolder of its class; without, folders are only a part of its name. Importing this
imports no torch.
"""

import os
import re
import tarfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from ...errors import StudyError
from ..source import SUFFIXES, files_below, some

PACKED = False
# In a WebDataset the files of a sample follow each other: of so many members of a .tar one must be its class.
MEMBERS_OF_A_SAMPLE = 100


def find(value: str | list[str], key: str) -> list[str]:
    """Return the one folder or .tar that a path means; raise StudyError naming `key` where it is anything else."""
    if isinstance(value, list):
        raise StudyError(f"{key}: with data.source: folder give one folder or .tar, not a list")
    path = os.path.normpath(value)
    if os.path.isfile(path) and Path(path).suffix != ".tar":
        raise StudyError(
            f"{key}: {path} is no folder and no .tar; give a folder (or .tar) of images, with one subfolder a class "
            "where data.classes is given, or Parquet files with data.source: parquet"
        )
    return [path]


def contents(paths: Iterable[str], key: str) -> list[str]:
    """Return the images of a folder, or the .tar; raise StudyError where the folder holds none, or cannot be read."""
    (root,) = paths
    if os.path.isfile(root):
        return [root]
    if not (files := list(files_below(root))):
        raise StudyError(
            f"{key}: the folder {root} holds no images ({', '.join(sorted(SUFFIXES))}); give a folder of images, or "
            "files with source: parquet"
        )
    return files


def count(paths: Iterable[str], classes: int | None, key: str) -> int | None:
    """Return None: only a listing tells how many images there are."""
    return None


def class_names(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the subfolders in natural order; nothing of a .tar."""
    (root,) = paths
    folders = [part.name for part in Path(root).iterdir() if part.is_dir()] if os.path.isdir(root) else []
    return tuple(sorted(folders, key=lambda name: [int(part) if part.isdigit() else part for part in _parts(name)]))


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name.lower())


class Source:
    """The images of a folder or .tar, in the natural order of their names; see `data.source`.

    Raises StudyError naming the configuration's `key` when it holds none, and, with classes, when some are in no
    subfolder or the subfolders with images are not as many.
    """

    classes: dict[str, int] | None = None
    labels: np.ndarray | None = None

    def __init__(self, paths: Iterable[str], classes: int | None, key: str):
        (self.root,) = paths
        if classes is not None and os.path.isfile(self.root):
            self._refuse_a_webdataset(key)
        listed, rows = self._listed(key)
        names, numbers, places = zip(*rows, strict=True)
        try:
            "".join(names).encode()
        except UnicodeEncodeError as error:
            odd = next(name for name in names if name.encode(errors="ignore").decode() != name)
            raise StudyError(f"{key}: the name of {odd!r} in {self.root} is not UTF-8; give it another") from error
        self.names, self.places = np.array(names), np.array(places, dtype=np.int64)
        if classes is None:
            return
        self._check_classes(listed, classes, key)
        self.classes, self.labels = listed, np.array(numbers, dtype=np.int64)

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

    def _listed(self, key: str) -> tuple[dict[str, int], list[tuple[str, int, tuple[int, int]]]]:
        """Return the numbers of the leaf folders by name, and (name, number, place) of all images in order."""
        from timm.utils.misc import natural_key

        try:
            classes, rows = self._in_tar() if os.path.isfile(self.root) else self._in_folder()
        except (OSError, tarfile.TarError) as error:
            raise self._unreadable(key, error) from error
        if not rows:
            raise self._unreadable(key, f"it holds no images ({', '.join(sorted(SUFFIXES))})")
        # Names that are alike to timm, such as 7.jpg and 07.jpg, would stand in the order of the file system.
        return classes, sorted(rows, key=lambda row: (natural_key(row[0]), row[0]))

    def _in_folder(self):
        from timm.data.readers.reader_image_folder import find_images_and_targets

        if not os.path.isdir(self.root):
            raise FileNotFoundError("it does not exist")
        samples, classes = find_images_and_targets(self.root, sort=False)
        return classes, [(os.path.relpath(path, self.root), number, (-1, -1)) for path, number in samples]

    def _in_tar(self):
        from timm.data.readers.reader_image_in_tar import extract_tarinfos

        try:
            # No list of a .tar's members beside it: that would be a pickle.
            samples, numbers, classes, _ = extract_tarinfos(self.root, cache_tarinfo=False, sort=False)
        except ValueError:
            return {}, []  # What timm comes to where there are no images.
        rows = {}
        for (member, _, parent), number in zip(samples, numbers, strict=True):
            # A .tar is not compressed: its images are read from their place, without a list of them in every process.
            inside = 0 if parent is None else parent.offset_data
            folder = "" if parent is None else os.path.splitext(parent.path)[0]
            name = os.path.normpath(os.path.join(folder, member.path))
            # Of several members of one name the last counts, as where a .tar is unpacked.
            rows[name] = name, number, (inside + member.offset_data, member.size)
        return classes, list(rows.values())

    def _check_classes(self, listed: dict[str, int], classes: int, key: str) -> None:
        """Raise StudyError where the subfolders are not the classes of the study."""
        if listed.keys() & {"", "."}:
            raise StudyError(
                f"{key}: images lie in {self.root} itself; put each into the subfolder of its class, or leave out "
                "data.classes"
            )
        if len(listed) != classes:
            empty = min(self._empty(), default=None)
            raise StudyError(
                f"data.classes: {classes} is given, but {self.root} has images in {len(listed)} subfolders"
                + (f"; {empty} holds none" if empty else f" ({some(listed)})")
            )

    def _empty(self) -> list[str]:
        return [folder for folder, below, _ in os.walk(self.root) if not below and not any(files_below(folder))]
