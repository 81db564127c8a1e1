"""Shared by all tests: one torch thread, so that results do not depend on the machine; the smoke study, run once.

`make test` runs files side by side (pytest-xdist), each in one process.
"""

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
torch.set_num_threads(1)
# What takes longest begins first, so that none is left to the end; three files look at the smoke study.
FIRST = [
    *("test_slurm", "test_workflow", "test_kills", "test_gpus", "test_changes", "test_folder_study", "test_cohorts"),
    "test_networks_study",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    order = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A copy of the project in an empty folder, with the smoke study run in it; a test leaves it as it was."""
    from helpers import copy_project, snakemake

    folder = copy_project(tmp_path_factory.mktemp("project"))
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder
