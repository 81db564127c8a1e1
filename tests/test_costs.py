"""Hours of a plan: from the records of earlier jobs or, without a precedent, from reference costs."""

import json
import re

import pytest

from distillation_dynamics.files import write_json
from distillation_dynamics.jobs import costs, record, why
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.plan import Plan
from distillation_dynamics.jobs.task import STAGES
from distillation_dynamics.spec.base import counted
from helpers import graph_of, load, small_config


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """The plan of a study of three variants without any results."""
    result = load(small_config())
    monkeypatch.chdir(tmp_path)
    return Plan(graph_of(result), Hashes(), slots={"students": 2, "measure": 2, "compare": 2, "tables": 2})


def left_by(task, networks=5, own=8.0, common=2.0, start=1.5, device="cpu"):
    """What a student leaves that took `own` seconds and its part, `common`, of what so many networks shared."""
    images = 640
    cost = {"seconds": own + common, "images_per_second": images / (own + common), "device": device}
    cost |= {"networks": networks, "own_seconds": own if device == "cpu" else None, "start_seconds": start}
    write_json(f"{task.folder}/cost.json", cost)
    facts = {
        "stage": task.stage,
        "name": task.name,
        "key": task.key,
        "inputs": {},
        "files": {},
        "seconds": 11.5,
        "packages": {},
    }
    write_json(task.record, facts | {"job": counted(task.job), "code": list(task.code)})


def students_row(plan):
    (line,) = re.findall(r"^students +\d.*$", why.report(plan, costs.Costs()), re.M)
    return line.split()


def test_trainings_take_as_long_an_image_as_earlier_ones_of_their_network(plan):
    run = plan.graph.runs["none", 0]
    left_by(run)
    # 640 images: 8 s own, a share of 2 s, 1.5 s of start-up; the planned students see as many.
    cost = costs.Costs().of(plan.graph, run)
    assert (cost.seconds, cost.source) == (pytest.approx(11.5), costs.RECORDS)
    together = costs.Costs().of_job(plan.graph, plan.cohorts[0].tasks)
    assert together.seconds == pytest.approx(11.5 * len(plan.cohorts[0].tasks))
    assert students_row(plan)[1:4] == ["3", "2", "34"]


def test_what_other_networks_took_says_nothing_and_reference_costs_are_said_to_be_a_guess(plan):
    run = plan.graph.runs["none", 0]
    left_by(graph_of(load(small_config(**{"student.model.args.depth": 3}))).runs["none", 0])
    cost = costs.Costs().of(plan.graph, run)
    info = plan.graph.study.model_info["student"]
    start, each = costs.SECONDS["students"]
    expected = start + 640 * (each + 3 * info.footprint.operations / costs.OPERATIONS_A_SECOND)
    assert (cost.seconds, cost.source) == (pytest.approx(expected), costs.REFERENCE)
    said = why.report(plan, costs.Costs())
    assert students_row(plan)[3] == "~" and re.search(r"^total +\d+ +\d+ +~ ", said, re.M)
    assert said.count("estimated from reference costs") == 1 and "<=" not in said


def test_jobs_on_gpus_of_which_no_record_tells_take_at_most_what_they_ask_for(plan):
    run = plan.graph.runs["none", 0]
    left_by(run)
    compute = plan.graph.study.compute["students"]
    compute |= {"gpu": 1, "runtime": 30}
    cost = costs.Costs().of_job(plan.graph, [run])
    assert (cost.seconds, cost.source) == (1800, costs.REQUEST), "they trained on a CPU"
    assert students_row(plan)[1:7] == ["3", "2", "<=", "60", "min", "<="]
    assert "<=: upper limit, runtime x jobs" in why.report(plan, costs.Costs())
    left_by(run, device="cuda")
    assert costs.Costs().of(plan.graph, run).source == costs.RECORDS


@pytest.mark.parametrize("content", ["", "{", json.dumps({"seconds": 1, "images_per_second": None})])
def test_a_cost_that_is_damaged_or_of_no_training_is_passed_over(plan, content):
    run = plan.graph.runs["none", 0]
    left_by(run)
    with open(f"{run.folder}/cost.json", "w") as file:
        file.write(content)
    assert costs.Costs().of(plan.graph, run).source == costs.REFERENCE


def test_every_stage_has_reference_costs_and_a_network_that_is_larger_costs_more(plan):
    assert costs.SECONDS.keys() == STAGES.keys()
    known = costs.Costs()
    for task in plan.graph.tasks:
        cost = known.of(plan.graph, task)
        assert cost.source == costs.REFERENCE and cost.seconds > 0, task
    larger = graph_of(load(small_config(**{"student.model.args.depth": 9})))
    small, large = (known.of(graph, graph.runs["none", 0]).seconds for graph in (plan.graph, larger))
    assert large > small


