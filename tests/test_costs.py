"""Hours of a plan: what is a student's own, what a cohort shares, and start-up; what nobody measured is said."""

import json
import re

import pytest

from distillation_dynamics.files import write_json
from distillation_dynamics.jobs import costs, record
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.plan import Plan
from distillation_dynamics.jobs.task import STAGES
from distillation_dynamics.spec.base import counted
from helpers import graph_of, load, small_config


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """The plan of a study of three variants, of which nothing is there."""
    result = load(small_config())
    monkeypatch.chdir(tmp_path)
    return Plan(graph_of(result), Hashes(), slots={"students": 2, "measure": 2, "compare": 2, "tables": 2})


def left_by(task, networks=5, own=8.0, common=2.0, start=1.5, device="cpu"):
    """What a student leaves that took `own` seconds and its part, `common`, of what so many networks shared."""
    images = 640
    cost = {"seconds": own + common, "images_per_second": images / (own + common), "device": device}
    cost |= {"networks": networks, "own_seconds": own if device == "cpu" else None, "start_seconds": start}
    write_json(f"{task.folder}/cost.json", cost)
    facts = {"stage": task.stage, "key": task.key, "inputs": {}, "files": {}, "seconds": 11.5, "packages": {}}
    write_json(task.record, facts | {"job": counted(task.job), "code": list(task.code)})


def test_a_cohort_takes_what_is_each_ones_own_and_once_what_is_shared(plan):
    run = plan.graph.runs["none", 0]
    left_by(run)
    known = costs.Costs()
    # 640 images: 8 s own, 10 s shared, 7.5 s of start-up; the planned students see as many.
    for networks in (1, 2, 5):
        assert known.training(plan.graph, run, networks) == pytest.approx(8 * networks + 10 + 7.5)
    said = costs.report(plan)
    assert "3 students to train in 2 jobs: 0.016 hours, 0.021 with one job a student." in said
    (line,) = re.findall(r"^students +\d.*$", said, re.M)
    assert line.split()[:4] == ["students", "3", "2", "0.016"]


def test_what_other_networks_took_says_nothing(plan):
    other = load(small_config(**{"student.model.args.depth": 3}))
    left_by(graph_of(other).runs["none", 0])
    said = costs.report(plan)
    hours = 2 * other.compute["students"]["runtime"] / 60
    assert re.search(rf"^students +3 +2 +<= {hours:.3f} +<= 0.000 ", said, re.M), "at most what two jobs ask for"
    assert re.search(r"^total +\d+ +\d+ +<= ", said, re.M) and "<=: no earlier job tells; so much time" in said
    assert "3 students to train in 2 jobs; what that saves over one job a student is not known" in said


def test_a_gpu_tells_the_hours_of_jobs_of_that_size_and_not_what_is_whose(plan):
    run = plan.graph.runs["none", 0]
    left_by(run, device="cuda")
    assert costs.Costs().training(plan.graph, run, 1) is None, "the planned ones train on a CPU"
    plan.graph.study.compute["students"]["gpu"] = 1
    assert costs.Costs().training(plan.graph, run, 5) == pytest.approx(50 + 7.5)
    assert "is not known before some have trained on a CPU" in costs.report(plan)


@pytest.mark.parametrize("content", ["", "{", json.dumps({"seconds": 1, "images_per_second": None})])
def test_a_cost_that_is_damaged_or_of_no_training_is_passed_over(plan, content):
    run = plan.graph.runs["none", 0]
    left_by(run)
    with open(f"{run.folder}/cost.json", "w") as file:
        file.write(content)
    assert costs.Costs().training(plan.graph, run, 1) is None
    assert "<=: no earlier job tells" in costs.report(plan)


def test_a_job_due_for_the_reason_of_others_is_said_with_them(plan):
    lines = costs.report(plan).splitlines()
    assert "students none/seed0, hard/seed0, everything/seed0: was not made yet" in lines
    assert "tables depth, spectrum, cka, map: was not made yet" in lines
    networks = "networks/cait, students/none/seed0, students/hard/seed0, students/everything/seed0"
    assert f"measure {networks}: was not made yet" in lines, "of each all metrics"
    assert "map: was not made yet" in lines
    assert all(STAGES.keys() >= {line.split()[0].rstrip(":")} for line in lines[: lines.index("")])


def test_a_row_counts_jobs_and_not_what_is_made_in_them(plan):
    """The map is made in a job with comparisons, and all that gathers in one."""
    rows = {
        line.split()[0]: line.split()[1:3] for line in costs.report(plan).splitlines() if re.match(r"\w+ +\d", line)
    }
    batches = [batch.stage for batch in plan.batches]
    assert "map" not in rows and rows["compare"] == [str(len(plan.due("compare")) + 1), str(batches.count("compare"))]
    assert rows["measure"] == ["16", str(batches.count("measure"))] and rows["tables"][1] == "1"
    alone = [task for task in plan.reasons if task not in plan.batch_of and task.stage != "students"]
    assert rows["total"] == [str(len(plan.reasons)), str(len(batches) + len(alone))]


def test_a_link_of_a_student_is_not_counted_beside_its_run(plan):
    run, student = plan.graph.runs["none", 0], plan.graph.students["none", 0]
    left_by(run)
    left_by(student, own=80.0)
    assert record.read(student.record) is not None
    assert costs.Costs().training(plan.graph, run, 1) == pytest.approx(8 + 10 + 7.5)


def test_what_a_metric_leaves_is_told_by_what_it_left_of_the_same_network(plan):
    """Of most metrics nothing else tells how large their tables are."""
    task = plan.graph.measured["students/none/seed0"]["entropy"]
    assert costs.Costs().of(plan, task).bytes is None
    facts = {"stage": "measure", "key": task.key, "inputs": {}, "seconds": 2.0, "packages": {}, "code": []}
    facts |= {"files": {"a": {"identity": [300, 0, 0, 0]}, "b": {"identity": [40, 0, 0, 0]}}}
    write_json(task.record, facts | {"job": counted(task.job)})
    for variant, network in (("hard", "students/hard/seed0"), (None, "networks/cait")):
        cost = costs.Costs().of(plan, plan.graph.measured[network]["entropy"])
        assert (cost.seconds, cost.bytes) == ((2.0, 340) if variant else (None, None))
    assert costs.Costs().of(plan, plan.graph.measured["students/hard/seed0"]["magnitude"]).bytes is None
