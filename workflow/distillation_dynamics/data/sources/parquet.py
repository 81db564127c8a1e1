"""Reads Parquet files of images as Hugging Face ships them; their footers are checked first, then rows are read in
parts.

A source is one or several files (shards), read in the given order. `_columns` says what a column may hold; labels are
ignored without classes. Imports no torch.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ...errors import StudyError
from ...spec.data import COLUMNS, Columns
from ..source import check_labels, some
from . import _columns, _shards
from ._columns import Footer
from ._rows import NoLabelError, by_path, bytes_of, labels_of, paths_of

PACKED = True
OPTIONS = ("columns",)


def find(value: str | list[str], key: str) -> list[str]:
    """Return the files of a path, a pattern (in natural order) or a list of them.

    Raises StudyError naming the configuration's `key` if a file is missing or given twice, or a shard is missing.
    """
    return _shards.found(value, key)


def contents(paths: Iterable[str], key: str, columns: Columns = COLUMNS) -> list[str]:
    """Return the files and the image files they name; raise StudyError if any of these are missing."""
    paths = list(paths)
    named: dict[str, None] = {}
    first = ""
    for path in paths:
        footer = _columns.checked(path, columns, None, key)
        if not by_path(footer, columns.image):
            continue
        first = first or path
        for encoded, name in zip(bytes_of(footer, columns.image), paths_of(footer, columns.image), strict=True):
            if encoded is None and name:
                named[_columns.file_of(path, name)] = None
    if missing := [file for file in named if not os.path.isfile(file)]:
        raise StudyError(
            f"{key}: {len(missing)} of {len(named)} images that {first} names are not there "
            f"({some(map(_short, missing))}); put them there, by their paths from the folder of the Parquet file"
        )
    return [*paths, *named]


def _short(name: str, most: int = 100) -> str:
    return name if len(name) <= most else f"{name[: most // 2]}...{name[-most // 2 :]}"


def class_names(paths: Iterable[str], columns: Columns = COLUMNS) -> tuple[str, ...]:
    """Return the names of the classes in order of their numbers; empty if nothing names them."""
    paths = list(paths)
    try:
        footer = Footer.read(paths[0], "")
        column = columns.label
        if column not in footer.holds("label"):
            return ()
        return footer.class_names(column) or (tuple(_words(paths, column)) if footer.is_word(column) else ())
    except StudyError:
        # Faults of a file are reported where it is read; missing names do no harm.
        return ()


def classes_in(paths: Iterable[str], key: str, columns: Columns = COLUMNS) -> int | None:
    """Return the highest label plus one, or the number of words; None if an image has no label.

    Raises StudyError naming the configuration's `key` if a footer is unreadable.
    """
    footers = [Footer.read(path, key) for path in paths]
    if any(columns.label not in footer.holds("label") for footer in footers):
        return None
    words = {footer.is_word(columns.label) for footer in footers}
    try:
        if len(words) > 1:
            return None
        if True in words:
            return len(_words([footer.path for footer in footers], columns.label))
        bounds = [_bounds(footer, columns.label) for footer in footers]
    except NoLabelError:
        return None
    return None if min(low for low, _ in bounds) < 0 else 1 + max(high for _, high in bounds)


def looked_at(paths: Iterable[str], key: str) -> tuple[Columns, int | None]:
    """Return the columns of images and labels in files without a configuration, and the number of classes.

    Raises StudyError if files are unreadable, shards are missing, or several columns may hold the images.
    """
    paths = list(paths)
    _shards.check_whole(paths, key)
    columns = _columns.guessed(Footer.read(paths[0], key), key)
    classes = classes_in(paths, key, columns) if columns.label else None
    if classes is None or classes < 2:
        return Columns(image=columns.image), None
    return columns, max(classes, len(class_names(paths, columns)))


def count(paths: Iterable[str], classes: int | None, key: str, columns: Columns = COLUMNS) -> int:
    """Return the number of images of all files, from their footers.

    Raises StudyError naming the configuration's `key` if footers or label words show that the files are unusable.
    """
    footers = [_columns.checked(path, columns, classes, key) for path in paths]
    if classes is not None:
        for footer in footers:
            _check_labels_by(footer, columns.label, classes, key)
        _numbers_of_words(footers, columns.label, classes, key)
    return sum(footer.metadata.num_rows for footer in footers)


def _check_labels_by(footer: Footer, column: str, classes: int, key: str) -> None:
    """Raise StudyError naming the configuration's `key` if a footer shows that labels are unusable."""
    for facts in footer.statistics(column):
        if facts.has_null_count and facts.null_count:
            raise StudyError(
                f"{key}: {facts.null_count} rows of {footer.path} have no {column} (null); give them one, or leave "
                "them out"
            )
        if facts.has_min_max and not footer.is_word(column):
            check_labels(np.array([int(facts.min), int(facts.max)]), classes, f"{key}: {footer.path}")


