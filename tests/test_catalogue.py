"""docs/objectives.md is what the files of objectives say: each once, with formula, what it takes, cost and source."""

import json

import yaml

from distillation_dynamics import catalogue, extensions
from helpers import load

# Those that come with the project: a new one is documented by its file alone.
OWN = (
    *("at", "attention", "cka", "class_token", "cosine", "cross_entropy", "dist", "dkd", "gram", "hard", "lskd", "mgd"),
    *("mse", "nkd", "projector", "rkd", "soft", "spectral", "value_relation", "vitkd", "vkd", "wttm"),
)


def rows():
    lines = catalogue.page(OWN).splitlines()
    return {
        line.split("`")[1]: line.replace("\\|", "/").strip("| ").split(" | ") for line in lines if line[:3] == "| `"
    }


def test_the_page_is_what_the_files_say(root):
    text = (root / "docs/objectives.md").read_text()
    assert text == catalogue.page(OWN), "run `make objectives > docs/objectives.md`"


def test_each_objective_has_a_formula_and_a_source_and_a_measured_cost():
    assert set(OWN) <= set(extensions.objectives()) and set(rows()) == set(OWN)
    for name, (_, takes, formula, _, cost, source) in rows().items():
        assert takes and formula.strip("`") and len(source) > 10 and float(cost) > 0, name
    assert float(rows()["soft"][4]) == 1
    setting = json.loads(catalogue.COSTS.read_text())["setting"]
    assert setting in catalogue.page(OWN) and "images of" in setting


def test_what_a_forward_takes_is_said_in_words():
    assert catalogue.takes(("pair", "student_features", "teacher_features")) == "features"
    assert catalogue.takes(("student_logits", "targets")) == "the student's logits, targets"
    assert catalogue.takes(("student_logits", "teacher_logits", "labels")) == "logits, labels"


def test_an_objective_without_these_paragraphs_and_not_yet_measured_has_a_row_all_the_same(monkeypatch):
    from distillation_dynamics.objectives import mse

    monkeypatch.setattr(mse, "__doc__", "What it is, and no more.")
    monkeypatch.setattr(catalogue.json, "loads", lambda text: {"setting": "", "ratios": {}})
    assert "| `mse` | features |  | `projector`, `normalise_target`, `robust` |  |  |" in catalogue.page(["mse"])


def test_every_formula_and_source_ends_where_its_sentence_does():
    assert rows()["at"][5].endswith("ICLR 2017, eq. 2")
    assert rows()["dist"][5].endswith("NeurIPS 2022")
    assert not [name for name, row in rows().items() if row[2].startswith("`.") or row[5].endswith((".", ",", "eq"))]


def test_the_study_of_objectives_has_each_at_a_weight_and_at_a_tenth_of_the_gradient(root, monkeypatch):
    monkeypatch.chdir(root)
    study = load(yaml.safe_load((root / "studies/objectives.yaml").read_text()))
    terms = {name: variant.terms for name, variant in study.variants.items()}
    weighed = {term.objective for own in terms.values() for term in own if term.weight is not None}
    shared = {term.objective for own in terms.values() for term in own if term.gradient_share == 0.1}
    assert weighed == set(OWN) and shared == set(OWN) - {"cross_entropy", "soft"}
    assert len(study.seeds) == 6 and study.statistics.baseline == "soft"
