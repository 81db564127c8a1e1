"""Checks weights files from outside before loading; only safetensors are accepted.

Imports no torch.
"""

import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import StudyError

NAME = "model.safetensors"
HUB, LOCAL = "hf-hub:", "local-dir:"
PICKLES = {".pth", ".pt", ".bin", ".ckpt", ".pkl"}
# Maximum number of names listed in a message.
LISTED = 3
# First bytes of a zip archive, as torch.save writes, and of a pickle.
MAGIC = (b"PK\x03\x04", b"\x80")


def other_weights(owner: str) -> str:
    """Return the remedy for faults in the weights given for `owner` (a key)."""
    return f"the fault is in what {owner}.weights names: give other weights there"


def is_local(source: str) -> bool:
    """Return whether weights are on this machine: `local-dir:folder` or a file."""
    return not source.startswith(HUB)


def local_weights(source: str, owner: str) -> Path:
    """Return the file of local weights: the file itself, or that in `local-dir:folder`.

    Raises StudyError naming `owner` (a key) if the folder has none.
    """
    if not source.startswith(LOCAL):
        return Path(source)
    folder = Path(source.removeprefix(LOCAL))
    path = folder / NAME
    if path.is_file():
        return path
    others = sorted(folder.glob("*.safetensors"))
    pickles = sorted(other for other in folder.glob("*") if other.suffix in PICKLES)
    reason = f"; {_not_read(pickles[0], path)}" if pickles else ""
    if len(others) == 1:
        reason = f"; name the file itself, {others[0]}"
    elif others:
        reason = f"; it holds {listed([other.name for other in others])}: join what are parts into one file"
    raise StudyError(f"{owner}.weights: {path} does not exist; {source} must hold a {NAME}{reason}")


def check_safetensors(path: str | Path, remedy: str) -> None:
    """Raise StudyError with `remedy` if the header shows that a file is not complete safetensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            begin = file.read(9)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    # The first 8 bytes of safetensors are an arbitrary number, followed by JSON.
    if begin.startswith(MAGIC) and begin[8:] != b"{":
        raise StudyError(f"{path}: {_not_read(path, Path(path).with_suffix('.safetensors'))}")
    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise StudyError(f"{path}: not a whole safetensors file ({error}); {remedy}") from error


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Return name -> {"dtype", "shape"} of the tensors in a safetensors file, from its header."""
    with open(path, "rb") as file:
        tensors = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: {key: one[key] for key in ("dtype", "shape")} for name, one in tensors.items() if "dtype" in one}


def read_as(prefix: str, others: Iterable[str], library: str | None) -> str:
    """Return how the names in a file were read; "" if unchanged."""
    more = [f"and not those with {listed(list(others))}"] if others else []
    parts = [", ".join([f"names read without {prefix}", *more])] if prefix else []
    parts += [f"names of {library} brought to timm's"] if library else []
    return "; ".join(parts)


def described(loaded: Mapping[str, Any]) -> str:
    """Return one line on how a file was loaded (the result of `load_released`); "" if it fitted exactly."""
    parts = [read_as(loaded["prefix"], loaded["others"], loaded["library"])]
    resampled = [f"{name} resampled from {old} to {new}" for name, (old, new) in loaded["resampled"].items()]
    if len(resampled) > LISTED:
        resampled = [f"{len(resampled)} tensors resampled, such as {resampled[0].replace(' resampled', '')}"]
    parts += resampled
    parts += [f"{what}: {listed(loaded[key])}" for key, what in (("missing", "left as made"), ("unused", "not used"))
              if loaded[key]]  # fmt: skip
    if loaded["renamed"]:
        parts.append("names translated by timm")
    return "; ".join(filter(None, parts))


def listed(names: list[str]) -> str:
    """Return the first few names, and the number of others."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _not_read(path: str | Path, converted: Path) -> str:
    """Return why a pickle is not read, and the command that converts it."""
    command = shlex.join(["python", "-m", f"{__package__.partition('.')[0]}.convert", str(path), str(converted)])
    return f"{Path(path).name} is a pickle, which is not read, since it can run code; convert it: {command}"
