"""An objective, a metric or a figure is one file; typos in it are reported before any job runs."""

import shutil
import sys

import pytest

from distillation_dynamics import extensions
from distillation_dynamics.errors import EXTENSIONS, StudyError
from distillation_dynamics.jobs import gathered
from distillation_dynamics.jobs.gathered import known_tables, tables_of_stages
from distillation_dynamics.statistics.thresholds import FEWEST_SEEDS
from distillation_dynamics.study import load as loading
from helpers import graph_of, load, small_config, smoke_config

OBJECTIVE = """
OPTIONS = {"power": {"type": "number", "minimum": 0, "default": 2}}


class Loss:
    def forward(self, student_logits, teacher_logits): ...
"""
ARCHITECTURE = """
from torch import nn
REQUIRES = ("plain",)
OPTIONS = {"width": {"type": "integer"}, "deep": {"type": "integer", "default": 1}}


def modify(make, width, *, deep=1): ...
"""
METRIC = """
REQUIRES: tuple[str, ...] = ("features",)
IMAGE_COLUMNS = {"mine": None}


class Metric: ...
"""
PAIR = """
REQUIRES = ("pooled", "grams")
NETWORK_COLUMNS = {"mine": None}


def compare(first, second): ...
"""
READER = """
PACKED = False


def find(given, key): ...
def contents(paths, key): ...
def count(paths, classes, key): ...
class Source: ...
"""
FIGURE = """
TABLES = ("runs", "depth")
METRICS = ["rank"]
REQUIRES = ("networks",)
CAPTION = "Ranks ({images})."


def draw(tables, style): ...
"""
QUESTION = """
TITLE = "Mine?"
PLACE = 35
READS = ("depth", "runs")
TABLES = {"mine": None}


def tables(evidence): ...
"""
WRONG = {
    ("objectives", OBJECTIVE): [
        ("OPTIONS", "OPTION", r"OPTIONS: is not given; did you mean OPTION\? see the other files of .*objectives"),
        ("teacher_logits", "teacher_logit", "forward: 'teacher_logit' is not valid; did you mean teacher_logits"),
        ("teacher_logits", "teacher_logits=None", "forward: must name its parameters, each without a default"),
        ("student_logits", "labels", "forward: takes nothing of the student"),
        ("student_logits", "pair, student_logits", "forward: takes pair, but nothing of a block; remove it"),
        ("forward", "froward", "there is no method forward of Loss"),
        ('"number"', '"numbr"', "OPTIONS.power.type: 'numbr' is not valid; did you mean number"),
        ("{", "[] and {", "OPTIONS: must be written as a plain value"),
        ('{"power": {"type": "number", "minimum": 0, "default": 2}}', "[3]", "OPTIONS: a list is given, but a mapping"),
        ("power", "weight", "OPTIONS: weight is an option of every term"),
        ("Loss", "Los", "there is no class Loss; did you mean Los"),
        ("class Loss:", "class Loss", r", line 5: not valid Python \(.+\)"),
    ],
    ("networks/architectures", ARCHITECTURE): [
        ('"plain"', '"plan"', "REQUIRES: 'plan' is not valid; did you mean plain"),
        ('"integer"}', '"whole"}', "OPTIONS.width.type: 'whole' is not valid"),
        ('"width"', '"with"', r"OPTIONS: 'with' is not valid; did you mean width\?"),
        (', "deep": {"type": "integer", "default": 1}', "", "modify: 'deep' is not valid; allowed: width"),
        ("modify", "modfy", r"there is no function modify; did you mean modfy\?"),
        ("make, width, *, deep=1", "*make", "modify: must name its parameters, and have one"),
        ("from torch import nn", "from ..blocks import chosen", "modify: the file imports from the library, but must"),
    ],
    ("metrics", METRIC): [
        ('"features"', '"feature"', "REQUIRES: 'feature' is not valid; did you mean features"),
        ('("features",)', '"features"', "REQUIRES: must be a tuple of names, and not 'features'"),
        ('REQUIRES: tuple[str, ...] = ("features",)', "", "REQUIRES: is not given"),
        ("IMAGE_COLUMNS", "IMAGE_COLUMN", "none of IMAGE_COLUMNS, BLOCK_COLUMNS, BIN_COLUMNS, TABLES, FILES is given"),
        (
            "IMAGE_COLUMNS =",
            'OPTIONS = ("entropy_bin",)\nIMAGE_COLUMNS =',
            "OPTIONS: 'entropy_bin' is not valid; did",
        ),
        ("IMAGE_COLUMNS =", 'REFERENCE = "range"\nIMAGE_COLUMNS =', "REFERENCE: 'range' is not valid"),
        (
            "IMAGE_COLUMNS =",
            'IMAGES = "compare"\nIMAGE_COLUMNS =',
            "IMAGES: columns of scalars, depth are of the images",
        ),
        ("IMAGE_COLUMNS =", 'IMAGES = "all"\nIMAGE_COLUMNS =', "IMAGES: 'all' is not valid"),
        (
            "IMAGE_COLUMNS =",
            "TABLES = dict(a=1)\nIMAGE_COLUMNS =",
            "TABLES: must be a dictionary with its keys written",
        ),
        ("Metric", "Metrics", "there is no class Metric; did you mean Metrics"),
        ("mine", "\x00", ": not valid Python \\(.*null bytes"),
    ],
    ("metrics/pairs", PAIR): [
        ("grams", "gram", "REQUIRES: 'gram' is not valid; did you mean grams"),
        ("compare", "compares", "there is no function compare; did you mean compares"),
        ("NETWORK_COLUMNS", "NETWORK_COLUMN", "none of PAIR_COLUMNS, NETWORK_COLUMNS is given"),
    ],
    ("data/sources", READER): [
        ("PACKED", "PACK", "PACKED: is not given; did you mean PACK"),
        ("False", "0", "PACKED: must be True or False, and not 0"),
        ("find", "fnid", "there is no function find; did you mean fnid"),
        ("contents", "content", "there is no function contents; did you mean content"),
        ("count", "cuont", "there is no function count; did you mean cuont"),
        ("Source", "Sources", "there is no class Source; did you mean Sources"),
    ],
    ("figures", FIGURE): [
        ("depth", "depths", "TABLES: 'depths' is not valid; did you mean depth"),
        ("networks", "network", "REQUIRES: 'network' is not valid; did you mean networks"),
        ('"rank"', '"ranks"', "METRICS: 'ranks' is not valid; did you mean rank"),
        ("{images}", "{image}", "CAPTION: 'image' is not valid; did you mean images"),
        ("{images}", "{images", "CAPTION: must be a text, with names in braces"),
        ('"Ranks ({images})."', "3", "CAPTION: must be a text, with names in braces, and not 3"),
        ("draw", "drwa", "there is no function draw; did you mean drwa"),
    ],
    ("questions", QUESTION): [
        ('"Mine?"', "3", "TITLE: must be a text, and not 3"),
        ("35", '"first"', "PLACE: must be a whole number, and not 'first'"),
        ("depth", "depths", "READS: 'depths' is not valid; did you mean depth"),
        ("READS =", 'REQUIRES = ("student",)\nREADS =', "REQUIRES: 'student' is not valid; did you mean students"),
        ("READS =", 'SOURCES = ("mime",)\nREADS =', "SOURCES: 'mime' is not valid; did you mean mine"),
        ("READS =", 'FIGURES = ("rank",)\nREADS =', "FIGURES: 'rank' is not valid"),
        ("tables(", "table(", "there is no function tables; did you mean table"),
    ],
}
CASES = [(folder, text.replace(old, new, 1), said) for (folder, text), list in WRONG.items() for old, new, said in list]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A copy of the folders of extensions, in which they are looked for."""
    for folder, _ in WRONG:
        shutil.copytree(
            *(extensions.ROOT / folder, tmp_path / folder),
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    monkeypatch.setattr(extensions, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Folders of extensions that hold one metric, and nothing else."""
    for folder, _ in WRONG:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "metrics/rank.py").write_text(METRIC)
    monkeypatch.setattr(extensions, "ROOT", tmp_path)
    return tmp_path


