"""The files of a study: `python -m distillation_dynamics.jobs.listing STUDY [WHAT ...]`, or `make files STUDY=name`.

One line per file, made or not: path, stage, key, time written, and why it is outdated. The study is taken as it last
ran (its study.json). WHAT names stages or beginnings of paths; default: all files. Imports no torch.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ..study.load import load
from . import model_info, provenance
from .build import build_graph
from .hashes import Hashes
from .plan import Plan
from .planning import content_of
from .run import RESULTS, said_by

AS_ASKED = "as the study asks"


class File(NamedTuple):
    """A file of a study; `written`: its time, "" if it does not exist."""

    path: str
    stage: str
    key: str
    written: str
    state: str


def files(plan: Plan, what: Iterable[str] = ()) -> Iterator[File]:
    """Yield the files of the given stages or path beginnings in the order they are made; default: all."""
    beginnings = tuple(what)
    for task in plan.graph.asked:
        for path in task.writes:
            if not beginnings or task.stage in beginnings or path.startswith(beginnings):
                yield File(path, task.stage, task.key, _written(path), plan.reasons.get(task, AS_ASKED))


def _written(path: str) -> str:
    if not Path(path).is_file():
        return ""
    return datetime.fromtimestamp(Path(path).stat().st_mtime).isoformat(" ", "minutes")


def print_files(study: str, what: Iterable[str]) -> None:
    """Print the files of a study; raise StudyError if there is no such study or it cannot be read."""
    _, known = provenance.read(study)
    hashes = Hashes(RESULTS)
    result = load(known["configuration"], model_info.describe)
    plan = Plan(build_graph(result, content_of(result, hashes)), hashes)
    hashes.save()
    lines = [File("file", "stage", "key", "written", "state"), *files(plan, what)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(f"{part:<{width}}" for part, width in zip(line, widths, strict=True)).rstrip())


def main() -> None:
    """Print where a study's files are, what made them, and whether they are up to date."""
    parser = argparse.ArgumentParser(prog="python -m distillation_dynamics.jobs.listing", description=main.__doc__)
    parser.add_argument("study", help="name of the study")
    parser.add_argument("what", nargs="*", help="stages, or beginnings of paths; all files without")
    arguments = parser.parse_args()
    sys.exit(said_by(lambda: print_files(arguments.study, arguments.what)))


if __name__ == "__main__":
    main()
