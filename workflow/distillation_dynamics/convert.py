"""Converts pickled weights of torch.save to safetensors: `python -m distillation_dynamics.convert FILE.pth`.

In: a file of tensors by name, alone or inside a checkpoint (`state_dict`, `model`, `teacher`). Out: the same tensors as
safetensors. Only tensors, containers and a few plain classes are unpickled (torch's `weights_only`).
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray
from safetensors.torch import save
from torch import Tensor

from .errors import StudyError, nearest
from .files import replacing
from .networks.readings import is_average

# Harmless classes in checkpoints besides tensors: options, and numpy numbers.
PLAIN: list[Any] = [
    argparse.Namespace, np.dtype, *(type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)),
    *((multiarray.scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]  # fmt: skip


def read(path: Path) -> Any:
    """Return the content of a torch pickle; raise StudyError if it is not one, or might run code."""
    try:
        with open(path, "rb") as file, torch.serialization.safe_globals(PLAIN):
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:
        # For other bytes the reader raises any kind of error.
        said = " ".join(str(error).split())
        unsafe = said.partition("GLOBAL ")[2].split(" ")[0].strip("`,.")
        why = f"it holds {unsafe}, which could run code" if unsafe else said[:200]
        raise StudyError(
            f"{path}: is not a file of torch.save, or holds more than weights ({why}); ask for a safetensors file, or "
            "take timm's own weights of that network"
        ) from error


def networks_in(found: Any, name: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield (keys leading to it, joined by dots; tensors by name) for each dictionary of tensors in a checkpoint."""
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        return
    tensors = {key: value for key, value in found.items() if isinstance(value, Tensor)}
    if tensors:
        yield name, tensors
    for key, value in found.items():
        yield from networks_in(value, f"{name}.{key}" if name else key)


def chosen(found: Any, key: str | None, path: Path) -> tuple[str, dict[str, Tensor], list[str]]:
    """Return the selected network of a checkpoint: its keys, its tensors, and the keys of others of its size.

    It is that of `key` or, of several, a training's average (teacher, EMA), else the largest, the first of equals.
    Raises StudyError if there is none.
    """
    networks = dict(networks_in(found))
    if not networks:
        raise StudyError(f"{path}: holds no named tensors; give a state dict")
    if key is not None:
        if key not in networks:
            raise StudyError(f"{path}: holds no tensors under {key}; {nearest(key, networks)}")
        return key, networks[key], []
    most = max(map(len, networks.values()))
    # Much smaller ones are a head, the centre of a loss, a schedule.
    large = [name for name, tensors in networks.items() if len(tensors) > most / 2]
    name = max(large, key=lambda name: (is_average(name), len(networks[name])))
    return name, networks[name], [other for other in large if other != name]


def convert(path: Path, out: Path, key: str | None = None) -> str:
    """Convert pickled weights to safetensors, written whole or not at all; return a line on the result."""
    name, tensors, others = chosen(read(path), key, path)
    # Tensors that share memory, such as tied weights, are copied.
    whole = {name: value.detach().to_dense().contiguous().clone() for name, value in tensors.items()}
    with replacing(out) as temporary:
        temporary.write_bytes(save(whole))
    more = f", not {' or '.join(others)} (--key takes another)" if others else ""
    return f"{out}: {len(whole)} tensors{f' under {name}' if name else ''} of {path}{more}"


def main(arguments: list[str]) -> str | None:
    """Convert a file; return the error sentence, None on success."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.convert", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("file", type=Path, help="a .pth, .pt or .bin file")
    parser.add_argument("out", type=Path, nargs="?", help="left out: the same name, with .safetensors")
    parser.add_argument("--key", help="of the weights in a checkpoint, such as student, or model.state_dict")
    given = parser.parse_args(arguments)
    try:
        print(convert(given.file, given.out or given.file.with_suffix(".safetensors"), given.key))
    except StudyError as error:
        return f"error: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
