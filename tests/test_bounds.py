"""Numbers that cannot be meant are refused when a study is read, each with its key, its value and what is possible."""

import math

import pytest
from pydantic import TypeAdapter

from distillation_dynamics import extensions
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import gathered, planning
from distillation_dynamics.spec.faults import LARGEST_MEANT, SMALLEST_MEANT, of_values, resolved
from distillation_dynamics.study.keys import Configuration
from helpers import changed, graph_of, load, small_config, smoke_config

RECIPE = "student.recipe"
MEANT_BY_NOBODY = {
    f"{RECIPE}.optimizer.learning_rate": [1e30, 1e-300, 2000, 10**15, -1e-3],
    f"{RECIPE}.optimizer.weight_decay": [1e9, 101.0, 1e-320, -0.1],
    f"{RECIPE}.optimizer.eps": [1e-300, 2.0],
    f"{RECIPE}.schedule.warmup_learning_rate": [1e30, 1e9],
    f"{RECIPE}.schedule.minimum_learning_rate": [1e30, 1e9],
    f"{RECIPE}.clip_gradient_norm": [1e-300, 1e-9, 1e300, 0],
    f"{RECIPE}.mixing.mixup": [1e9, 1e-320],
    f"{RECIPE}.augmentation.color_jitter": [1e9],
    "view.std": [[1e-300], [1e-9], [1e30], [0]],
    "view.mean": [[1e30], [-1e9], [1e-320]],
    "variants.hard.hard.weight": [1e300, 1e9, 1e-300, -1, 10**18],
    "variants.hard.cross_entropy.label_smoothing": [1e-320, 1e9],
    "variants.soft.soft.temperature": [1e-320, 1e-9, 1e9, 0],
    "variants.rkd.rkd.distance": [1e30, 1e9, 1e-320],
    "variants.rkd.rkd.robust": [1e30, 1e9],
    "variants.at.at.power": [1e30, 0.5],
    "variants.hard.hard.course.values": [[0, 1e9], [1e300, 0]],
    "networks.cait.tolerance": [1e30, 101],
    "state_minutes": [1e30, -1],
}


def config():
    result = small_config()
    of_logits = {"cross_entropy": {"weight": 1}}
    result["variants"]["soft"] = of_logits | {"soft": {"weight": 1}}
    for name in ("rkd", "at"):
        result["variants"][name] = of_logits | {name: {"weight": 1, "pairs": "last"}}
    result["variants"]["hard"]["hard"]["course"] = {"shape": "linear", "values": [1, 0]}
    result["student"]["recipe"]["mixing"] = {"mixup": 0.8}
    result["student"]["recipe"].setdefault("augmentation", {})
    return result


SAID = ("implausibly large", "implausibly small", "than the m", "not greater than", "not less than")
CASES = [(key, value) for key, values in MEANT_BY_NOBODY.items() for value in values]


@pytest.mark.parametrize(("key", "value"), CASES, ids=[f"{key} {value}" for key, value in CASES])
def test_a_number_that_cannot_be_meant_is_refused_with_its_key(key, value):
    with pytest.raises(StudyError) as error:
        load(changed(config(), key, value))
    (line,) = [line for line in str(error.value).splitlines() if line.startswith(key)]
    assert any(words in line for words in SAID), line


def numbers(part, schema, key=""):
    """Yield key and schema of every number below a part of the configuration, in lists and of several kinds, too."""
    part = resolved(part, schema)
    for kind in (*part.get("oneOf", ()), *part.get("anyOf", ()), *part.get("prefixItems", ())):
        yield from numbers(kind, schema, key)
    for inner in (part[name] for name in ("items", "additionalProperties") if isinstance(part.get(name), dict)):
        yield from numbers(inner, schema, f"{key}.*")
    below = {**part.get("properties", {}), **part.get("patternProperties", {})}
    for name, inner in below.items():
        yield from numbers(inner, schema, f"{key}.{name}".removeprefix("."))
    if part.get("type") == "number":
        yield key, part


def test_no_number_is_taken_that_float32_does_not_hold():
    for value in (1e30, -1e30, 1e300, 1e-320, 1e-30, -1e-300, math.inf, math.nan, 10**18):
        (said,) = of_values({"key": [value]})
        assert said.startswith("key.0: ")
    for value in (0, 0.0, -0.0, LARGEST_MEANT, SMALLEST_MEANT, -3, 1e-8, 7e-5, 10**12):
        assert list(of_values({"key": value})) == []


def test_every_number_of_an_objective_has_a_smallest_and_a_largest():
    schema = TypeAdapter(Configuration).json_schema()
    found = {key.rpartition(".")[2]: part for key, part in numbers(schema, schema)}
    options = {
        option
        for objective in extensions.objectives().values()
        for option, known in objective.options.items()
        if known.type == "number"
    }
    assert len(options) >= 10 and options <= found.keys()
    for option in options:
        assert {"maximum", "exclusiveMaximum"} & found[option].keys(), option
        assert {"minimum", "exclusiveMinimum"} & found[option].keys(), option


def test_variants_of_equal_terms_are_noted():
    result = small_config()
    result["variants"]["twin"] = dict(result["variants"]["hard"])
    (said,) = planning.equal_notes(graph_of(load(result)))
    assert said == "variants: hard, twin have equal terms: they are one training, under several names"
    assert list(planning.equal_notes(graph_of(load(small_config())))) == []


@pytest.mark.parametrize("metric", ["agreement", "cka", "mismatch", "neighbours", "procrustes"])
def test_figures_without_their_tables_are_left_out_and_said(metric):
    result = small_config(**{"compare.metrics": [metric]})
    graph = graph_of(load(result))
    written = {table for task in (*graph.tables.values(), graph.summary, graph.statistics) for table in task.writes}
    for name, task in graph.figures.items():
        assert set(task.reads) <= written, name
    assert set(graph.page.reads) <= {*written, *(path for task in graph.tasks for path in task.writes)}
    (said,) = planning.figure_notes(graph)
    assert said.startswith("figures left out: ") and ("cka" in said) == (metric != "cka")
    assert set(gathered.left_out(graph)).isdisjoint(graph.figures)


def test_a_study_that_measures_all_leaves_no_figure_out():
    assert list(planning.figure_notes(graph_of(load(smoke_config())))) == []