def _bounds(footer: Footer, column: str) -> tuple[int, int]:
    """Return the lowest and highest label of a file, from its footer if possible; raise if a label is missing."""
    facts = list(footer.statistics(column))
    if footer.nulls(column) == 0 and all(one.has_min_max for one in facts):
        found = [int(bound) for one in facts for bound in (one.min, one.max)]
    else:
        found = [int(bound) for part in labels_of(footer, column) for bound in (np.min(part), np.max(part))]
    return min(found, default=0), max(found, default=-1)


def _words(paths: Iterable[str], column: str) -> list[str]:
    """Return all label words of the files, in plain order."""
    parts = (part for path in paths for part in labels_of(Footer.read(path, ""), column))
    return sorted({str(word) for part in parts for word in part})


def _numbers_of_words(footers: Iterable[Footer], column: str, classes: int, key: str) -> dict[str, int] | None:
    """Return word -> class number; None if labels are numbers.

    Words are numbered as in Hugging Face's metadata, else in plain order. Raises StudyError naming the configuration's
    `key` if there are more words than classes, or some files have words and others numbers.
    """
    footers = list(footers)
    words = [footer.is_word(column) for footer in footers]
    if not any(words):
        return None
    if not all(words):
        raise StudyError(
            f"{key}: column {column} holds words in {footers[words.index(True)].path} and numbers in "
            f"{footers[words.index(False)].path}; give files of one kind"
        )
    found = _words([footer.path for footer in footers], column)
    names = footers[0].class_names(column)
    if names and (unknown := set(found) - set(names)):
        raise StudyError(
            f"{key}: {footers[0].path} has images of {some(unknown)} in column {column}, which its metadata do not "
            f"name ({some(names)}); mend one"
        )
    numbered = {word: number for number, word in enumerate(names or found)}
    if len(numbered) > classes:
        raise StudyError(_other_classes(numbered, classes, column, key))
    return numbered


def _other_classes(numbered: Mapping[str, int], classes: int, column: str, key: str) -> str:
    return (
        f"{key.rpartition('.')[0]}.classes: {classes} is given, but column {column} of {key} names {len(numbered)} "
        f"({some(numbered)})"
    )


class Source:
    """The images of Parquet files, named by file and row, and by path if they have one; see `data.source`.

    Raises StudyError if a file is damaged or a row lacks its label, and, on reading, its image.
    """

    def __init__(self, paths: Iterable[str], classes: int | None, key: str, columns: Columns = COLUMNS):
        self.footers = [_columns.checked(path, columns, classes, key) for path in paths]
        self.columns, self.key = columns, key
        self.classes, self.labels = None, None
        # Files with the same name in several folders are distinguished by folder.
        above = os.path.commonpath([os.path.dirname(os.path.abspath(footer.path)) for footer in self.footers])
        names = []
        for footer in self.footers:
            short = os.path.relpath(os.path.abspath(footer.path), above)
            of_files = enumerate(paths_of(footer, columns.image))
            names += [f"{short}, row {row}" + (f": {name}" if name else "") for row, name in of_files]
        self.names = np.array(names)
        if classes is not None:
            self.classes = _numbers_of_words(self.footers, columns.label, classes, key)
            parts = [self._numbers(footer, columns.label, classes, key) for footer in self.footers]
            self.labels = np.concatenate(parts)

    def _numbers(self, footer: Footer, column: str, classes: int, key: str) -> np.ndarray:
        parts = []
        for part in labels_of(footer, column):
            if self.classes is not None:
                values = np.array([self.classes[word] for word in part])
            else:
                values = np.asarray(part)
                check_labels(values, classes, f"{key}: {footer.path}")
            parts.append(values.astype(np.int64))
        return np.concatenate(parts)

    def not_of(self, classes: int) -> str:
        """Return the error for a source with another number of words than classes."""
        return _other_classes(self.classes or {}, classes, self.columns.label, self.key)

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded images in order, with only a few rows in memory at a time."""
        for footer in self.footers:
            column = self.columns.image
            named = by_path(footer, column)
            both = zip(bytes_of(footer, column), paths_of(footer, column), strict=True)
            for row, (encoded, name) in enumerate(both):
                if encoded is None and not (name and named):
                    raise StudyError(
                        f"{footer.path}: row {row} has no encoded image (null); give it one, or leave it out"
                    )
                yield _content(footer.path, row, name or "") if encoded is None else encoded


def _content(path: str, row: int, name: str) -> bytes:
    file = _columns.file_of(path, name)
    try:
        if not os.path.isfile(file):
            raise FileNotFoundError("there is no such file")
        with open(file, "rb") as opened:
            return opened.read()
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: row {row}: the image {_short(file)} cannot be read ({error}); mend it") from error
