"""How much of a run is done, and how long the rest takes: by expected seconds where some are known, else said so."""

from types import SimpleNamespace

import pytest

from distillation_dynamics.jobs.expected import Job, Run


def task(name, stage="measure"):
    """A task as far as names go."""
    label = name.partition("/")[2].replace("/seed", " seed ")
    name = f"{name}/entropy" if stage == "measure" else name
    return SimpleNamespace(stage=stage, name=name, job=SimpleNamespace(label=label))


def job(
    seconds=None, needs=(), rule="measure", names=("networks/cait",), stage="measure", threads=1, gpu=0, priority=0
):
    tasks = tuple(task(name, stage) for name in names)
    return Job(rule, tasks, {"threads": threads, "gpu": gpu}, priority, set(needs), seconds)


def test_progress_is_weighed_by_expected_seconds():
    run = Run({0: job(45), 1: job(5), 2: job(50)}, {"threads": 1})
    run.begin(1, 0.0)
    assert run.share(2.0) == pytest.approx(0.02)
    run.end(1, 5.0)
    assert run.share(5.0) == pytest.approx(0.05), "one job of three"
    run.begin(0, 5.0)
    assert run.share(500.0) == pytest.approx(0.5), "a job that takes longer than expected counts no more than itself"


def test_what_took_longer_counts_as_long_as_it_took():
    run = Run({0: job(10), 1: job(10)}, {"threads": 1})
    run.begin(0, 0.0), run.end(0, 30.0)
    assert run.share(30.0) == pytest.approx(0.75)


def test_where_nothing_tells_there_is_no_share():
    run = Run({0: job(10), 1: job()}, {"threads": 1})
    assert run.share(0.0) is None
    seconds, unknown = run.left(0.0)
    assert seconds == 10 and unknown == [run.jobs[1]]


def test_students_of_the_run_itself_tell_of_students_and_of_nothing_else():
    of_students = {"names": ("students/soft/seed0", "students/none/seed0"), "rule": "measure"}
    run = Run({0: job(**of_students), 1: job(**of_students), 2: job(), 3: job(rule="compare")}, {"threads": 1})
    run.begin(0, 0.0), run.end(0, 8.0)
    assert run.seconds() == {0: 8.0, 1: 8.0, 2: None, 3: None}


@pytest.mark.parametrize(
    ("jobs", "limits", "seconds"),
    [
        ({0: job(5), 1: job(7)}, {"threads": 2}, 7),
        ({0: job(5), 1: job(7)}, {"threads": 1}, 12),
        ({0: job(5), 1: job(7, needs=[0])}, {"threads": 2}, 12),
        ({0: job(5), 1: job(7, needs=[9])}, {"threads": 2}, 7),
        ({0: job(5, threads=8), 1: job(7)}, {"threads": 2}, 12),
        ({0: job(5, gpu=1), 1: job(7, gpu=1)}, {"threads": 8, "gpu": 1}, 12),
        ({0: job(5, gpu=1), 1: job(7, gpu=1)}, {"threads": 8}, 7),
        # The long one first keeps both cores busy; by their numbers it would come last.
        ({0: job(4), 1: job(4), 2: job(8, priority=1)}, {"threads": 2}, 8),
        ({0: job(4), 1: job(4), 2: job(8)}, {"threads": 2}, 12),
    ],
)
def test_the_rest_takes_as_long_as_cores_gpus_and_what_waits_for_what_allow(jobs, limits, seconds):
    run = Run(jobs, limits)
    assert run.left(0.0) == (seconds, [])
    for number in jobs:
        run.begin(number, 0.0), run.end(number, 1.0)
    assert run.left(1.0) == (0.0, [])


def test_what_a_running_job_has_behind_it_is_not_left():
    run = Run({0: job(10), 1: job(10, needs=[0])}, {"threads": 1})
    run.begin(0, 0.0)
    assert run.left(4.0) == (16.0, [])
    assert run.left(40.0) == (10.0, []), "one that takes longer than expected may end at any moment"


def test_on_a_cluster_what_is_left_is_what_jobs_compute():
    run = Run({0: job(10), 1: job(10)}, None)
    run.begin(0, 0.0)
    assert run.share(9.0) == 0, "nobody knows whether it waits"
    run.end(0, 500.0)
    assert run.share(500.0) == 0.5 and run.left(500.0) == (10.0, [])


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"names": ("networks/cait", "networks/vit")}, "cait, vit"),
        ({"names": ("students/soft/seed0", "students/none/seed0")}, "soft, none, seed 0"),
        ({"names": tuple(f"students/v{n}/seed{n % 2}" for n in range(4))}, "v0, v1, 2 more, seed 0, seed 1"),
        ({"names": ("soft/seed3",), "rule": "student", "stage": "students"}, "soft, seed 3"),
        ({"names": ("cait",), "rule": "network", "stage": "networks"}, "cait"),
        ({"names": ("depth",), "rule": "gather", "stage": "tables"}, "tables"),
    ],
)
def test_a_job_is_called_by_whom_it_is_about(given, name):
    assert job(**given).name == name
