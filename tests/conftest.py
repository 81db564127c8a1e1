"""Shared by all tests: one torch thread, so that results do not depend on the machine; the smoke study, run once."""

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
torch.set_num_threads(1)


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