def found():
    """The names of all extensions that there are."""
    return {
        "data/sources": extensions.readers(),
        "objectives": extensions.objectives(),
        "networks/architectures": extensions.architectures(),
        "metrics": extensions.metrics(),
        "metrics/pairs": extensions.pair_metrics(),
        "figures": extensions.figures(known_tables()),
        "questions": extensions.questions(tables_of_stages()),
    }


def write(folder, kind, text):
    """Write an extension called mine."""
    path = folder / kind / ("mine/__init__.py" if kind == "questions" else "mine.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    if kind == "questions":
        (path.parent / "answer.py").write_text("def facts(evidence): ...")
        (path.parent / "answer.md.j2").write_text("Mine.")


@pytest.mark.parametrize("folder, text", list(WRONG), ids=lambda value: value if len(value) < 20 else "")
def test_one_file_is_all_that_an_extension_takes(library, folder, text):
    before = found()
    write(library, folder, text)
    (library / folder / "_shared_by_mine.py").write_text("of no kind = at all")
    after = found()
    assert after.keys() == before.keys() and after.pop(folder).keys() == {*before.pop(folder), "mine"}
    assert after == before


@pytest.mark.parametrize("folder, text, said", CASES, ids=[f"{folder}-{said}" for folder, _, said in CASES])
def test_what_is_misspelt_in_an_extension_is_one_sentence_with_file_and_name(folders, folder, text, said):
    write(folders, folder, text)
    with pytest.raises(StudyError, match=rf"{folder}/mine(/__init__)?.py(: )?{said}") as error:
        found()
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("answer.py", None, "answer.py: does not exist; see the other folders of .*questions"),
        ("answer.md.j2", None, "answer.md.j2: does not exist"),
        ("answer.py", "def fact(evidence): ...", "answer.py: there is no function facts; did you mean fact"),
        ("panel.py", "def panel(data): ...", "panel.py: there is no function panels; did you mean panel"),
    ],
)
def test_a_question_without_words_or_what_they_are_told_is_said_to_be(folders, name, text, said):
    write(folders, "questions", QUESTION)
    (folders / "questions/mine" / name).unlink(missing_ok=True)
    if text:
        (folders / "questions/mine" / name).write_text(text)
    with pytest.raises(StudyError, match=said):
        found()


