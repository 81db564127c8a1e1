"""All jobs of a study, each with its key and its place under `results/`: what rules, plan and tests read.

Keys chain: what a job reads counts by the key of the job that writes it, so that all keys are known before anything
runs, and a change anywhere changes the keys of all that follows from it.
"""

from .gathered import Gathered
from .node import Node


class Chain(Gathered):
    """The jobs of a study: those that make networks ready, then those that measure them, then those that gather."""

    @property
    def asked(self) -> list[Node]:
        """What a study is asked for: all but the runs, which students ask for while they are not in the store."""
        runs = set(self.runs.values())
        return [node for node in self.nodes if node not in runs]

    def of(self, *stages: str) -> list[Node]:
        """The asked jobs of some stages."""
        return [node for node in self.asked if node.stage in stages]
