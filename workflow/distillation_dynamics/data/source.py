"""What a reader of images, a file of `sources/`, must define; and what all of them check alike.

At its top, for the plan, and so without torch: `find(value, key)`, the paths that a configuration means, spelt one way;
`contents(paths, key)`, the files that count as its content, by which the plan knows whether images changed;
`count(paths, classes, key)`, the number of images, or None where only a listing tells; and `PACKED`, a literal: whether
the stage copies the encoded images into one file. It may define `class_names(paths)`, those of the classes in order,
`classes_in(paths, key)`, the number of classes that labels tell (None: nothing does without a listing), and `OPTIONS`,
a literal: keys of `data`, of READER_KEYS, that all of these but `find` take by name. Then the class `Source(paths,
classes, key)`. All raise StudyError naming the configuration's `key`. With `classes` None labels are not asked for.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from ..errors import StudyError, unreadable

MOST_KINDS = 6
# What systems and programs leave beside files, in lower case; what begins with a dot is hidden, and left out as well.
SYSTEMS = frozenset(
    {"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
) | {"thumbs.db", "desktop.ini"}
SYSTEMS_OWN = "hidden or the system's"
# What is left out of other kinds than the suffix of a file: one, and several.
AROUND, NO_FILE = "link to a folder around it", "pipe, socket or device"
NO_CONTENT = "link or other member without content"
SEVERAL = {
    AROUND: "links to folders around them",
    NO_FILE: "pipes, sockets or devices",
    NO_CONTENT: "links or other members without content",
}
# Folders in which nobody keeps images, and which have no end.
SYSTEM = frozenset({"/", "/proc", "/sys", "/dev"})


class LeftOut:
    """What lies among images and is left out: how many of each kind, and the first of it."""

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
    """Whether a file or folder of this name is none of the user's own."""
    return name.startswith(".") or name.lower() in SYSTEMS


def picture_suffixes() -> frozenset[str]:
    """Return by which suffixes files are known as pictures."""
    # Only here: the library of pictures takes longer to import than all else that a plan asks.
    from .pictures import suffixes

    return suffixes()


def natural(name: str) -> tuple[list[str | int], str]:
    """Return by what names are put in order: 9.jpg before 10.jpg; those that differ in zeros or case alone, too."""
    parts = re.split(r"(\d+)", name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


# Keys of `data` that some readers take and others do not.
READER_KEYS = ("columns", "label_depth")


def options_of(reader: Any, images: Any) -> dict[str, Any]:
    """Return what a reader is told by name, of an image set or its job: the keys that its OPTIONS name."""
    return {key: getattr(images, key) for key in getattr(reader, "OPTIONS", ())}


class Source(Protocol):
    """The images of a source in order: `names` [N], each another, and `labels` [N] int64 (None: not asked for).

    `classes` are the numbers of the classes by name, where they have names, in plain order of the names, and
    `not_of(classes)` is then the sentence of a source whose classes are not as many. Of a reader with `PACKED` it has
    `encoded()`, which yields the N encoded images (PNG, JPEG, ...) in order. Of another, whose images are read where
    they lie, `places` [N, 2]: (offset, bytes) in the one file that the source is, or (-1, -1) where it is a folder, in
    which the name of an image is its path. It may have `left_out`, a LeftOut of what else lies there.
    """

    names: np.ndarray
    labels: np.ndarray | None
    classes: dict[str, int] | None
    places: np.ndarray

    def not_of(self, classes: int) -> str:
        """Return the sentence of a source that has images of other classes than so many."""

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded images in order."""


def files_below(root: str, suffixes: Collection[str] | None = None, left_out: LeftOut | None = None) -> Iterator[str]:
    """Yield the files of these suffixes (None: of pictures) under a folder, folder by folder, in the order of names.

    What else lies there is counted in `left_out`. Folders that links lead to count, but not what holds them. Raises
    StudyError where a folder cannot be read, or is the system's own.
    """
    suffixes, left_out = picture_suffixes() if suffixes is None else suffixes, left_out or LeftOut()
    here = os.path.realpath(root)
    if here in SYSTEM:
        raise StudyError(f"{root}: is a folder of the system; give one of images")
    # Each with the real paths of the folders that led there.
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
    """Raise StudyError where a label is none of the classes."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise StudyError(
            f"{where}: has label {wrong[0]}; labels must lie in 0 to {classes - 1} (data.classes); leave out images "
            "without one"
        )


def some(names: Iterable[str], most: int = 5) -> str:
    """Return the first names in order, as a part of a sentence."""
    names = sorted(names)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
