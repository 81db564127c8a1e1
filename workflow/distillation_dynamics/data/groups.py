"""Groups images of one photograph by a regular expression on their names, and holds out whole groups."""

import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations

import numpy as np

from ..errors import StudyError
from ..spec.faults import said
from ..words import plural
from .balanced import SPLIT_SEED, balanced

# Limit of computing time for all names together; a match takes a few microseconds.
SECONDS, SECONDS_A_NAME = 10.0, 1e-3


class _TooLongError(Exception):
    """The time limit is reached."""


def groups_of(names: Mapping[str, np.ndarray], pattern: str | None, key: str) -> dict[str, np.ndarray]:
    """Return the group number of each image, [N] by source, from their names [N] by source.

    Images whose names match `pattern` with equal text (in its first group, if it has one) are one group; an image that
    does not match is its own group, as is every image without a pattern. Raises StudyError naming the configuration's
    `key` if it matches no name, or takes too long.
    """
    counts = [len(own) for own in names.values()]
    if pattern is None:
        numbers = np.arange(sum(counts))
    else:
        found = _found(names, pattern, key)
        if all(match is None for own in found.values() for match in own):
            first = next(str(own[0]) for own in names.values())
            raise StudyError(f"{key}.groups: {said(pattern)} matches the name of no image, such as {first}; mend it")
        # Names that do not match stand for themselves and equal no group.
        marks = [
            f"{source} {name}" if match is None else f"group {match}"
            for source, own in names.items()
            for name, match in zip(own, found[source], strict=True)
        ]
        numbers = np.unique(marks, return_inverse=True)[1]
    return dict(zip(names, np.split(numbers, np.cumsum(counts)[:-1]), strict=True))


def _found(names: Mapping[str, np.ndarray], pattern: str, key: str) -> dict[str, list[str | None]]:
    """Return the text that the pattern finds in each name."""
    named, name = re.compile(pattern), ""
    found: dict[str, list[str | None]] = {source: [] for source in names}
    try:
        with _within(SECONDS + SECONDS_A_NAME * sum(map(len, names.values()))):
            for source, own in names.items():
                for name in map(str, own):
                    match = named.search(name)
                    found[source].append(None if match is None else match[min(1, named.groups)])
    except _TooLongError as error:
        raise StudyError(
            f"{key}.groups: {said(pattern)} takes too long to match (it was at {name}); write it so that no part that "
            "repeats can match the same text in several ways, as (a+)+ does"
        ) from error
    return found


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise _TooLongError if the block takes more than `seconds` of computing time.

    Python's regular expressions check for signals during a search, so a signal ends it.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals arrive only in the main thread.
        yield
        return

    def end(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGVTALRM, end)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def held_out(labels: np.ndarray, groups: np.ndarray, per_class: int, seed: int = SPLIT_SEED) -> np.ndarray:
    """Return the positions, ascending, of `per_class` held-out images of each class, from as few groups as possible.

    `labels` and `groups` are [N]; groups come in an order drawn from `seed`. Without groups, see `balanced`.
    """
    places = np.unique_inverse(groups).inverse_indices
    if places.max() + 1 == len(places):
        return balanced(labels, per_class * len(np.unique(labels)), seed)
    generator = np.random.default_rng(seed)
    rank = generator.permutation(places.max() + 1)[places]
    order = np.lexsort((generator.permutation(len(labels)), rank))
    chosen = [order[labels[order] == value][:per_class] for value in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def in_both(
    splits: Sequence[tuple[str, str, np.ndarray]], groups: Mapping[str, np.ndarray], names: Mapping[str, np.ndarray]
) -> list[str]:
    """Return a sentence for each pair of splits that share a group; each split is (split, source, positions).

    `groups` and `names` [N] are those of the images of each source.
    """
    found = []
    for (one, file, rows), (other, other_file, other_rows) in combinations(splits, 2):
        both = np.flatnonzero(np.isin(groups[other_file][other_rows], groups[file][rows]))
        if len(both):
            found.append(
                f"{len(both):,} of {plural(len(other_rows), f'{other} image')} are of a photograph (data.groups) that "
                f"{one} images are of, too, such as {names[other_file][other_rows[both[0]]]}: they are no test of what "
                "was learned of others; keep all images of a photograph in one of the two"
            )
    return found


def not_of(held: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the positions of images whose group has no held-out image, from groups [N]."""
    return np.flatnonzero(~np.isin(groups, groups[held]))
