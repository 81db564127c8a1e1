"""A job computes with the threads that its study declares, whatever the machine and the shell say."""

import os
import subprocess
import sys

import pytest

from distillation_dynamics.jobs import run
from distillation_dynamics.jobs.task import STAGES
from distillation_dynamics.threads import VARIABLES
from helpers import graph_of, load, smoke_config

# Asks each copy of OpenBLAS in the process (numpy brings one, scipy another) and torch how many threads they have.
CODE = """
import ctypes, sys
from distillation_dynamics.jobs import run
assert not {{"numpy", "torch"}} & sys.modules.keys()
run.load_stage({stage!r}, {count})
with open("/proc/self/maps", encoding="utf-8") as maps:
    libraries = {{line.split()[-1] for line in maps if "openblas" in line}}
names = [f"{{first}}openblas_get_num_threads{{last}}" for first in ("scipy_", "") for last in ("64_", "")]
for library in map(ctypes.CDLL, libraries):
    print(next(getattr(library, name) for name in names if hasattr(library, name))())
if "torch" in sys.modules:
    print(sys.modules["torch"].get_num_threads())
"""


def said(root, stage, count, shell):
    """Return the numbers of threads in a process that loads a stage to compute with `count`; the shell says another."""
    environment = os.environ | dict.fromkeys(VARIABLES, str(shell))
    command = [sys.executable, "-c", CODE.format(stage=stage, count=count)]
    done = subprocess.run(command, cwd=root / "workflow", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(map(int, done.stdout.split()))


@pytest.mark.parametrize("stage", ["data", "students", "compare", "statistics", "figures"])
def test_a_stage_computes_with_one_thread_where_one_is_declared(root, stage):
    assert said(root, stage, 1, shell=2) == {1}


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="numpy's library has no more threads than there are cores")
@pytest.mark.parametrize("stage", ["students", "statistics"])
def test_a_stage_computes_with_two_threads_where_two_are_declared(root, stage):
    assert said(root, stage, 2, shell=1) == {2}


def test_a_job_of_every_stage_has_the_threads_that_its_study_declares():
    declared = {"data": 2, "networks": 3, "teacher_outputs": 4, "students": 5, "measure": 6, "compare": 7, "tables": 8}
    config = smoke_config() | {"compute": {stage: {"threads": count} for stage, count in declared.items()}}
    found = {(task.stage, run.threads_of(task)) for task in graph_of(load(config)).tasks}
    expected = {(stage, declared.get(stage, declared["tables"])) for stage in STAGES} | {("map", declared["compare"])}
    assert found == expected - {("map", declared["tables"]), ("network_weights", declared["tables"])}
