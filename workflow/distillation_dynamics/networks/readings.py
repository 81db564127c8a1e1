"""Readings of the names in a weights file: without a prefix, or as those of another library.

Training code wraps networks and prepends names: `module.`, `teacher.backbone.`. The right prefix is the one with which
the weights fit; there is no list of prefixes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from . import hugging_face

# torch.compile inserts it anywhere in a name.
COMPILED = "_orig_mod."
TRANSFORMERS = "transformers"
# Names for the weight average of a training, which is usually what is released.
AVERAGES = ("teacher", "ema", "target", "momentum")


class Reading(NamedTuple):
    """Tensors by their names without prefix or in timm's form; `left`: names of the file that are not read.

    `library`: whose names were translated to timm's, None if none were.
    """

    prefix: str
    library: str | None
    state: dict[str, Tensor]
    left: tuple[str, ...]


def readings(state: Mapping[str, Tensor], wanted: Iterable[str]) -> list[Reading]:
    """Return the possible readings: the names as they are, then without each prefix shared by enough tensors.

    Enough is half the number of names the network has (`wanted`).
    """
    state = {name.replace(COMPILED, ""): value for name, value in state.items()}
    shared = Counter(prefix for name in state for prefix in _prefixes(name))
    enough = len(set(wanted)) / 2
    return [_reading(state, prefix) for prefix in ("", *(p for p, count in shared.items() if count >= enough))]


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) + "." for count in range(1, len(parts))]


def _reading(state: dict[str, Tensor], prefix: str) -> Reading:
    below = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    outside = set() if prefix == "" else {name for name in state if not name.startswith(prefix)}
    # A head at the top level is among the tower's tensors.
    aside = {name for name in below if name.startswith(tuple(hugging_face.HEADS)) or name == hugging_face.PROJECTION}
    tower = below if prefix else {name: value for name, value in below.items() if name not in aside}
    translated = hugging_face.converted(tower)
    if translated is None:
        return Reading(prefix, None, below, tuple(sorted(outside)))
    heads, used = hugging_face.heads(state, prefix, translated["pos_embed"].shape[-1])
    unread = {prefix + name for name in below if name.startswith(hugging_face.LEFT_OUT)}
    left = (outside | unread | (aside if prefix == "" else set())) - used
    return Reading(prefix, TRANSFORMERS, translated | heads, tuple(sorted(left)))


def is_average(name: str) -> bool:
    """Return whether a name denotes a training's weight average: of a teacher, an EMA."""
    words = name.lower().replace(".", "_").split("_")
    return any(word in AVERAGES for word in words)


def fit_of(reading: Reading, wanted: Iterable[str]) -> int:
    """Return how many of the network's names a reading has."""
    return len(reading.state.keys() & set(wanted))
