"""Columns of Parquet files from their footers: candidates for images and labels, and how to read them.

Images are encoded (binary of any kind), or paths of their files relative to the Parquet file's folder; a struct has
them as `bytes`, `path`, or both, as Hugging Face ships them. Labels are integers, false and true (0 and 1), or words,
numbered in plain order or as in Hugging Face's metadata. Imports no torch.
"""

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ...errors import StudyError
from ...spec.data import COLUMNS, Columns

BYTES, PATH = "bytes", "path"
WANTED = {
    "image": "encoded images (PNG, JPEG) as bytes, paths of their files, or Hugging Face's structs of bytes and path",
    "label": "whole numbers from 0, false and true, or words",
}


class Footer(NamedTuple):
    """A file's footer: `schema` of pyarrow, and `metadata` with its row groups."""

    path: str
    schema: Any
    metadata: Any

    @classmethod
    def read(cls, path: str, key: str) -> "Footer":
        """Return a file's footer; raise StudyError naming the configuration's `key` if it has none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_metadata(path)
            return cls(path, metadata.schema.to_arrow_schema(), metadata)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{key}: {path} is not a readable Parquet file ({error}); fetch it again") from error

    def kind(self, column: str) -> Any:
        """Return the type of a column; of its values for a dictionary."""
        return plain(self.schema.field(column).type)

    def part(self, column: str, name: str) -> Any:
        """Return the type of a field in a struct column; None without such a field."""
        kind = self.kind(column)
        there = self.is_struct(column) and kind.get_field_index(name) >= 0
        return plain(kind.field(name).type) if there else None

    def holds(self, role: str) -> list[str]:
        """Return the columns whose type fits images or labels."""
        can = self.is_image if role == "image" else self.is_label
        return [name for name in self.schema.names if self.schema.names.count(name) == 1 and can(name)]

    def is_image(self, column: str) -> bool:
        """Return whether a column may hold images."""
        return self.has_bytes(column) or self.has_paths(column)

    def is_struct(self, column: str) -> bool:
        """Return whether a column holds structs."""
        import pyarrow as pa

        return pa.types.is_struct(self.kind(column))

    def has_bytes(self, column: str) -> bool:
        """Return whether a column holds encoded images."""
        return _binary(self.kind(column)) or _binary(self.part(column, BYTES))

    def has_paths(self, column: str) -> bool:
        """Return whether a column holds paths of images."""
        return _text(self.kind(column)) or _text(self.part(column, PATH))

    def is_label(self, column: str) -> bool:
        """Return whether a column may hold labels."""
        import pyarrow as pa

        kind = self.kind(column)
        return pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _text(kind)

    def is_word(self, column: str) -> bool:
        """Return whether a label column holds words."""
        return _text(self.kind(column))

    def nulls(self, column: str) -> int | None:
        """Return the number of null rows of a column or field; None if unknown."""
        facts = list(self.statistics(column))
        if len(facts) < self.metadata.num_row_groups or not all(one.has_null_count for one in facts):
            return None
        return sum(one.null_count for one in facts)

    def statistics(self, column: str) -> Iterator[Any]:
        """Yield the statistics of a column or field in each row group that has them."""
        numbers = [n for n in range(self.metadata.num_columns) if self.metadata.schema.column(n).path == column]
        for group in range(self.metadata.num_row_groups) if len(numbers) == 1 else ():
            facts = self.metadata.row_group(group).column(numbers[0]).statistics
            if facts is not None:
                yield facts

    def class_names(self, column: str) -> tuple[str, ...]:
        """Return the classes of a column in Hugging Face's metadata; empty if absent or not unique."""
        try:
            said = json.loads((self.schema.metadata or {}).get(b"huggingface", b"{}"))
            names = said["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return ()
        return tuple(names) if len(set(names)) == len(names) else ()


def plain(kind: Any) -> Any:
    """Return the value type of a dictionary, the storage type of an extension type, or the type itself."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _binary(kind: Any) -> bool:
    from pyarrow import types

    checks = types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary
    return kind is not None and any(check(kind) for check in checks)


def _text(kind: Any) -> bool:
    from pyarrow import types

    return kind is not None and (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def checked(path: str, columns: Columns, classes: int | None, key: str) -> Footer:
    """Return the footer of a file with readable columns; raise StudyError naming the configuration's `key`."""
    footer = Footer.read(path, key)
    roles = ["image"] if classes is None else ["image", "label"]
    names = footer.schema.names
    missing = [role for role in roles if getattr(columns, role) not in names]
    if missing:
        raise _missing(footer, columns, missing, key)
    for role in roles:
        column = getattr(columns, role)
        if names.count(column) > 1:
            raise StudyError(f"{key}: {path} has {names.count(column)} columns {column}; rename all but one")
        if column not in footer.holds(role):
            raise StudyError(
                f"{key}: column {column} of {path} holds {footer.schema.field(column).type}; it must hold "
                f"{WANTED[role]}{_could_be(footer, [role], key)}"
            )
    if footer.metadata.num_rows == 0:
        raise StudyError(f"{key}: {path} holds no images; leave it out or fetch it again")
    return footer


def _missing(footer: Footer, columns: Columns, roles: Sequence[str], key: str) -> StudyError:
    lacking = " and ".join(getattr(columns, role) for role in roles)
    taken = [name for role, name in vars(columns).items() if role not in roles]
    cure = _could_be(footer, roles, key, taken) or f"; give files with {' and '.join(f'{role}s' for role in roles)}"
    without = ", or leave out data.classes where images have no labels" if list(roles) == ["label"] else ""
    there = ", ".join(footer.schema.names) or "none"
    return StudyError(f"{key}: {footer.path} has no column {lacking}, only {there}{cure}{without}")


def _could_be(footer: Footer, roles: Iterable[str], key: str, taken: Collection[str] = ()) -> str:
    """Return the end of a sentence: columns that could be meant, and how to name them."""
    likely = {role: [name for name in _likely(footer, role) if name not in taken] for role in roles}
    found = {role: names for role, names in likely.items() if names}
    if not found:
        return ""
    listed = ", ".join(f"{role}: {' or '.join(names)}" for role, names in found.items())
    said = ", ".join(f"{role}: {names[0]}" for role, names in found.items())
    return f"; could be meant: {listed}; say which, as in {key.rpartition('.')[0]}.columns: {{{said}}}"


def _likely(footer: Footer, role: str) -> list[str]:
    """Return the likely columns for a role: encoded images or named classes if any, else all candidates."""
    names = footer.holds(role)
    sure = [name for name in names if (footer.has_bytes(name) if role == "image" else footer.class_names(name))]
    return sure or names


def guessed(footer: Footer, key: str) -> Columns:
    """Return the columns a file most likely means, `label` empty if it has none; raise as `checked`.

    Default names come first, then the only candidate for images, and the only label column with class names in Hugging
    Face's metadata.
    """
    image, label = vars(COLUMNS).values()
    images = [image] if image in footer.holds("image") else _likely(footer, "image")
    if len(images) != 1:
        raise _missing(footer, COLUMNS, ["image"], key)
    labels = [label] if label in footer.holds("label") else [n for n in footer.holds("label") if footer.class_names(n)]
    return Columns(images[0], labels[0] if len(labels) == 1 else "")


def file_of(path: str, name: str) -> str:
    """Return the path of an image that a Parquet file names."""
    return os.path.normpath(os.path.join(os.path.dirname(path), name))
