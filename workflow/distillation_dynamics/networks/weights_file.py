"""Files of weights from elsewhere: safetensors alone, told apart from what is none before anything is loaded.

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
# Names that a sentence lists.
LISTED = 3
# How a zip archive begins, which torch.save writes, and a pickle.
MAGIC = (b"PK\x03\x04", b"\x80")


def other_weights(owner: str) -> str:
    """Return the remedy where a fault is not that of a result but of the weights that `owner` (a key) is given."""
    return f"the fault is in what {owner}.weights names: give other weights there"


def is_local(source: str) -> bool:
    """Whether weights lie on this machine: `local-dir:folder` or a file."""
    return not source.startswith(HUB)


def local_weights(source: str, owner: str) -> Path:
    """Return the file of local weights: itself, or that of `local-dir:folder`.

    Raises StudyError, naming those of `owner` (a key), where the folder has none.
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
    """Raise StudyError with `remedy` where a file is not whole safetensors, as far as its header tells."""
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            begin = file.read(9)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    # Of safetensors the first 8 bytes are a number, and may be any; then JSON begins.
    if begin.startswith(MAGIC) and begin[8:] != b"{":
        raise StudyError(f"{path}: {_not_read(path, Path(path).with_suffix('.safetensors'))}")
    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise StudyError(f"{path}: not a whole safetensors file ({error}); {remedy}") from error


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Return name -> {"dtype", "shape"} of the tensors in a safetensors file, read from its header alone."""
    with open(path, "rb") as file:
        tensors = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: {key: one[key] for key in ("dtype", "shape")} for name, one in tensors.items() if "dtype" in one}


def read_as(prefix: str, others: Iterable[str], library: str | None) -> str:
    """Return how the names in a file were read; empty where they were as they are."""
    more = [f"and not those with {listed(list(others))}"] if others else []
    parts = [", ".join([f"names read without {prefix}", *more])] if prefix else []
    parts += [f"names of {library} brought to timm's"] if library else []
    return "; ".join(parts)


def described(loaded: Mapping[str, Any]) -> str:
    """Return in one line how a file was loaded (what `load_released` returns); empty where all was as it should be."""
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
    """Return the first of some names, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _not_read(path: str | Path, converted: Path) -> str:
    """Return why a pickle is not read, and the command that converts it."""
    command = shlex.join(["python", "-m", f"{__package__.partition('.')[0]}.convert", str(path), str(converted)])
    return f"{Path(path).name} is a pickle, which is not read, since it can run code; convert it: {command}"
