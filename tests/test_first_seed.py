"""Metrics that students of the first seed alone are measured by: fewer jobs, the others as they were."""

import pytest

from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.batches import dealt, together
from helpers import changed, graph_of, load, smoke_config, tiny_study

SEEDS = [3, 5]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The jobs of a study with two seeds, whole and with some metrics of the first seed alone."""
    once = {"measure.first_seed_only": ["spectrum", "saliency"], "compare.first_seed_only": ["cka"]}
    changes = [{"seeds": SEEDS}, {"seeds": SEEDS, **once}]
    return [graph_of(tiny_study(tmp_path_factory.mktemp("study"), **change)) for change in changes]


def keys(graph):
    """The key of every measurement and comparison that a graph has, by its name."""
    return {str(task): task.key for task in graph.tasks if task.stage in ("measure", "compare")}


def test_students_of_later_seeds_go_without_and_nothing_else_changes(graphs):
    # Images lie elsewhere in the two folders, which counts for nothing.
    every, fewer = map(keys, graphs)
    gone = every.keys() - fewer.keys()
    assert gone == {
        name for name in every if "/seed5" in name and name.rpartition("/")[2] in ("spectrum", "saliency", "cka")
    }
    assert gone and fewer == {name: key for name, key in every.items() if name not in gone}


def test_the_map_holds_students_of_the_first_seed(graphs):
    for graph in graphs:
        students = {one.seed for one in graph.map.job.activations}
        assert students == {None, 3}


def test_students_that_nothing_is_compared_of_keep_no_rows(tmp_path, graphs):
    every = list(graphs[0].study.compare.metrics)
    changes = {"seeds": SEEDS, "measure.metrics": ["entropy"], "compare.first_seed_only": every}
    graph = graph_of(tiny_study(tmp_path, **changes))
    assert not [name for name in graph.compared if "seed5" in name]
    assert all(("rows" in graph.measured[name]) == ("seed5" not in name) for name in graph.measured)


@pytest.mark.parametrize("part", ["measure", "compare"])
def test_a_metric_that_does_not_exist_is_said(part):
    with pytest.raises(StudyError, match=rf"{part}\.first_seed_only\.0: 'xyz' is not"):
        load(changed(smoke_config(), f"{part}.first_seed_only", ["xyz"]))


@pytest.mark.parametrize(("slots", "jobs"), [(1, [1, 1, 1]), (2, [2, 1, 1]), (4, [4, 2, 2]), (None, [2, 2, 2])])
def test_what_is_more_than_half_of_a_slots_work_is_split(slots, jobs):
    """The first seed, of which everything is measured, has half of the work; all would wait for it at the end."""
    members = {seed: [f"{seed} {number}" for number in range(12)] for seed in range(3)}
    batches = list(dealt(members, None, slots, {0: 0.5, 1: 0.25, 2: 0.25}))
    assert sorted(name for batch in batches for name in batch) == sorted(
        name for listed in members.values() for name in listed
    )
    assert [sum(batch[0].startswith(f"{seed} ") for batch in batches) for seed in range(3)] == jobs
    # Trainings of a seed are equal work, and stay together.
    assert len(list(dealt({0: members[0]}, None, 1))) == 1


@pytest.mark.parametrize(
    ("slots", "expected"),
    [(1, {0: 12, 1: 12}), (2, {0: 12, 1: 6, 3: 6}), (4, {0: 12, 1: 3, 2: 3, 3: 3, 4: 3})],
)
def test_neighbouring_seeds_share_a_process_up_to_half_of_a_slots_work(slots, expected):
    parts = {seed: [[f"{seed} {number}"] for number in range(12 if seed == 0 else 3)] for seed in range(5)}
    found = together(parts, slots)
    assert {seed: len(own) for seed, own in found.items()} == expected
    assert [one for own in found.values() for one in own] == [one for own in parts.values() for one in own]
    assert len(parts[1]) == 3, "what was given is as it was"
