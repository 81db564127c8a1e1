"""Shared by all tests: one torch thread, so that results do not depend on the machine."""

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
