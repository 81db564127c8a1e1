"""Which pairs of networks are compared: all of few, those that a study names, and of many as many as grow linearly."""

import itertools

import pytest
import yaml

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import batches
from distillation_dynamics.jobs.batches import network_of
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.plan import Plan
from distillation_dynamics.study import compared
from distillation_dynamics.study.compared import network_pairs
from helpers import changed, graph_of, load, small_config, smoke_config


def config_of(count, pairs=None, teacher="cait", seeds=()):
    """The small study with `count` networks, all its teacher's; those in `seeds` differ in their seed alone."""
    config = small_config()
    network = config["networks"].pop("cait")
    for number in range(count):
        more = {"seed": number} if number in seeds else {"label_smoothing": (1 + number) / 100}
        config["networks"][f"n{number}"] = network | more
    config["teacher"] = teacher
    return config if pairs is None else changed(config, "compare.pairs", pairs)


def pairs_of(*given, **more):
    """The pairs of different networks as 'a b'; each network is beside itself, too."""
    config = config_of(*given, **{"teacher": "n2"} | more)
    found = network_pairs(load(config))
    own = [one for one, other in found if one == other]
    assert own == ["n2", *(name for name in config["networks"] if name != "n2")], "each beside its control, in order"
    assert len(set(map(frozenset, found))) == len(found)
    return [f"{one} {other}" for one, other in found if one != other]


@pytest.mark.parametrize("count", [3, compared.MOST])
def test_of_few_networks_all_pairs_are_compared_the_teacher_first(count):
    names = ["n2", *(f"n{number}" for number in range(count) if number != 2)]
    everything = [f"{one} {other}" for one, other in itertools.combinations(names, 2)]
    assert pairs_of(count) == pairs_of(count, "all") == everything


def test_of_many_each_is_compared_with_the_teacher_and_with_its_neighbours_in_the_list():
    count = compared.MOST + 1
    others = [number for number in range(count) if number != 2]
    wanted = {f"n2 n{number}" for number in others} | {f"n{n} n{n + 1}" for n in others if n + 1 in others}
    found = pairs_of(count)
    assert set(found) == wanted and len(found) == len(wanted)
    assert len(pairs_of(count, "all")) == count * (count - 1) // 2


def test_of_many_those_of_other_seeds_are_compared_each_with_the_next():
    seeds = (4, 6, 8)
    alone = set(pairs_of(compared.MOST + 2))
    assert set(pairs_of(compared.MOST + 2, seeds=seeds)) - alone == {"n4 n6", "n6 n8"}


def test_pairs_grow_linearly_with_networks():
    for count in (20, 40):
        assert len(network_pairs(load(config_of(count, teacher="n0")))) == count + 2 * (count - 1) - 1


def test_pairs_that_a_study_names_are_compared_and_no_others():
    assert pairs_of(4, [["n3", "n0"], ["n1", "n2"]]) == ["n2 n1", "n0 n3"]


def test_the_jobs_of_a_pair_are_those_of_a_study_that_compares_all():
    few, every = (graph_of(load(config_of(4, given, teacher="n0"))) for given in ([["n1", "n3"]], "all"))
    names = [name for name in few.compared if name.startswith("networks/")]
    assert names == ["networks/n0/n0", "networks/n1/n1", "networks/n1/n3", "networks/n2/n2", "networks/n3/n3"]
    for name in few.compared:
        assert {metric: (task.key, task.record) for metric, task in few.compared[name].items()} == {
            metric: (task.key, task.record) for metric, task in every.compared[name].items()
        }
    assert set(every.compared) - set(few.compared) == {
        f"networks/n{a}/n{b}" for a, b in itertools.combinations(range(4), 2) if (a, b) != (1, 3)
    }


@pytest.mark.parametrize("path", ["config.yaml", "studies/full.yaml", "studies/networks.yaml"])
def test_kept_studies_compare_all_pairs(path):
    config = yaml.safe_load((ROOT / path).read_text())
    assert len(config["networks"]) <= compared.MOST or config["compare"]["pairs"] == "all"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([["cait", "resne"]], "compare.pairs.0: 'resne' is not a network; did you mean resnet"),
        ([["cait", "cait"]], "compare.pairs.0: cait is given twice; give two networks, each is compared with its own"),
        ([["cait", "resnet"], ["resnet", "cait"]], "compare.pairs.1: resnet and cait are given before; remove one"),
        ([["cait"]], "compare.pairs.0: give at least 2 values"),
        ([["cait", "resnet", "cait"]], "compare.pairs.0: 3 values are given; give at most 2"),
        ("some", "compare.pairs: 'some' is not valid; allowed: all"),
        ([], "compare.pairs: is empty; give a value"),
        (3, "compare.pairs: 3 is given, but text or a list is expected"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused_in_one_sentence(pairs, said):
    with pytest.raises(StudyError) as error:
        load(changed(smoke_config(), "compare.pairs", pairs))
    (line,) = str(error.value).splitlines()
    assert line.startswith(said)


def test_a_plan_looks_at_each_job_a_few_times_however_many_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = []

    def counted(task):
        counts[-1] += 1
        return network_of(task)

    monkeypatch.setattr(batches, "network_of", counted)
    for count in (8, 24):
        counts.append(0)
        config = changed(config_of(count, teacher="n0"), "name", f"of{count}")
        graph = graph_of(load(config))
        plan = Plan(graph, Hashes(), slots=dict.fromkeys(("students", "measure", "compare", "tables"), 2))
        plan.settle()
        counts[-1] /= len(graph.tasks)
        assert all(
            graph.of_key(task.key) == [one for one in graph.tasks if one.key == task.key] for task in graph.tasks
        )
        assert len({batch.name for batch in plan.batches}) == len(plan.batches)
    assert graph.of_key("none") == [] and max(counts) <= 3
