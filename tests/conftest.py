"""Shared by all tests: one torch thread, so that results do not depend on the machine; the smoke study, run once.

`make test` leaves out what is marked `slow` (SLURM, a browser, kills, the long walks); `make test-all` runs everything.
Both run tests side by side (pytest-xdist); what takes long to make is made once for all processes (`made_once`).
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
torch.set_num_threads(1)
# What takes longest begins first, so that none is left to the end.
FIRST = [
    *("test_slurm", "test_workflow", "test_kills", "test_changes", "test_gpus", "test_folder_study", "test_targets"),
    *("test_networks_study", "test_readable", "test_plan", "test_figures", "test_cohorts", "test_measure"),
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
def made_once(tmp_path_factory):
    """A function that returns a folder by name; the first process that asks for it has it filled by `make(folder)`."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name, make) -> Path:
        folder, whole = shared / name, shared / f"{name}.whole"
        with FileLock(shared / f"{name}.lock"):
            if not whole.exists():
                # Left by a process that failed to make it.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def project(made_once) -> Path:
    """A copy of the project in which the smoke study was run; all tests look at it, and none writes into it."""
    from helpers import copy_project, snakemake

    def make(folder):
        done = snakemake(copy_project(folder))
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]

    return made_once("smoke", make)


@pytest.fixture(scope="session")
def pretended(made_once) -> Path:
    """A copy of the project whose stages pretend, a study of three variants run in it (`said.log`); as `project` is."""
    import stand_ins
    from helpers import STUDY, copy_project, small_config, snakemake, write_study

    def make(folder):
        write_study(stand_ins.use_in(copy_project(folder)), small_config())
        done = snakemake(folder, config=STUDY)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        (folder / "said.log").write_text(done.stderr)

    return made_once("pretended", make)


@pytest.fixture
def own_project(project, tmp_path) -> Path:
    """A copy of `project` for a test that changes it."""
    from helpers import copied

    return copied(project, tmp_path / "project")
