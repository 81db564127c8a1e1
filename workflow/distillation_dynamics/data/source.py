"""Interface of image readers, the files of `sources/`, and checks that all of them share.

At the top of its file, for the plan and without torch: `find(value, key)`, the normalised paths of a configuration;
`contents(paths, key)`, the files that determine its content, by which the plan detects changed images; `count(paths,
classes, key)`, the number of images, or None if only a listing knows; and `PACKED`, a literal: whether the stage copies
the encoded images into one file. Optional: `class_names(paths)`, the names of the classes in order; `classes_in(paths,
key)`, the number of classes in the labels (None: unknown without a listing); and `OPTIONS`, a literal: keys of `data`
from READER_KEYS that all of these except `find` take by name. Then the class `Source(paths, classes, key)`. All raise
StudyError naming the configuration's `key`. With `classes` None, labels are not needed.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from ..errors import StudyError, unreadable

MOST_KINDS = 6
# Files that systems and programs leave, in lower case; hidden files (with a leading dot) are ignored, too.
SYSTEMS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
) | {"thumbs.db", "desktop.ini"}
SYSTEMS_OWN = "hidden or the system's"
# Kinds of ignored entries besides file suffixes: singular and plural.
AROUND, NO_FILE = "link to a folder around it", "pipe, socket or device"
NO_CONTENT = "link or other member without content"
SEVERAL = {
    AROUND: "links to folders around them",
    NO_FILE: "pipes, sockets or devices",
    NO_CONTENT: "links or other members without content",
}
# System folders without images and with endless content.
SYSTEM = frozenset({"/", "/proc", "/sys", "/dev"})


class LeftOut:
    """Ignored entries among images: how many of each kind, and the first one."""

    def __init__(self):
        self.counts, self.first = Counter[str](), dict[str, str]()

    def add(self, kind: str, name: str) -> None:
        """Count one more of a kind."""
        self.counts[kind] += 1
        self.first.setdefault(kind, name)

    def __str__(self) -> str:
        kinds = [
            f"{count} {SEVERAL.get(kind, kind) if count > 1 else kind} ({self.first[kind]})"
            for kind, count in self.counts.most_common(MOST_KINDS)
        ]
        return ", ".join(kinds) + (", ..." if len(self.counts) > MOST_KINDS else "")


def is_ignored(name: str) -> bool:
    """Return whether a name is that of a system file or folder."""
    return name.startswith(".") or name.lower() in SYSTEMS


def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of picture files."""
    # Imported here: the picture library takes longer to import than everything else a plan needs.
    from .pictures import suffixes

    return suffixes()


def natural(name: str) -> tuple[list[str | int], str]:
    """Return the sort key of a name: 9.jpg before 10.jpg; names that differ only in zeros or case stay distinct."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


# Keys of `data` that only some readers take.
READER_KEYS = ("columns", "label_depth")


def options_of(reader: Any, images: Any) -> dict[str, Any]:
    """Return a reader's arguments from an image set or its job: the keys named in its OPTIONS."""
    return {key: getattr(images, key) for key in getattr(reader, "OPTIONS", ())}


class Source(Protocol):
    """The images of a source in order: unique `names` [N] and `labels` [N] int64 (None: not needed).

    `classes`: name -> number, in plain order of the names, if classes have names; `not_of(classes)` is the error for
    another number of classes. A reader with `PACKED` has `encoded()`, which yields the N encoded images (PNG, JPEG,
    ...) in order. Otherwise images are read in place: `places` [N, 2] is (offset, bytes) in the source's single file,
    or (-1, -1) in a folder, where an image's name is its path. Optional: `left_out`, a LeftOut of ignored entries.
    """

    names: np.ndarray
    labels: np.ndarray | None
    classes: dict[str, int] | None
    places: np.ndarray

    def not_of(self, classes: int) -> str:
        """Return the error for a source whose images have another number of classes."""

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded images in order."""


def files_below(root: str, suffixes: Collection[str] | None = None, left_out: LeftOut | None = None) -> Iterator[str]:
    """Yield the files with these suffixes (None: picture suffixes) under a folder, folder by folder, sorted by name.

    Other entries are counted in `left_out`. Linked folders are followed, but not links to a parent folder. Raises
    StudyError if a folder is unreadable or a system folder.
    """
    suffixes, left_out = picture_suffixes() if suffixes is None else suffixes, left_out or LeftOut()
    here = os.path.realpath(root)
    if here in SYSTEM:
        raise StudyError(f"{root}: is a folder of the system; give one of images")
    # Each with the real paths of its parent folders.
    due: list[tuple[str, tuple[str, ...]]] = [(root, (here,))]
    while due:
        folder, way = due.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise unreadable(folder, error) from error
        below = []
        for entry in found:
            linked = entry.is_symlink()
            if is_ignored(entry.name):
                left_out.add(SYSTEMS_OWN, entry.name)
            elif os.path.isdir(entry.path) if linked else entry.is_dir():
                real = os.path.realpath(entry.path) if linked else os.path.join(way[-1], entry.name)
                if real in SYSTEM or (linked and any(f"{one}{os.sep}".startswith(f"{real}{os.sep}") for one in way)):
                    left_out.add(AROUND, entry.name)
                else:
                    below.append((entry.path, (*way, real)))
            elif os.path.exists(entry.path) and not os.path.isfile(entry.path) if linked else not entry.is_file():
                left_out.add(NO_FILE, entry.name)
            elif (suffix := os.path.splitext(entry.name)[1].lower()) in suffixes:
                yield entry.path
            else:
                left_out.add(suffix or "without a suffix", entry.name)
        due += reversed(below)


def check_labels(labels: np.ndarray, classes: int, where: str) -> None:
    """Raise StudyError if a label is not one of the classes."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise StudyError(
            f"{where}: has label {wrong[0]}; labels must lie in 0 to {classes - 1} (data.classes); leave out images "
            "without one"
        )


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first names in order, as part of a sentence."""
    names = sorted(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
