"""A stage killed at any moment leaves whole files or none, and a rerun completes; 100 kills: benchmarks/kills.py."""

import random
import subprocess
import sys

import pytest

from conftest import ROOT
from helpers import copied

sys.path.insert(0, str(ROOT / "benchmarks"))

import kills

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def copy(project, tmp_path_factory):
    """A copy of the finished study, and its jobs."""
    folder = copied(project, tmp_path_factory.mktemp("kills") / "project")
    return folder, kills.all_jobs(folder, "studies/smoke.yaml")


# Each kind of job by its stages.
KINDS = [
    *(("data",), ("networks",), ("teacher_outputs",), ("students",), ("measure",), ("compare",), ("compare", "map")),
    *(("summary", "tables"), ("figures", "report", "statistics"), ("figures",), ("page", "paper")),
]


def test_every_kind_of_job_is_killed(copy):
    _, jobs = copy
    assert {tuple(sorted(job.stages)) for job in jobs} == set(KINDS)


@pytest.mark.parametrize("stages", KINDS, ids="+".join)
def test_a_killed_stage_leaves_whole_files_or_none_and_a_rerun_completes(copy, stages):
    folder, jobs = copy
    job = next(job for job in jobs if job.stages == set(stages))
    damaged, lost, _ = kills.kill(folder, job, 1, random.Random(min(stages)))
    assert damaged == [] and lost == []


def test_the_check_sees_a_damaged_file(copy, monkeypatch):
    folder, jobs = copy
    job = next(job for job in jobs if "data" in job.stages)
    half = kills.outputs(folder, job)[0]
    content = half.read_bytes()
    # To the end, killed, to the end.
    commands = iter([["true"], ["sleep", "600"], ["true"]])

    def start(folder, job):
        half.write_bytes(content[:100])
        return subprocess.Popen(next(commands), start_new_session=True)

    monkeypatch.setattr(kills, "start", start)
    damaged, lost, alive = kills.kill(folder, job, 1, random.Random(0))
    assert damaged == [half] and half in lost and alive == 1
    half.write_bytes(content)
