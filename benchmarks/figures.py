"""How long drawing the figures of a finished study takes, beside figures of as many empty panels.

    python benchmarks/figures.py [--study results/default --rounds 3 --figure effects --figure terms]

Each figure is drawn again from the tables of the study and saved in its formats, in turns with one of the same size and
with the same panels in which nothing is drawn. Both run in this process, one thread each; of processor time the least
of all rounds is compared. Prints a JSON object: by figure, and together, both times and their ratio.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.drawing.style import NoValue, Style
from distillation_dynamics.files import read_json, read_table
from distillation_dynamics.spec.base import From, build
from distillation_dynamics.spec.tables import FiguresJob, Names
from distillation_dynamics.stages import figures as stage


def jobs_of(study: Path, out: Path) -> list[FiguresJob]:
    """Return the jobs that drew the figures of a study, by their records, with files in `out`."""
    jobs = []
    for path in sorted((study / "figures").glob(".*.record.json")):
        known = read_json(path)
        job, files = known["job"], tuple(str(out / name) for name in known["files"])
        names = build(Names, job["names"])
        # Paths in a record begin at the folder that holds `results`.
        root = study.resolve().parents[1]
        tables = tuple(From("", files=(str(root / name),)) for name in known["inputs"])
        jobs.append(FiguresJob(job["figure"], names, tables, job["options"], tuple(job["classes"]), files=files))
    return jobs


def panels_of(job: FiguresJob) -> tuple[tuple[float, float], list[Any]]:
    """Return size and places of the panels of a figure."""
    style = Style(**job.options, names=job.names, classes=job.classes)
    style.apply()
    tables = {Path(path).stem: read_table(path) for table in job.tables for path in table.files}
    try:
        figure = import_module(f"distillation_dynamics.figures.{job.figure}").draw(tables, style)
    except NoValue:
        return (1.0, 1.0), []
    return tuple(figure.get_size_inches()), [axes.get_position() for axes in figure.axes if axes.get_visible()]


def draw_empty(job: FiguresJob, size: tuple[float, float], places: list[Any]) -> None:
    """Draw and save a figure of the same panels with nothing in them."""
    figure = Figure(figsize=size)
    for place in places:
        figure.add_axes(place)
    for file in job.files:
        path = Path(file)
        figure.savefig(path, dpi=job.options["dpi"], **stage.SAVED[path.suffix])


def seconds(function: Callable[[], None]) -> float:
    """Return the processor time that a call takes."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    """Time both and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, default=Path("results/default"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", action="append", help="of these figures alone")
    given = parser.parse_args()
    report: dict[str, dict[str, float]] = {}
    total = {"figure_s": 0.0, "empty_s": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs_of(given.study, Path(folder)):
            if given.figure and job.figure not in given.figure:
                continue
            size, places = panels_of(job)
            rounds = [
                (seconds(lambda: stage.main(job)), seconds(lambda: draw_empty(job, size, places)))  # noqa: B023
                for _ in range(given.rounds)
            ]
            drawn, empty = (min(times) for times in zip(*rounds, strict=True))
            total = {"figure_s": total["figure_s"] + drawn, "empty_s": total["empty_s"] + empty}
            report[job.figure] = {"figure_s": drawn, "empty_s": empty, "ratio": drawn / empty}
    report["together"] = total | {"ratio": total["figure_s"] / total["empty_s"]}
    rounded = {name: {key: round(value, 2) for key, value in one.items()} for name, one in report.items()}
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()
