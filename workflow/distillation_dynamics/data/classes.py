"""Names of the classes of an image set, for figures, found without listing the set. Imports no torch."""

import os
from importlib import import_module

from ..spec.configured import Data
from .source import options_of


def class_names(data: Data) -> tuple[str, ...]:
    """Return the names of the classes in order of their numbers, as the set's reader finds them.

    Empty if nothing names them, or their number differs from the study's.
    """
    reader = import_module(f".sources.{data.source}", __package__)
    named = getattr(reader, "class_names", None)
    if named is None or data.classes is None:
        return ()
    # Some classes may have no test images.
    for files in filter(None, (data.test, data.train)):
        names = named(files, **options_of(reader, data)) if os.path.exists(files[0]) else ()
        if len(names) == data.classes:
            return names
    return ()
