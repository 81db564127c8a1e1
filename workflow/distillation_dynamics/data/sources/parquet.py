"""Parquet files of images, as Hugging Face ships them: found, checked by their footers, read a few rows at a time.

A source is one file or several (its shards), read in the order given. What a column may hold is said in `_columns`; the
labels are not looked at where there are no classes. Imports no torch.
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
    """Return the files that a path, a pattern (its files in natural order) or a list of them means.

    Raises StudyError naming the configuration's `key` where there is none, one twice, or not every shard.
    """
    return _shards.found(value, key)


def contents(paths: Iterable[str], key: str, columns: Columns = COLUMNS) -> list[str]:
    """Return the files, and those of images that they name; raise StudyError where some of these are not there."""
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
    """Return what the classes are called, in order of their numbers; nothing where nothing names them."""
    paths = list(paths)
    try:
        footer = Footer.read(paths[0], "")
        column = columns.label
        if column not in footer.holds("label"):
            return ()
        return footer.class_names(column) or (tuple(_words(paths, column)) if footer.is_word(column) else ())
    except StudyError:
        # What is wrong with a file is said where it is read; one without names is none the worse.
        return ()


def classes_in(paths: Iterable[str], key: str, columns: Columns = COLUMNS) -> int | None:
    """Return one more than the highest label, or how many words there are; None where some image has no label.

    Raises StudyError naming the configuration's `key` where a footer cannot be read.
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
    """Return which columns of files that nobody described hold images and labels, and how many classes there are.

    Raises StudyError where files cannot be read, shards are missing, or more than one column could hold the images.
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

    Raises StudyError naming the configuration's `key` where a footer, or words for labels, tell that files cannot be
    used.
    """
    footers = [_columns.checked(path, columns, classes, key) for path in paths]
    if classes is not None:
        for footer in footers:
            _check_labels_by(footer, columns.label, classes, key)
        _numbers_of_words(footers, columns.label, classes, key)
    return sum(footer.metadata.num_rows for footer in footers)


def _check_labels_by(footer: Footer, column: str, classes: int, key: str) -> None:
    """Raise StudyError naming the configuration's `key` where a footer tells that labels cannot be used."""
    for facts in footer.statistics(column):
        if facts.has_null_count and facts.null_count:
            raise StudyError(
                f"{key}: {facts.null_count} rows of {footer.path} have no {column} (null); give them one, or leave "
                "them out"
            )
        if facts.has_min_max and not footer.is_word(column):
            check_labels(np.array([int(facts.min), int(facts.max)]), classes, f"{key}: {footer.path}")


def _bounds(footer: Footer, column: str) -> tuple[int, int]:
    """Return the lowest and the highest label of a file, by its footer where that tells; raise where one lacks."""
    facts = list(footer.statistics(column))
    if footer.nulls(column) == 0 and all(one.has_min_max for one in facts):
        found = [int(bound) for one in facts for bound in (one.min, one.max)]
    else:
        found = [int(bound) for part in labels_of(footer, column) for bound in (np.min(part), np.max(part))]
    return min(found, default=0), max(found, default=-1)


def _words(paths: Iterable[str], column: str) -> list[str]:
    """Return all words that label images of files, in plain order."""
    parts = (part for path in paths for part in labels_of(Footer.read(path, ""), column))
    return sorted({str(word) for part in parts for word in part})


def _numbers_of_words(footers: Iterable[Footer], column: str, classes: int, key: str) -> dict[str, int] | None:
    """Return the number of each class by the word for it; None where labels are numbers.

    Words are numbered as Hugging Face's metadata name the classes, else in plain order. Raises StudyError naming the
    configuration's `key` where they are more than the study's classes, or some files have words and some numbers.
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
    """The images of Parquet files, each named by its file and row, and its path where it has one; see `data.source`.

    Raises StudyError where a file is damaged or a row lacks its label, and, while they are read, its image.
    """

    def __init__(self, paths: Iterable[str], classes: int | None, key: str, columns: Columns = COLUMNS):
        self.footers = [_columns.checked(path, columns, classes, key) for path in paths]
        self.columns, self.key = columns, key
        self.classes, self.labels = None, None
        # Files of one name in several folders are told apart by theirs.
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
        """Return the sentence of a source whose words are not those of so many classes."""
        return _other_classes(self.classes or {}, classes, self.columns.label, self.key)

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded images in order, with no more than some rows in memory at a time."""
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
