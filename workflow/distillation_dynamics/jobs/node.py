"""One job of a study among the others: its order, what it reads from, and where its files lie."""

import os
from dataclasses import dataclass, field

from ..spec.base import From
from .order import Order

SHARED = "shared"
# In the folder of a study: what it is, and who made it.
STUDY_FILE = "study.json"


@dataclass(eq=False)
class Node:
    """One job of a study: its order, the jobs whose files it reads, and the folder of its files."""

    order: Order
    folder: str
    scope: str
    needs: list["Node"] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of the job."""
        return self.order.key

    @property
    def stage(self) -> str:
        """The stage of the job."""
        return self.order.stage

    @property
    def stamp(self) -> str:
        """The file by which Snakemake knows that the job is done: named after the key, it holds nothing."""
        return self._hidden(".stamps")

    @property
    def file(self) -> str:
        """The file with the order."""
        return self._hidden(".orders") + ".json"

    def _hidden(self, folder: str) -> str:
        return os.path.normpath(f"results/{folder}/{self.scope}/{self.stage}/{self.order.name}/{self.key}")

    def path(self, name: str) -> str:
        """The path of one of its files."""
        return f"{self.folder}/{name}"

    def files(self, *names: str) -> From:
        """Some of its files, as what another job reads."""
        return From(self.key, files=tuple(self.path(name) for name in names))

    def __str__(self) -> str:
        return str(self.order)