def test_two_questions_cannot_have_one_table(library):
    write(library, "questions", QUESTION.replace('"mine"', '"claims"'))
    with pytest.raises(StudyError, match="TABLES: claims is a table of the question mine; choose another name"):
        found()


def test_other_words_of_an_answer_plan_the_report_and_the_page_that_shows_it_alone(library, monkeypatch):
    monkeypatch.setattr(gathered, "LIBRARY", library)
    study = load(small_config())
    before = {str(task): task.key for task in graph_of(study).tasks}
    template = library / "questions/dose/answer.md.j2"
    template.write_text(template.read_text() + "More.")
    after = graph_of(study)
    assert [task for task in after.tasks if before[str(task)] != task.key] == [after.report, after.page]


def test_what_decides_on_variants_says_how_many_seeds_a_test_takes():
    assert f"over at least {FEWEST_SEEDS} seeds" in extensions.questions()["variants"].decides


def test_questions_stand_in_their_order(library):
    write(library, "questions", QUESTION)
    order = list(extensions.questions())
    assert order[order.index("shape") :][:3] == ["shape", "mine", "networks"]


def test_a_study_knows_the_options_of_an_objective_and_the_metrics_that_there_are(library):
    (library / "objectives/mine.py").write_text(OBJECTIVE)
    (library / "metrics/mine.py").write_text(METRIC)
    (library / "figures/mine.py").write_text(FIGURE)
    config = small_config()
    config["variants"]["mine"] = {"mine": {"weight": 1}}
    config["measure"]["metrics"] = ["mine"]
    loaded = load(config)
    (term,) = loaded.variants["mine"].terms
    assert (term.takes, term.options) == (("student_logits", "teacher_logits"), {"power": 2})
    assert loaded.measure.metrics == ("mine",)
    config["variants"]["mine"]["mine"]["power"] = -1
    with pytest.raises(StudyError, match=r"variants\.mine\.mine\.power: -1 is less than the minimum of 0"):
        load(config)


