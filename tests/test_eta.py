"""How much of a run is done, and how long the rest takes: by expected seconds, set right by what jobs took."""

from types import SimpleNamespace

import pytest

from distillation_dynamics.jobs.costs import RECORDS, REFERENCE, REQUEST, Cost
from distillation_dynamics.jobs.eta import Job, Workload


def task(name, stage="measure"):
    """A task as far as names go."""
    return SimpleNamespace(stage=stage, name=f"{name}/entropy" if stage == "measure" else name)


def job(seconds=1.0, rule="measure", names=("networks/cait",), stage="measure", threads=1, gpu=0, source=RECORDS):
    tasks = tuple(task(name, stage) for name in names)
    return Job(rule, tasks, {"threads": threads, "gpu": gpu}, Cost(seconds, source))


def ran(job, begun, ended=None):
    job.begun, job.ended = begun, ended
    return job


@pytest.mark.parametrize(
    ("jobs", "limits", "seconds"),
    [
        ([job(5), job(7)], {"threads": 2}, 7),
        ([job(5), job(7)], {"threads": 1}, 12),
        ([job(5), job(7, "compare")], {"threads": 2}, 12),
        ([job(5, threads=2), job(7)], {"threads": 2}, 8.5),
        ([job(5, gpu=1), job(7, gpu=1)], {"threads": 8, "gpu": 1}, 12),
        ([job(5, gpu=1), job(7, gpu=1)], {"threads": 8}, 7),
        ([job(5), job(7)], None, 12),
        # A running one has less left; one that takes longer than expected may end at any moment.
        ([ran(job(10), 0.0), ran(job(10, "compare"), 0.0)], {"threads": 2}, 12),
        ([ran(job(10), -90.0)], {"threads": 1}, 0),
    ],
)
def test_rules_follow_each_other_and_their_jobs_share_cores_and_gpus(jobs, limits, seconds):
    workload = Workload(dict(enumerate(jobs)), limits)
    assert workload.left(4.0 if jobs[0].begun is not None else 0.0) == seconds


def test_what_jobs_of_a_rule_took_sets_right_what_others_of_it_should_take():
    jobs = {0: ran(job(10), 0.0, 30.0), 1: job(20), 2: job(70, "compare")}
    others = 70 * (30 + 10) / (10 + 10)
    assert Workload(jobs, {"threads": 1}).left(30.0) == 60 + others, "of others as far as a tenth of the whole tells"
    assert Workload(jobs, None).left(30.0) == 20 + 70, "on a cluster nobody knows how long a job waited"


def test_the_share_that_is_done_is_of_time_and_on_a_cluster_of_computing():
    jobs = {0: ran(job(10), 0.0, 10.0), 1: ran(job(30), 10.0)}
    assert Workload(jobs, {"threads": 1}).share(0.0, 20.0) == pytest.approx(20 / 40)
    assert Workload(jobs, None).share(0.0, 9000.0) == pytest.approx(10 / 40)
    assert Workload({0: ran(job(0), 0.0, 0.0)}, {"threads": 1}).share(0.0, 0.0) == 1


def test_what_the_time_rests_on_is_the_least_of_it():
    def basis(*sources):
        return Workload({n: job(source=source) for n, source in enumerate(sources)}, None).basis

    assert basis(RECORDS, RECORDS) == "as earlier jobs took"
    assert "reference costs" in basis(RECORDS, REFERENCE) and "upper limit" in basis(RECORDS, REFERENCE, REQUEST)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"names": ("networks/cait", "networks/vit")}, "cait, vit"),
        ({"names": ("students/soft/seed0", "students/none/seed0")}, "soft, none, seed 0"),
        ({"names": tuple(f"students/v{n}/seed{n % 2}" for n in range(4))}, "v0, v1, 2 more, seed 0, seed 1"),
        ({"names": tuple(f"soft/seed{n}" for n in range(3)), "rule": "student", "stage": "students"}, "soft, 3 seeds"),
        ({"names": ("cait",), "rule": "network", "stage": "networks"}, "cait"),
        ({"names": ("depth",), "rule": "gather", "stage": "tables"}, "tables"),
    ],
)
def test_a_job_is_called_by_whom_it_is_about(given, name):
    assert job(**given).name == name


@pytest.mark.parametrize(
    ("room", "name"),
    [
        (40, "spectral_first, projector_first, seed 3"),
        (30, "spectral_first, 1 more, seed 3"),
        (26, "2 variants, seed 3"),
    ],
)
def test_a_name_that_is_too_long_has_fewer_networks_then_their_number_and_keeps_its_seed(room, name):
    names = tuple(f"students/{one}/seed3" for one in ("spectral_first", "projector_first"))
    assert job(names=names, rule="cohorts").fitted(room) == name and len(name) <= room
    measured = job(names=tuple(f"networks/{one}_with_a_long_name" for one in ("cait", "vit")), rule="measure")
    assert measured.fitted(20) == "2 networks"
    alone = job(rule="cohorts", names=("students/spectral_first_with_a_long_name/seed3",))
    assert alone.fitted(20) == "spectral_fi…, seed 3"
    gathered = job(names=("a_table_with_a_long_name",), rule="data", stage="data")
    assert gathered.fitted(9) == "a_table_…"


def test_a_job_that_the_plan_does_not_have_is_that_of_its_task_and_what_nobody_knows_is_none():
    done = SimpleNamespace(flag="data", name="main", stage="data")
    plan = SimpleNamespace(graph=SimpleNamespace(tasks=[done]), batches=[], reasons={})
    linked = SimpleNamespace(flag="student", name="soft/seed0", stage="students")
    plan.graph.tasks.append(linked)
    needed = [
        SimpleNamespace(is_norun=False, output=[flag], threads=1, resources={}, rule=SimpleNamespace(name=flag))
        for flag in ("data", "somebody_elses", "student")
    ]
    dag = SimpleNamespace(needrun_jobs=lambda: needed, jobid=needed.index)
    workflow = SimpleNamespace(dag=dag, resource_settings=SimpleNamespace(nodes=None, cores=1), global_resources={})
    costs = SimpleNamespace(of_job=lambda graph, tasks: Cost(1.0, RECORDS))
    workload = Workload.of(workflow, plan, costs)
    assert [job.tasks for job in workload.jobs.values()] == [(done,)] and workload.limits == {"threads": 1}
    assert [job.tasks for job in workload.links.values()] == [(linked,)], "which has no line of its own"
    assert workload.rules == "1 data" and Workload({}, None, workload.links).rules == "1 finished student to link"
