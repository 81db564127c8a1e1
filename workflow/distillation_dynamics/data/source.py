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
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from ..errors import StudyError, unreadable

# By which files are known as images: timm's.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


# Keys of `data` that some readers take and others do not.
READER_KEYS = ("columns",)


def options_of(reader: Any, images: Any) -> dict[str, Any]:
    """Return what a reader is told by name, of an image set or its job: the keys that its OPTIONS name."""
    return {key: getattr(images, key) for key in getattr(reader, "OPTIONS", ())}


class Source(Protocol):
    """The images of a source in order: `names` [N], each another, and `labels` [N] int64 (None: not asked for).

    `classes` are the numbers of the classes by name, where they have names. Of a reader with `PACKED` it has
    `encoded()`, which yields the N encoded images (PNG, JPEG, ...) in order. Of another, whose images are read where
    they lie, `places` [N, 2]: (offset, bytes) in the one file that the source is, or (-1, -1) where it is a folder, in
    which the name of an image is its path.
    """

    names: np.ndarray
    labels: np.ndarray | None
    classes: dict[str, int] | None
    places: np.ndarray

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded images in order."""


def files_below(root: str, suffixes: Collection[str] = SUFFIXES) -> Iterator[str]:
    """Yield the files of these suffixes under a folder, folder by folder, in the order of their names.

    Raises StudyError where a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(error.filename, error) from error

    for folder, below, names in os.walk(root, onerror=refuse, followlinks=True):
        below.sort()
        yield from (
            os.path.join(folder, name) for name in sorted(names) if os.path.splitext(name)[1].lower() in suffixes
        )


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
