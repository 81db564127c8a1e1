"""Imports a module with all that it needs: torch and timm in two thirds of the time."""

import gc
import sys
from importlib import import_module
from types import ModuleType


def imported(name: str) -> ModuleType:
    """Return a module, imported without garbage collections.

    They visit all objects again and again while modules make more, and free nearly nothing. What exists afterwards is
    never visited again, which takes a twentieth of the time of a small training.
    """
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    imported(sys.argv.pop(1)).main()