def test_a_figure_is_drawn_where_its_metrics_are_measured(monkeypatch, library):
    (library / "figures/mine.py").write_text(FIGURE)
    config = smoke_config()
    fingerprints = "distillation_dynamics.jobs.graph.code_of"
    monkeypatch.setattr(fingerprints, lambda stage, *names: (stage, *names))
    config["measure"]["metrics"] = ["magnitude"]
    assert "mine" not in graph_of(load(config)).figures
    config["measure"]["metrics"] = ["rank"]
    assert graph_of(load(config)).figures["mine"].writes[1].endswith("/figures/mine.png")
    del config["networks"]["resnet"]
    assert "mine" not in graph_of(load(config)).figures, "it asks for several networks"


def test_a_metric_that_fills_no_shared_table_is_measured_on_the_main_image_set_alone(folders):
    (folders / "metrics/mine.py").write_text(METRIC)
    assert not found()["metrics"]["mine"].main_only
    (folders / "metrics/mine.py").write_text('IMAGES = "compare"\n' + METRIC.replace("IMAGE_COLUMNS", "TABLES"))
    assert found()["metrics"]["mine"].main_only


def test_an_objective_cannot_be_called_as_a_key_of_a_variant(library):
    (library / "objectives/teacher.py").write_text(OBJECTIVE)
    with pytest.raises(StudyError, match=r"objectives/teacher\.py: teacher is a key of every variant; choose another"):
        load(small_config())


def test_a_misspelt_extension_is_said_when_a_study_is_planned(library):
    (library / "metrics/mine.py").write_text(METRIC.replace("features", "feature"))
    with pytest.raises(StudyError, match=r"metrics/mine\.py: REQUIRES"):
        loading.load(small_config(), None)
    (library / "metrics/mine.py").unlink()
    (library / "figures/mine.py").write_text(FIGURE.replace("TABLES", "TABLE"))
    with pytest.raises(StudyError, match=r"figures/mine\.py: TABLES"):
        graph_of(load(small_config()))


def test_reading_extensions_imports_none_of_them(folders):
    (folders / "figures/mine.py").write_text(FIGURE + '\nraise RuntimeError("was run")\n')
    assert "mine" in found()["figures"] and "mine" not in sys.modules


def test_contributing_names_all_that_an_objective_and_a_metric_may_ask_for(root):
    text = (root / "CONTRIBUTING.md").read_text()
    objective, metric = text.partition("## An objective\n")[2].split("## A metric\n")
    names = {name.partition("_")[2] for name in (*extensions.OF_NETWORK, *extensions.OF_BLOCK)}
    assert all(f"`{name}`" in objective for name in (*extensions.OF_BATCH, *names))
    metric = metric.partition("## A metric of pairs")[0]
    assert all(f"`{name}`" in metric for name in (*extensions.METRIC_REQUIRES, *extensions.TABLE_OF, "TABLES"))


def test_errors_know_every_folder_of_extensions(monkeypatch):
    """They cannot ask: what says how errors are worded is below all else."""
    asked = []
    files = extensions._files
    monkeypatch.setattr(extensions, "_files", lambda folder, *more: asked.append(folder) or files(folder, *more))
    extensions.readers(), extensions.objectives(), extensions.targets(), extensions.architectures()
    extensions.metrics(), extensions.pair_metrics(), extensions.figures(known_tables()), extensions.questions()
    assert {folder.removesuffix("/pairs") for folder in asked} | {"page/panels"} == {*EXTENSIONS}
