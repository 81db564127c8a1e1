"""What the classes of an image set are called, for figures: by the set itself, without listing it. Imports no torch."""

import os
from importlib import import_module


def class_names(source: str, files: tuple[str, ...], classes: int | None) -> tuple[str, ...]:
    """Return the names of the classes in order of their numbers, as the reader `source` finds them in its files.

    Nothing where nothing names them, or another number of classes than the study has.
    """
    named = getattr(import_module(f".sources.{source}", __package__), "class_names", None)
    if named is None or classes is None or not files or not os.path.exists(files[0]):
        return ()
    names = named(files)
    return names if len(names) == classes else ()
