"""A study of several students and teachers: who is trained by whom, what is refused, and which baseline each has."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import batches
from distillation_dynamics.jobs.who import names_of, setting_of
from distillation_dynamics.spec.base import counted, to_json
from distillation_dynamics.spec.tables import Arm
from distillation_dynamics.statistics.evidence import Evidence
from distillation_dynamics.study.study import Source
from helpers import changed, copy_project, graph_of, load, small_config, snakemake, write_study
from losses import runs_of

CAIT, OTHER = Source("cait", "trained"), Source("other", "trained")
TERMS = {"cross_entropy": {"weight": 1}}


def several(**changes):
    """The small study with two students, of which one is wider and has another recipe, and a second teacher."""
    config = small_config()
    narrow = config.pop("student")
    wide = changed(changed(narrow, "model.args.embed_dim", 24), "recipe.batch_size", 16)
    config["students"] = {"narrow": narrow, "wide": wide}
    config["networks"]["other"] = changed(config["networks"]["cait"], "seed", 5)
    soft = {"soft": {"weight": 1}}
    config["variants"] = {"none": TERMS, "soft": soft, "from_other": {"student": "wide", "teacher": "other", **soft}}
    for path, value in changes.items():
        config = changed(config, path.replace("__", "."), value)
    return config


@pytest.fixture(scope="module")
def graph():
    return graph_of(load(several()))


def test_a_variant_trains_all_students_unless_it_names_one(graph):
    arms = names_of(graph).arms
    assert {name: replace(arm, terms=()) for name, arm in arms.items()} == {
        "none-narrow": Arm("none", "narrow", "cait"),
        "none-wide": Arm("none", "wide", "cait"),
        "soft-narrow": Arm("soft", "narrow", "cait"),
        "soft-wide": Arm("soft", "wide", "cait"),
        "from_other": Arm("from_other", "wide", "other"),
    }
    assert {name: arms[f"none-{name}"].terms for name in ("narrow", "wide")} == dict.fromkeys(
        ("narrow", "wide"), (("cross_entropy", "cross_entropy"),)
    )


def test_the_short_form_of_one_student_is_the_same_study():
    config = small_config()
    named = {name: part for name, part in config.items() if name != "student"}
    alone, short = load(named | {"students": {"one": config["student"]}}), load(config)
    assert list(alone.variants) == list(short.variants) == ["none", "hard", "everything"]
    keys = [[task.key for task in graph_of(study).runs.values()] for study in (alone, short)]
    assert keys[0] == keys[1]


def test_each_student_is_trained_as_it_is_and_asks_its_own_teacher(graph):
    study = graph.study
    for (arm, _), run in graph.runs.items():
        who = study.variants[arm]
        assert run.job.model == study.model(who.student) and run.job.recipe == study.students[who.student].recipe
    assert graph.runs["soft-narrow", 0].job.model != graph.runs["soft-wide", 0].job.model
    weights = {arm: graph.networks[study.variants[arm].teacher].key for arm in ("soft-wide", "from_other")}
    for arm, key in weights.items():
        assert f'"{key}"' in to_json(counted(graph.runs[arm, 0].job))
    assert weights["soft-wide"] != weights["from_other"]


def test_what_a_teacher_says_is_stored_once_for_students_who_see_the_same():
    graph = graph_of(load(several()))
    assert set(graph.outputs) == {(CAIT, "narrow"), (CAIT, "wide"), (OTHER, "wide")}
    assert graph.outputs[CAIT, "narrow"] is graph.outputs[CAIT, "wide"]
    fewer = graph_of(load(several(students__wide__recipe__train_images=40)))
    assert fewer.outputs[CAIT, "narrow"].key != fewer.outputs[CAIT, "wide"].key
    for pair, run in fewer.runs.items():
        name = fewer.study.variants[pair[0]].student
        for need in run.needs:
            if need.stage == "teacher_outputs":
                assert need in (fewer.outputs[CAIT, name], fewer.outputs.get((OTHER, name)))


def test_a_cohort_trains_one_student(graph):
    found = batches.cohorts(graph.runs.values(), None, 1)
    assert {len({(task.job.model.args["embed_dim"], task.job.seed) for task in batch.tasks}) for batch in found} == {1}
    assert sum(len(batch.tasks) for batch in found) == len(graph.runs) == 5


def test_each_is_compared_with_its_own_teacher(graph):
    for arm, teacher in (("soft-wide", "cait"), ("from_other", "other")):
        (task,) = graph.compared[f"students/{arm}/seed0"].values()
        assert {(first.network, second.network) for first, second in task.job.network_pairs} == {(arm, teacher)}


def test_each_student_has_a_baseline_of_its_own(graph):
    assert names_of(graph).baselines == {"narrow": "none-narrow", "wide": "none-wide"}
    assert names_of(graph).against == {
        "soft-narrow": "none-narrow", "soft-wide": "none-wide", "from_other": "none-wide",
    }  # fmt: skip
    soft = names_of(graph_of(load(several(statistics={"baseline": "soft"}))))
    assert soft.baselines == {"narrow": "soft-narrow", "wide": "soft-wide"}
    assert soft.against["from_other"] == "soft-wide"


def test_what_is_trained_is_held_beside_published_runs_of_its_own_kind(graph):
    arms = setting_of(graph).arms
    assert "'embed_dim': 24" in arms["soft-wide"].student and "'embed_dim': 24" not in arms["soft-narrow"].student
    assert len(arms) == 5


def test_differences_are_to_the_baseline_of_the_same_student(graph):
    from distillation_dynamics.questions import variants

    who = names_of(graph)
    top1 = {"none-narrow": [70.0, 71], "none-wide": [80.0, 80], "soft-narrow": [71.0, 73], "soft-wide": [79.0, 80]}
    table = variants.differences(runs_of(**top1, from_other=[85.0, None]), who.against)
    found = {name: list(own) for name, own in table.groupby("variant")["difference"]}
    assert found == {"soft-narrow": [1.0, 2.0], "soft-wide": [-1.0, 0.0], "from_other": [5.0]}
    assert dict(zip(table["variant"], table["baseline"], strict=True)) == who.against


def test_a_sentence_names_one_baseline_and_calls_several_that_of_each_student(graph):
    evidence = Evidence({}, names_of(graph))
    assert evidence.baseline == "the baseline of each student"
    assert Evidence({}, replace(names_of(graph), baselines={"wide": "none-wide"})).baseline == "none-wide"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"student": small_config()["student"]}, "student, students: are both given"),
        ({"students": {}}, "students: is empty; give a value"),
        ({"variants.soft.student": "wied"}, "variants.soft.student: there is no student 'wied'; did you mean wide"),
        ({"variants.soft.teacher": "otter"}, "variants.soft.teacher: there is no network 'otter'; did you mean other"),
        ({"variants.soft.teacher": 3}, "variants.soft.teacher: 3 is given, but text is expected"),
        ({"variants": {"only": {**TERMS, "student": "wide"}}}, "students.narrow: no variant trains it"),
        ({"variants.soft-wide": TERMS | {"student": "wide"}}, "variants.soft-wide: .*is given twice"),
        ({"variants.none-WIDE": TERMS | {"student": "wide"}}, "differs from none-wide only in case"),
        ({"students.other": small_config()["student"]}, "students.other: is also the name of a network"),
        ({"statistics": {"baseline": "from_other"}}, "baseline: variant from_other does not train student narrow"),
        ({f"variants.{'a' * 60}": TERMS}, r"its arm a+-narrow has a name of more than 64 characters"),
        ({"students.wide.recipe.train_images": 10**6}, r"^students\.wide\.recipe\.train_images: 1000000 is more than"),
        ({"variants.empty": {"student": "wide"}}, "variants.empty: is empty"),
    ],
)
def test_what_students_and_teachers_cannot_be_is_said(changes, said):
    config = several()
    for path, value in changes.items():
        config = changed(config, path, value)
    with pytest.raises(StudyError, match=said):
        load(config)


@pytest.mark.slow
def test_a_study_of_two_students_and_two_teachers_runs_and_reports(tmp_path):
    config = several(seeds=[0, 1], measure__metrics=["entropy", "rank"], compare__metrics=["cka", "agreement"])
    write_study(copy_project(tmp_path), config)
    done = snakemake(tmp_path, config="study.yaml")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    home = tmp_path / "results" / config["name"]
    variants = pd.read_parquet(home / "statistics/variants.parquet").set_index("variant")
    assert variants["baseline"].to_dict()["soft-wide"] == "none-wide" and len(variants) == 3
    cka = pd.read_parquet(home / "tables/cka.parquet")
    assert set(cka.loc[cka["network"] == "from_other", "other"]) == {"other"}
    report = (home / "statistics/report.md").read_text()
    assert "Baselines: none-narrow and none-wide." in " ".join(report.split())
    result = [json.loads((home / f"students/soft-{one}/seed0/result.json").read_text()) for one in ("narrow", "wide")]
    assert result[0]["parameters"] < result[1]["parameters"]


def test_a_term_may_have_a_teacher_of_its_own_and_differs_by_it():
    config = small_config(**{"variants.everything.soft.teacher": "other"})
    config["networks"]["other"] = changed(config["networks"]["cait"], "seed", 5)
    study = load(config)
    arm = study.variants["everything"]
    networks = {term.name: arm.sources[term.teacher].network for term in arm.terms if term.teacher is not None}
    assert networks["soft"] == "other" and set(networks.values()) == {"other", "cait"}
    assert study.teachers == {"cait", "other"}
    graph = graph_of(study)
    assert {source.network for source, _ in graph.outputs} == {"cait", "other"}
    assert len(graph.runs["everything", 0].job.teachers) == 2 and graph.networks["other"].job.teaches
    (soft,) = [term for term in setting_of(graph).terms["everything"] if term.name == "soft"]
    assert soft.options["teacher"] == "other"
    for path, value, said in (
        ("variants.everything.soft.teacher", "otter", "soft.teacher: there is no network 'otter'; did you mean other"),
        ("variants.everything.cross_entropy.teacher", "other", "cross_entropy.teacher: unknown key"),
    ):
        with pytest.raises(StudyError, match=said):
            load(changed(config, path, value))
