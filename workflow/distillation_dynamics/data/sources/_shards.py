"""Resolves a path, pattern or list to files, and checks that all shards of a download are present.

Names of shards give number and total: `train-00003-of-00294.parquet`, with or without a hash. Numbers start at 0, or at
1 if there is no 0 but the last number. Imports no torch.
"""

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from ...errors import StudyError
from ..source import some

SHARD = re.compile(r"(\d+)[-_. ]of[-_. ](\d+)", re.IGNORECASE | re.ASCII)
NUMBER = re.compile(r"(\d+)", re.ASCII)
# Number of missing shards that are named.
MOST_NAMED = 10


def found(value: str | list[str], key: str) -> list[str]:
    """Return the files of a path, a pattern (in natural order) or a list of them.

    Files listed one by one are a selection, whose shards need not be complete. Raises StudyError naming the
    configuration's `key` if a file is missing or given twice, or a shard is missing.
    """
    files: list[str] = []
    chosen: set[str] = set()
    for given in [value] if isinstance(value, str) else value:
        path = os.path.normpath(os.path.expanduser(given))
        if os.path.isdir(path):
            raise StudyError(f"{key}: {path} is a folder; name the files in it, such as {path}/train-*.parquet")
        if os.path.isfile(path):
            files.append(path)
            if not isinstance(value, str):
                chosen.add(path)
        elif os.path.exists(path):
            raise StudyError(f"{key}: {path} is no file (but a pipe, socket or device); give Parquet files of images")
        elif matching := _matching(path):
            files += matching
        else:
            missing = f"no file matches {path}" if glob.has_magic(path) else f"the file {path} does not exist"
            raise StudyError(f"{key}: {missing}; give Parquet files of images: a path, a pattern or a list")
    if twice := {path for path in files if files.count(path) > 1}:
        raise StudyError(f"{key}: {min(twice)} is given twice; name each file once")
    check_whole(files, key, chosen)
    return files


def natural(path: str) -> tuple[list[str | int], str]:
    """Return the sort key of a path: 2 before 10; paths that compare equal, such as 7 and 07, by plain text."""
    parts = NUMBER.split(path)
    return [int(part) if n % 2 else part for n, part in enumerate(parts)], path


def _matching(pattern: str) -> list[str]:
    """Return the files of a pattern in natural order; an existing path with brackets, `my [data]`, is not a pattern.

    Without a match, brackets are taken literally.
    """
    parts = pattern.split(os.sep)
    there = max(n for n in range(len(parts)) if n == 0 or os.path.isdir(os.sep.join(parts[:n]) or os.sep))
    literal = "".join(part + os.sep for part in parts[:there])
    rest = os.sep.join(parts[there:])
    for one in (rest, rest.replace("[", "[[]")):
        names = glob.glob(glob.escape(literal) + one, recursive=True)
        if files := sorted((name for name in names if os.path.isfile(name)), key=natural):
            return files
    return []


def check_whole(files: Iterable[str], key: str, chosen: Iterable[str] = ()) -> None:
    """Raise StudyError if shards are missing, duplicated, or numbered inconsistently.

    Shards of one download share their folder and the name before the number. A download whose files are all `chosen`
    need not be complete.
    """
    downloads: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for path in files:
        folder, name = os.path.split(path)
        if matches := list(SHARD.finditer(name)):
            number, total = map(int, matches[-1].groups())
            downloads[folder, name[: matches[-1].start()]].append((number, total, path))
    for shards in downloads.values():
        totals = sorted({total for _, total, _ in shards})
        if len(totals) > 1:
            first, second = (next(path for _, total, path in shards if total == one) for one in totals[:2])
            raise StudyError(
                f"{key}: {first} is a shard of {totals[0]} and {second} one of {totals[1]}, which are two downloads; "
                "use the files of one"
            )
        numbers = Counter(number for number, _, _ in shards)
        number, times = max(numbers.items(), key=lambda item: (item[1], -item[0]))
        if times > 1:
            alike = [path for one, _, path in shards if one == number]
            raise StudyError(
                f"{key}: shard {number} of {totals[0]} is there more than once ({some(alike)}); remove all but one"
            )
        if not {path for _, _, path in shards} <= set(chosen):
            _check_none_missing(sorted(numbers), totals[0], shards[0][2], key)


def _check_none_missing(numbers: list[int], total: int, path: str, key: str) -> None:
    first = 1 if total in numbers and 0 not in numbers else 0
    if odd := [number for number in numbers if not first <= number < first + total]:
        raise StudyError(f"{key}: {path}: by their names there are {total} shards, but also one of number {odd[-1]}")
    missing = [number for number in range(first, first + total) if number not in set(numbers)]
    if not missing:
        return
    named = ", ".join(map(str, missing[:MOST_NAMED])) + (", ..." if len(missing) > MOST_NAMED else "")
    are = f"shard {named} of {total} is" if len(missing) == 1 else f"shards {named} of {total} are"
    raise StudyError(
        f"{key}: {path}: {are} missing (numbers from {first}); fetch the rest, name all files by a pattern such as "
        f"{_pattern(path)}, or list those to be used alone"
    )


def _pattern(path: str) -> str:
    folder, name = os.path.split(path)
    start = list(SHARD.finditer(name))[-1].start()
    return os.path.join(folder, f"{name[:start]}*{os.path.splitext(name)[1]}")
