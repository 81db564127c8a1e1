"""How the names in a file of weights may be read: with a prefix taken off, or as those of another library.

Training wraps networks, and what wraps them puts its name before theirs: `module.`, `teacher.backbone.`. Which prefix
it is decides what then fits, no list of prefixes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from . import hugging_face

# torch.compile puts it anywhere into a name.
COMPILED = "_orig_mod."
TRANSFORMERS = "transformers"
# What the average of a training's weights is called, which is what is released of it.
AVERAGES = ("teacher", "ema", "target", "momentum")


class Reading(NamedTuple):
    """Tensors by the names that they have without a prefix, or in timm; `left`: names of the file that are not read.

    `library`: whose names were brought to timm's, None where they are as in the file.
    """

    prefix: str
    library: str | None
    state: dict[str, Tensor]
    left: tuple[str, ...]


def readings(state: Mapping[str, Tensor], wanted: Iterable[str]) -> list[Reading]:
    """Return how tensors may be read: as they are, then without each prefix that enough of them share.

    Enough are half as many as the network has (`wanted`, names): fewer cannot be its weights.
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
    # At the top a head lies among the tensors of the tower.
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
    """Whether a name is that of an average of weights over a training: of a teacher, an EMA."""
    words = name.lower().replace(".", "_").split("_")
    return any(word in AVERAGES for word in words)


def fit_of(reading: Reading, wanted: Iterable[str]) -> int:
    """Return how many names of a network are among those of a reading."""
    return len(reading.state.keys() & set(wanted))
