"""What of a module counts: its meaning, and not its words."""

import pytest

from distillation_dynamics import fingerprints

MODULE = '''
"""A module."""
from . import other

LIMIT = 3  # a limit


class Columns:
    """Of a table."""

    a = Column("s", "seconds")


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
    "what is printed": ('"working", value', '"at work"'),
}
OTHER = {
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a condition": ("value > LIMIT", "value >= LIMIT"),
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


def test_stages_that_train_depend_on_no_other_stage_and_nothing_that_only_plans():
    code = {entry.partition(":")[0] for entry in fingerprints.fingerprint("cohorts", "objectives.soft")}
    assert {"cohorts", "training.loop", "data.split", "networks.build", "objectives.soft", "spec.training"} <= code
    assert not [name for name in code if name.startswith(("jobs", "metrics", "statistics", "figures", "saliency"))]
    assert code.isdisjoint(
        {"errors", "gpus", "study.load", "measuring", "spec.measure", "spec.compare", "spec.machine"}
    )
    code = {entry.partition(":")[0] for entry in fingerprints.fingerprint("saliency")}
    assert "spec.saliency" in code and code.isdisjoint({"training", "cohorts", "features", "comparison", "metrics"})
