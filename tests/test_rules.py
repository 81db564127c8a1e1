"""Rule files name the files that their jobs leave, and a study lists them."""

import re

import pytest

from conftest import ROOT
from distillation_dynamics.jobs.graph import Graph
from helpers import changed, graph_of, load, smoke_config

# Stage -> the rule file with its rule, where it has another name.
RULES = {
    "network_weights": "networks",
    "map": "compare",
    **dict.fromkeys(("summary", "statistics", "report", "figures", "page", "paper"), "tables"),
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    """The tasks of a study with every rule."""
    released = {"source": "timm", "model": smoke_config()["networks"]["resnet"]["model"], "weights": "hf-hub:me/mine@1"}
    return graph_of(load(changed(smoke_config(), "networks.released", released)))


def left_by(rule: str) -> dict[str, re.Pattern]:
    """The files that a rule file says its jobs leave, as written and as patterns of paths."""
    lines = re.findall(r"^#   (results/\S+)$", (ROOT / f"workflow/rules/{rule}.smk").read_text(), re.M)
    return {line: re.compile(pattern(line)) for line in lines}


def pattern(line: str) -> str:
    """`<what>` stands for a part of a path, `{a,b}` for either."""
    parts = re.split(r"(<[a-z]+>|[{},])", line)
    meaning = {"{": "(?:", "}": ")", ",": "|"}
    return "".join("[^/]+?" if part.startswith("<") else meaning.get(part, re.escape(part)) for part in parts)


def test_each_rule_file_names_the_files_of_its_stages_and_no_others(graph):
    written: dict[str, set[str]] = {}
    for task in graph.tasks:
        rule = "cohorts" if task in graph.runs.values() else RULES.get(task.stage, task.stage)
        written.setdefault(rule, set()).update(task.writes)
    assert len(written) == 8
    for rule, paths in written.items():
        said = left_by(rule)
        for path in paths:
            assert any(one.fullmatch(path) for one in said.values()), f"{rule}.smk says nothing of {path}"
        for line, one in said.items():
            assert any(map(one.fullmatch, paths)), f"{rule}.smk: no task leaves {line}"


def test_every_file_of_a_study_is_known_by_its_path(graph):
    for task in graph.asked:
        assert all(graph.writer(path) is task for path in task.writes)
    run, student = graph.runs["hard", 0], graph.students["hard", 0]
    assert graph.writer(f"./{run.path('result.json')}") is student, "the store has it when a student has"
    assert graph.writer("results/smoke/figures/none.png") is None
