"""Columns of Parquet files as their footers tell: which could hold images or labels, and how they are read.

Images are encoded (binary of any kind), or named by the paths of their files, from the folder of the Parquet file; a
struct has them as `bytes`, as `path`, or both, as Hugging Face ships them. Labels are whole numbers, false and true (0
and 1), or words, which are numbered in plain order or as Hugging Face's metadata names them. Imports no torch.
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
    """What the footer of a file says: `schema` of pyarrow, and `metadata` with its groups of rows."""

    path: str
    schema: Any
    metadata: Any

    @classmethod
    def read(cls, path: str, key: str) -> "Footer":
        """Return the footer of a file; raise StudyError naming the configuration's `key` where it has none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_metadata(path)
            return cls(path, metadata.schema.to_arrow_schema(), metadata)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise StudyError(f"{key}: {path} is not a readable Parquet file ({error}); fetch it again") from error

    def kind(self, column: str) -> Any:
        """Return the type of a column, that of its values where it is a dictionary."""
        return plain(self.schema.field(column).type)

    def part(self, column: str, name: str) -> Any:
        """Return the type of a part of a column of structs; None where it is none, or has no such part."""
        kind = self.kind(column)
        there = self.is_struct(column) and kind.get_field_index(name) >= 0
        return plain(kind.field(name).type) if there else None

    def holds(self, role: str) -> list[str]:
        """Return the columns that could hold images or labels, by their type."""
        can = self.is_image if role == "image" else self.is_label
        return [name for name in self.schema.names if self.schema.names.count(name) == 1 and can(name)]

    def is_image(self, column: str) -> bool:
        """Return whether a column could hold images."""
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
        """Return whether a column could hold labels."""
        import pyarrow as pa

        kind = self.kind(column)
        return pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _text(kind)

    def is_word(self, column: str) -> bool:
        """Return whether a column of labels holds words."""
        return _text(self.kind(column))

    def nulls(self, column: str) -> int | None:
        """Return how many rows of a column, or of a part of one, are null; None where that is not said."""
        facts = list(self.statistics(column))
        if len(facts) < self.metadata.num_row_groups or not all(one.has_null_count for one in facts):
            return None
        return sum(one.null_count for one in facts)

    def statistics(self, column: str) -> Iterator[Any]:
        """Yield what is said of a column, or of a part of one (`image.bytes`), in each group of rows, where it is."""
        numbers = [n for n in range(self.metadata.num_columns) if self.metadata.schema.column(n).path == column]
        for group in range(self.metadata.num_row_groups) if len(numbers) == 1 else ():
            facts = self.metadata.row_group(group).column(numbers[0]).statistics
            if facts is not None:
                yield facts

    def class_names(self, column: str) -> tuple[str, ...]:
        """Return what Hugging Face's metadata call the classes of a column; nothing where they do not, each once."""
        try:
            said = json.loads((self.schema.metadata or {}).get(b"huggingface", b"{}"))
            names = said["info"]["features"][column]["names"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return ()
        return tuple(names) if len(set(names)) == len(names) else ()


def plain(kind: Any) -> Any:
    """Return the type of the values of a dictionary, or of what an extension type is kept as; another type itself."""
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
    """Return the footer of a file whose columns can be read; raise StudyError naming the configuration's `key`."""
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
    """Return the end of a sentence: which columns could be meant, and what to write to say so."""
    likely = {role: [name for name in _likely(footer, role) if name not in taken] for role in roles}
    found = {role: names for role, names in likely.items() if names}
    if not found:
        return ""
    listed = ", ".join(f"{role}: {' or '.join(names)}" for role, names in found.items())
    said = ", ".join(f"{role}: {names[0]}" for role, names in found.items())
    return f"; could be meant: {listed}; say which, as in {key.rpartition('.')[0]}.columns: {{{said}}}"


def _likely(footer: Footer, role: str) -> list[str]:
    """Return the columns that a role could mean: those of encoded images or of named classes, where there are any."""
    names = footer.holds(role)
    sure = [name for name in names if (footer.has_bytes(name) if role == "image" else footer.class_names(name))]
    return sure or names


def guessed(footer: Footer, key: str) -> Columns:
    """Return the columns that a file most likely means, `label` empty where it has none; raise as `checked`.

    Those of the default names count first. Then images are the only column that could be meant, and labels the only
    one whose classes Hugging Face's metadata name.
    """
    image, label = vars(COLUMNS).values()
    images = [image] if image in footer.holds("image") else _likely(footer, "image")
    if len(images) != 1:
        raise _missing(footer, COLUMNS, ["image"], key)
    labels = [label] if label in footer.holds("label") else [n for n in footer.holds("label") if footer.class_names(n)]
    return Columns(images[0], labels[0] if len(labels) == 1 else "")


def file_of(path: str, name: str) -> str:
    """Return the file of an image that a Parquet file names."""
    return os.path.normpath(os.path.join(os.path.dirname(path), name))
