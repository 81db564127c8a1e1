"""What of a module counts: its meaning, and not its words."""

import pytest

from distillation_dynamics import extensions, fingerprints
from helpers import graph_of, load, smoke_config

MODULE = '''
"""A module."""
from . import other

LIMIT = 3  # a limit
OPTIONS = {"power": {"type": "number", "description": "of the distance"}}


class Columns:
    """Of a table."""

    a = Column("s", "seconds")
    rate: Annotated[float, Key("above 0", gt=0)] = 0.1


def work(value):
    """Work."""
    if value > LIMIT:
        raise StudyError(f"{value} is too much; take less than {LIMIT}")
    print("working", value)
    return other.add(value, 1)
'''
SAME = {
    "a docstring": ("Of a table.", "Of some table."),
    "a comment": ("# a limit", "# the limit"),
    "the layout": ("value, 1)", "value,\n        1)"),
    "the words of an error": ("is too much; take less", "is more than allowed; take less"),
    "what an error tells": ("than {LIMIT}", "than {LIMIT + 0}"),
    "what is allowed and said beside a type": ('Key("above 0", gt=0)', 'Key("at least 0", ge=0)'),
    "what an option means": ("of the distance", "of distances"),
    "what is printed": ('"working", value', '"at work"'),
}
OTHER = {
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a condition": ("value > LIMIT", "value >= LIMIT"),
    "an option": ('"type": "number"', '"type": "integer"'),
    "a type": ("Annotated[float,", "Annotated[int,"),
    "a default": ("= 0.1", "= 0.2"),
    "the kind of an error": ("raise StudyError", "raise ValueError"),
    "what is returned": ("value, 1", "value, 2"),
    "what a column says of itself, which is written": ('"seconds"', '"minutes"'),
    "an error whose words compute something": ('f"{value} is', 'f"{(value := 2)} is'),
    "an error that is no longer raised": ("        raise StudyError", "        StudyError"),
}


@pytest.fixture
def meaning(tmp_path, monkeypatch):
    """The hash of a module with a given text."""
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)
    monkeypatch.setattr(fingerprints, "known", {})
    (tmp_path / fingerprints.PACKAGE).mkdir()
    (tmp_path / fingerprints.PACKAGE / "__init__.py").write_text("")
    caches = fingerprints._imports, fingerprints._path, fingerprints._code

    def hash_of(text):
        (tmp_path / fingerprints.PACKAGE / "module.py").write_text(text)
        for cached in caches:
            cached.cache_clear()
        return fingerprints.fingerprint("module")

    yield hash_of
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("name", SAME)
def test_words_do_not_count(meaning, name):
    old, new = SAME[name]
    assert old in MODULE and meaning(MODULE.replace(old, new)) == meaning(MODULE)


@pytest.mark.parametrize("name", OTHER)
def test_meaning_counts(meaning, name):
    old, new = OTHER[name]
    assert old in MODULE and meaning(MODULE.replace(old, new)) != meaning(MODULE)


def test_what_is_remembered_of_a_module_is_what_is_read(meaning):
    first = meaning(MODULE)
    assert meaning(MODULE) == first
    assert meaning(MODULE + "MORE = 1\n") != first


MEASURES = {
    "networks.attention", "networks.gradients", "networks.lens", "networks.observer", "networks.defaults",
    "networks.inspection", "networks.model_info", "data.image_set", "spec.measure", "spec.compare", "spec.tables",
}  # fmt: skip
PLANS = {"errors", "gpus", "fingerprints", "extensions", "study.load", "networks.acceptance", "spec.machine", "look"}


def code_of(*modules):
    return {entry.partition(":")[0] for entry in fingerprints.fingerprint(*modules)}


def test_stages_that_train_depend_on_no_other_stage_and_nothing_that_only_plans():
    code = code_of("stages.cohorts", "objectives.soft")
    assert {"stages.cohorts", "training.loop", "data.split", "networks.build", "objectives.soft"} <= code
    assert {name for name in code if name.startswith("stages.")} == {"stages.cohorts"}
    assert not [name for name in code if name.startswith(("jobs", "study", "metrics", "statistics", "figures"))]
    assert code.isdisjoint(PLANS)


def test_no_key_of_a_training_depends_on_what_only_measures():
    """Of the whole graph, each job that makes weights or says what a teacher says."""
    tasks = [task for task in graph_of(load(smoke_config())).tasks]
    training = [task for task in tasks if task.stage in ("data", "networks", "teacher_outputs", "students")]
    assert {task.stage for task in training} == {"data", "networks", "teacher_outputs", "students"}
    for task in training:
        code = {entry.partition(":")[0] for entry in task.code}
        assert code.isdisjoint(MEASURES | PLANS) and not [name for name in code if name.startswith("metrics")], task
    measuring = {entry.partition(":")[0] for task in tasks if task.stage == "measure" for entry in task.code}
    assert {"networks.attention", "networks.gradients", "networks.lens", "networks.observer"} <= measuring
    paths = [*(fingerprints.ROOT / fingerprints.PACKAGE).rglob("*.py")]
    known = {
        ".".join(path.relative_to(fingerprints.ROOT / fingerprints.PACKAGE).with_suffix("").parts) for path in paths
    }
    assert known >= MEASURES | PLANS, "what is looked for is there"


# Metrics that compute with functions of others, and so change with them.
WITH_OTHERS = {
    "collapse": {"rows"}, "lens": {"rows"}, "linear_probe": {"rows"}, "nearest_probe": {"rows"},
    "published": {"entropy", "magnitude", "spectrum"}, "saliency": {"gradient"},
}  # fmt: skip


def test_each_metric_depends_on_its_own_file_and_on_those_whose_functions_it_takes():
    metrics, pairs = extensions.metrics(), extensions.pair_metrics()
    for name in metrics:
        code = code_of("stages.measure", f"metrics.{name}")
        assert {one for one in metrics if f"metrics.{one}" in code} == {name} | WITH_OTHERS.get(name, set())
    for name in pairs:
        code = code_of("stages.compare", f"metrics.pairs.{name}")
        assert {one for one in pairs if f"metrics.pairs.{one}" in code} == {name}
        assert not [module for module in code if module.startswith(("networks", "training", "data"))]
