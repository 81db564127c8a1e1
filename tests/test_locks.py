"""One process at a time writes the files of a task, and a dead one blocks nobody."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import write_json
from distillation_dynamics.jobs import locks

# Holds the lock of the record given, says so, and waits for its end.
HOLDER = """
    import sys, time
    from types import SimpleNamespace
    from distillation_dynamics.jobs import locks
    with locks.held([SimpleNamespace(record=path) for path in sys.argv[1:]]):
        print("held", flush=True)
        time.sleep(60)
"""


def task(path):
    """A task, as far as locks know one."""
    return SimpleNamespace(record=str(path), key="k")


@pytest.fixture
def holder(tmp_path):
    """Starts processes that hold locks; they end with the test."""
    started = []

    def start(*names, **environment):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HOLDER), *(str(tmp_path / name) for name in names)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "workflow"), **environment}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_lock_is_waited_for_with_a_word_and_ends_with_its_holder(tmp_path, holder, monkeypatch, capsys):
    monkeypatch.setattr(locks, "SECONDS_BETWEEN_LOOKS", 0.02)
    process = holder("a", SLURM_JOB_ID="77")
    assert process.stdout.readline() == "held\n"
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            process.send_signal(signal.SIGKILL)
            process.wait()

    monkeypatch.setattr(locks.time, "sleep", sleep)
    with locks.held([task(tmp_path / "a")]):
        assert len(looks) >= 3, "only after the holder was dead"
        assert f"process {os.getpid()}" in locks.path_of(task(tmp_path / "a")).read_text()
    said = capsys.readouterr().err
    assert said.count("waiting for process") == 1 and "(SLURM job 77), which makes it since 20" in said
    assert not list(tmp_path.iterdir()), "nothing is left"


RUN = """
    import sys, time
    from distillation_dynamics.jobs import locks
    locks.hold_study("mine", ".")
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def another(tmp_path, monkeypatch):
    """Starts a run in the folder that this process works in; it goes on until it is told to end."""
    monkeypatch.chdir(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow")},
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_in_a_folder_is_refused_with_who_works_there_since_when(tmp_path, another):
    with pytest.raises(StudyError) as refused:
        locks.hold_study("mine", ".")
    said = str(refused.value)
    assert f"{tmp_path}: process {another.pid} on {socket.gethostname()}, which runs mine since 20" in said
    assert "is running here; wait for its end, or work in a clone" in said
    another.communicate("end\n")
    assert not list(tmp_path.iterdir()), "nothing is left"


def test_whose_run_was_killed_in_a_folder_is_said_where_it_is_still_locked(tmp_path, another, monkeypatch, capsys):
    at_exit = []
    monkeypatch.setattr(locks.atexit, "register", at_exit.append)
    another.kill()
    another.wait()
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/0.output.lock").touch()
    locks.hold_study("mine", ".")
    said = capsys.readouterr().err
    assert said.startswith(f"process {another.pid} on ") and "ended here without unlocking" in said
    at_exit[0]()
    assert not (tmp_path / "mine.run.lock").exists()


def test_a_run_of_another_study_in_the_folder_is_said_where_it_may_be_in_the_way(
    tmp_path, another, monkeypatch, capsys
):
    monkeypatch.setattr(locks.atexit, "register", lambda let_go: let_go)
    locks.hold_study("other", ".")
    assert capsys.readouterr().err == "", "Snakemake has no lock of its own: they do not meet"
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/0.output.lock").touch()
    locks.hold_study("third", ".")
    assert f"process {another.pid} on {socket.gethostname()}, which runs mine since" in (
        said := capsys.readouterr().err
    )
    assert said.splitlines()[0].endswith(", is also running here")
    assert (tmp_path / "mine.run.lock").exists()


def test_two_processes_that_want_several_do_not_wait_for_each_other(tmp_path, holder):
    first, second = holder("a", "b"), holder("b", "a")
    deadline = time.monotonic() + 60
    ready = {first: False, second: False}
    os.set_blocking(first.stdout.fileno(), False), os.set_blocking(second.stdout.fileno(), False)
    while not any(ready.values()):
        assert time.monotonic() < deadline
        ready = {process: ready[process] or process.stdout.readline() == "held\n" for process in ready}
        time.sleep(0.05)
    (holding,) = [process for process, held in ready.items() if held]
    holding.kill()
    holding.wait()
    other = second if holding is first else first
    os.set_blocking(other.stdout.fileno(), True)
    assert other.stdout.readline() == "held\n"


def test_the_other_processes_of_a_training_go_on_when_the_first_has_the_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")
    steps = []
    monkeypatch.setattr(locks.time, "sleep", steps.append)
    with locks.held([task(tmp_path / "a")]):
        monkeypatch.setenv("RANK", "1")
        with locks.held([task(tmp_path / "a")]):
            assert not steps, "the same training"

    def then(seconds):
        said = {"key": "k", "stage": "students", "name": "b", "seconds": 1.0, "code": []}
        write_json(tmp_path / "b", said | {key: {} for key in ("files", "inputs", "packages", "job")})

    monkeypatch.setattr(locks.time, "sleep", then)
    with locks.held([task(tmp_path / "b")]):
        pass  # The first one found that nothing is to be done: its record is there.


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_and_works(tmp_path, refused, capsys, number):
    refused(number)
    with locks.held([task(tmp_path / "a")]):
        assert "has no locks" in capsys.readouterr().err
        assert f"process {os.getpid()}" in locks.path_of(task(tmp_path / "a")).read_text()
    assert not list(tmp_path.iterdir())


def test_other_errors_of_a_lock_are_raised(tmp_path, refused):
    refused(errno.EIO)
    with pytest.raises(OSError, match="Input/output"), locks.held([task(tmp_path / "a")]):
        pass


@pytest.fixture
def refused(monkeypatch):
    """Has the file system answer a request for a lock with an error."""

    def refuse(number):
        def lock(file, how):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", lock)

    return refuse