def test_a_job_due_for_the_reason_of_others_is_said_with_them(plan):
    lines = why.report(plan, costs.Costs()).splitlines()
    assert "students none/seed0, hard/seed0, everything/seed0: does not exist yet" in lines
    assert "tables depth, spectrum, cka, map: does not exist yet" in lines
    networks = "networks/cait, students/none/seed0, students/hard/seed0, students/everything/seed0"
    assert f"measure {networks}: does not exist yet" in lines, "of each all metrics"
    assert "map: does not exist yet" in lines
    assert all(STAGES.keys() >= {line.split()[0].rstrip(":")} for line in lines[: lines.index("")])


def test_a_row_counts_jobs_and_not_what_is_made_in_them(plan):
    """The map is made in a job with comparisons, and all that gathers in one."""
    rows = {
        line.split()[0]: line.split()[1:3]
        for line in why.report(plan, costs.Costs()).splitlines()
        if re.match(r"\w+ +\d", line)
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
    assert costs.Costs().of(plan.graph, run).seconds == pytest.approx(11.5)


def test_what_a_metric_leaves_is_told_by_what_it_left_of_the_same_network(plan):
    """Of most metrics nothing else tells how large their tables are."""
    task = plan.graph.measured["students/none/seed0"]["entropy"]
    assert costs.Costs().of(plan.graph, task).bytes is None
    facts = {"stage": "measure", "name": "", "key": task.key, "inputs": {}, "seconds": 2.0, "packages": {}, "code": []}
    sizes = {"a": 300, "b": 40}
    files = {name: {"identity": [size, 0, 0, 0], "sha256": ""} for name, size in sizes.items()}
    write_json(task.record, facts | {"files": files, "job": counted(task.job)})

    def of(network, metric):
        return costs.Costs().of(plan.graph, plan.graph.measured[network][metric])

    assert of("students/hard/seed0", "entropy") == costs.Cost(2.0, costs.RECORDS, 340)
    assert of("networks/cait", "entropy").bytes is None and of("students/hard/seed0", "magnitude").bytes is None


def measured(graph, seconds, network="networks/cait", metric="magnitude"):
    """What a metric of a network leaves that took so many seconds."""
    task = graph.measured[network][metric]
    facts = {
        "stage": "measure",
        "name": "",
        "key": task.key,
        "inputs": {},
        "files": {},
        "seconds": seconds,
        "packages": {},
    }
    write_json(task.record, facts | {"job": counted(task.job), "code": list(task.code)})
    return task


@pytest.mark.parametrize("side, images", [(28, 40), (56, 10), (56, 40)])
def test_seconds_follow_tokens_and_images(plan, side, images):
    """A run at 28 pixels tells of one at 56: by the operations of the blocks, and not as long."""
    task = measured(plan.graph, 10.0)
    other = graph_of(load(small_config(**{"view.image_size": side, "measure.images": images})))
    same, (shapes, others) = (
        other.measured["networks/cait"]["magnitude"],
        (graph.by_network["networks/cait"].checkpoints.shapes for graph in (plan.graph, other)),
    )

    def operations(shapes):
        return sum(24 * h * w * c**2 + 4 * (h * w) ** 2 * c for c, h, w in shapes)

    counts = [sum(one.count for one in of.job.image_sets) for of in (task, same)]
    expected = 10 * operations(others) / operations(shapes) * counts[1] / counts[0]
    found = costs.Costs().of(other, same)
    assert found.source == costs.RECORDS and found.seconds == pytest.approx(expected)
    assert (side == 28) or operations(others) > 4 * operations(shapes)


def test_a_training_at_another_size_costs_an_image_by_what_it_computes(plan):
    left_by(plan.graph.runs["none", 0])
    larger = graph_of(load(small_config(**{"view.image_size": 56})))
    small, large = (costs.Costs().of(graph, graph.runs["none", 0]).seconds for graph in (plan.graph, larger))
    tokens = [graph.study.model_info["student"].shapes[0][1] ** 2 for graph in (plan.graph, larger)]
    assert tokens[1] == 4 * tokens[0] and 4 * small < large < 16 * small


def test_of_a_network_without_blocks_of_known_size_pixels_count():
    assert costs.work({"view": {"image_size": 518}}) / costs.work({"view": {"image_size": 224}}) == (518 / 224) ** 2
    assert costs.work({}) == 1
    sets = [{"count": 3}, {"count": None}]
    assert costs.work({"network": {"shapes": [[2, 3, 1]], "epochs": [0, 1]}, "image_sets": sets}) == 6 * (288 + 72)


def left(task, peak, **facts):
    """What a task leaves whose process took so much memory."""
    facts = {"name": "", "key": task.key, "inputs": {}, "files": {}, "seconds": 1.0, "packages": {}, "code": []} | facts
    write_json(task.record, facts | {"stage": task.stage, "job": counted(task.job), "peak_mb": peak})


def one_of_each(graph):
    """The first task of each stage; of students a run, not what is published of it."""
    return {task.stage: task for task in reversed(graph.tasks)}


def test_a_job_asks_for_what_the_study_says_where_no_earlier_one_tells(plan):
    known, compute = costs.Costs(), plan.graph.study.compute
    for stage, task in one_of_each(plan.graph).items():
        assert known.mem_mb(plan.graph, [task]) == compute[costs.ASKED_AS.get(stage, stage)]["mem_mb"], stage
    assert known.mem_mb(plan.graph, []) == 0


def test_a_job_asks_for_a_quarter_more_than_the_most_that_one_of_its_stage_took(plan):
    for stage, task in one_of_each(plan.graph).items():
        left(task, 9000.1)
        assert costs.Costs().mem_mb(plan.graph, [task]) == 11251, stage
        left(task, 100.0)
        assert costs.Costs().mem_mb(plan.graph, [task]) == costs.asked(plan.graph, task)["mem_mb"], stage
    runs = [plan.graph.runs[arm, 0] for arm in ("none", "hard")]
    for run, peak in zip(runs, (4000.0, 5000.0), strict=True):
        left(run, peak)
    everything = plan.graph.runs["everything", 0]
    assert [costs.Costs().mem_mb(plan.graph, [run]) for run in (*runs, everything)] == [6250] * 3, "of one kind"
    assert costs.Costs().mem_mb(plan.graph, [plan.graph.data, runs[0]]) == 6250


@pytest.mark.parametrize(
    "change, stage, others",
    [
        ({"student.model.args.depth": 3}, "students", True),
        ({"student.recipe.batch_size": 8}, "students", True),
        ({"student.recipe.epochs": 7}, "students", False),
        ({"view.image_size": 56}, "measure", True),
        ({"measure.images": 20}, "measure", False),
        ({"data.broken_images": 1}, "data", False),
        ({"view.image_size": 56}, "data", True),
        ({"name": "another"}, "figures", True),
        ({"figures": {"dpi": 77}}, "figures", False),
    ],
)
def test_only_jobs_that_are_alike_tell_of_memory(plan, change, stage, others):
    task = one_of_each(plan.graph)[stage]
    left(task, 50_000.0)
    graph = graph_of(load(small_config(**change)))
    same = one_of_each(graph)[stage]
    expected = costs.asked(graph, same)["mem_mb"] if others else 62_500
    assert costs.Costs().mem_mb(graph, [same]) == expected


def test_a_record_that_says_no_memory_or_nothing_sensible_is_passed_over(plan):
    task = plan.graph.networks["cait"]
    asked = costs.asked(plan.graph, task)["mem_mb"]
    for damaged in (-1.0, "much", 1e300):
        left(task, damaged)
        assert record.read(task.record) is None and costs.Costs().mem_mb(plan.graph, [task]) == asked
    left(task, 0.0)
    assert record.read(task.record) is not None and costs.Costs().mem_mb(plan.graph, [task]) == asked


def test_measuring_asks_for_what_its_own_network_is_reckoned_to_take(plan, monkeypatch):
    infos = plan.graph.study.model_info
    monkeypatch.setattr(costs, "megabytes", lambda info: 7000 if info is infos["cait"] else 0)
    known = costs.Costs()
    teacher, student = (plan.graph.measured[name]["entropy"] for name in ("networks/cait", "students/hard/seed0"))
    asked = costs.asked(plan.graph, student)["mem_mb"]
    assert [known.mem_mb(plan.graph, tasks) for tasks in ([teacher], [student], [student, teacher])] == [
        *(7000, asked, 7000)
    ]
    assert known.mem_mb(plan.graph, [plan.graph.networks["cait"]]) == costs.asked(plan.graph, teacher)["mem_mb"]


@pytest.mark.parametrize("seconds", [5.0, 36e4, 10 * 86400, 1e4 * 86400])
def test_columns_stay_apart_however_long_a_time_is(seconds):
    row = why.Row("a_stage_of_a_long_name", 3, 1234567, 2 * seconds, costs.Cost(seconds, costs.REQUEST, 10**13))
    head, line = why.aligned([why.HEADS, row.cells()])
    assert re.split("  +", line) == list(row.cells()) and re.split("  +", head.strip()) == list(why.HEADS)
    assert len(head) == len(line)
