"""All jobs of a study, each with its key and its place under `results/`: what rules, plan and tests read.

Keys graph: what a job reads counts by the key of the job that writes it, so that all keys are known before anything
runs, and a change anywhere changes the keys of all that follows from it.
"""

import os
from functools import cached_property

from .gathered import Gathered
from .task import Task


class Graph(Gathered):
    """The jobs of a study: those that make networks ready, then those that measure them, then those that gather."""

    @property
    def asked(self) -> list[Task]:
        """What a study is asked for: all but the runs, which students ask for while they are not in the store."""
        runs = set(self.runs.values())
        return [task for task in self.tasks if task not in runs]

    def of(self, *stages: str) -> list[Task]:
        """The asked jobs of some stages."""
        return [task for task in self.asked if task.stage in stages]

    def writer(self, path: str) -> Task | None:
        """Return the task that leaves a file, None where none does; what is in the store is there with its student."""
        return self._writers.get(os.path.normpath(path))

    @cached_property
    def _writers(self) -> dict[str, Task]:
        writers = {path: task for task in self.asked for path in task.writes}
        return writers | {path: self.students[pair] for pair, run in self.runs.items() for path in run.writes}
