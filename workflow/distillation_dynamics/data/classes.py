"""What the classes of an image set are called, for figures: by the set itself, without listing it. Imports no torch."""

import os
from importlib import import_module

from ..spec.configured import Data
from .source import options_of


def class_names(data: Data) -> tuple[str, ...]:
    """Return the names of the classes in order of their numbers, as the reader of a set finds them in its images.

    Nothing where nothing names them, or another number of classes than the study has.
    """
    reader = import_module(f".sources.{data.source}", __package__)
    named = getattr(reader, "class_names", None)
    if named is None or data.classes is None:
        return ()
    # Of some classes there may be no images to test.
    for files in filter(None, (data.test, data.train)):
        names = named(files, **options_of(reader, data)) if os.path.exists(files[0]) else ()
        if len(names) == data.classes:
            return names
    return ()
