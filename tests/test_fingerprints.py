"""What of the library counts for a task: definitions that its stage reaches, by their meaning, and not their words."""

import ast
import json

import pytest
from pydantic import TypeAdapter

from distillation_dynamics import extensions
from distillation_dynamics.jobs import definitions, fingerprints, meaning
from distillation_dynamics.jobs.task import code_of, entries_of
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


def work(value: Given, other_value=None) -> "float":
    """Work."""
    if value > LIMIT:
        raise StudyError(f"{value} is too much; take less than {LIMIT}")
    print("working", value)
    if value < 0:
        raise ValueError("no value")
    total: float = 0.0
    "What follows is checked."
    assert value != 7, f"{value} is no value"
    try:
        half: int
        half = value // 2
    except TypeError as error:
        raise Unfit("not whole:" + str(value), value) from error
    if half == 1:
        raise NoValue("nothing to draw")
    return other.add(value, 1)


Given = Mapping[str, int]
WORDS: dict[str, int] = {"a": 1}


class Log:
    """A log."""

    rows: list

    last: int = 0
    """The last row."""


CAPTION = "A figure."
'''
SAME = {
    "a docstring": ("Of a table.", "Of some table."),
    "a comment": ("# a limit", "# the limit"),
    "the layout": ("value, 1)", "value,\n        1)"),
    "the words of an error": ("is too much; take less", "is more than allowed; take less"),
    "what an error tells": ("than {LIMIT}", "than {LIMIT + 0}"),
    "what is allowed and said beside a type": ('Key("above 0", gt=0)', 'Key("at least 0", ge=0)'),
    "what an option means": ("of the distance", "of distances"),
    "the words of an error of Python": ('"no value"', '"there is no value"'),
    "what is printed": ('"working", value', '"at work"'),
    "what a column says of itself": ('"seconds"', '"minutes"'),
    "a caption": ("A figure.", "Some figure."),
    "the type of a parameter": ("value: Given", "value: int | None"),
    "that a parameter has a type": ("other_value=None", "other_value: int | None = None"),
    "what a function returns, as a type": ('-> "float"', "-> int"),
    "the type of a variable": ("total: float = 0.0", "total = 0.0"),
    "a variable that is declared": ("        half: int\n", ""),
    "the type of a constant": ("WORDS: dict[str, int]", "WORDS: Mapping[str, int]"),
    "the name of a type": ("Mapping[str, int]\nWORDS", "Mapping[str, float]\nWORDS"),
    "the type of an attribute of a class": ("rows: list", "rows: tuple"),
    "the words of an assert": ("is no value", "cannot be"),
    "that an assert has words": (', f"{value} is no value"', ""),
    "the words of an error of one's own": ('"not whole:"', '"no whole number:"'),
    "a text that stands alone": ('"What follows is checked."', '"And now."'),
    "what is said below an attribute": ("The last row.", "The newest row."),
}
OTHER = {
    "a constant": ("LIMIT = 3", "LIMIT = 4"),
    "a condition": ("value > LIMIT", "value >= LIMIT"),
    "an option": ('"type": "number"', '"type": "integer"'),
    "a default": ("= 0.1", "= 0.2"),
    "the kind of an error": ("raise StudyError", "raise ValueError"),
    "what is returned": ("value, 1", "value, 2"),
    "the name of a column": ("    a = Column", "    b = Column"),
    "an error whose words compute something": ('f"{value} is', 'f"{(value := 2)} is'),
    "the name of a parameter": ("other_value=None", "another=None"),
    "the default of a parameter": ("other_value=None", "other_value=1"),
    "an assert": ("assert value != 7", "assert value != 8"),
    "an assert whose words compute something": ('f"{value} is no', 'f"{(value := 2)} is no'),
    "what an error carries beside its words": ("str(value), value)", "str(value), half)"),
    "what a figure shows in its place": ("nothing to draw", "nothing to show"),
    "the name of an attribute": ("rows: list", "lines: list"),
    "the value of an attribute": ("last: int = 0", "last: int = 1"),
    "an error that is no longer raised": ("        raise StudyError", "        StudyError"),
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Write modules, by name and text, of a library; return the code of some entries to it."""
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)
    monkeypatch.setattr(definitions, "known", {})

    def code(*entries, texts=False, **modules):
        for name, text in modules.items():
            path = tmp_path / definitions.PACKAGE / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (path.parent, *path.parents):
                if folder.is_relative_to(tmp_path / definitions.PACKAGE):
                    (folder / "__init__.py").touch()
            path.write_text(text)
        fingerprints.library_at.cache_clear()
        return fingerprints.fingerprint(*entries, texts=texts)

    yield code
    fingerprints.library_at.cache_clear()


@pytest.mark.parametrize("name", SAME)
def test_words_do_not_count(library, name):
    old, new = SAME[name]
    assert old in MODULE
    assert library("module", module=MODULE) == library("module", module=MODULE.replace(old, new))


@pytest.mark.parametrize("name", OTHER)
def test_meaning_counts(library, name):
    old, new = OTHER[name]
    assert old in MODULE
    assert library("module", module=MODULE) != library("module", module=MODULE.replace(old, new))


FIELDS = "@dataclass\nclass Job:\n    size: int\n    names: ClassVar[tuple] = ()\n\n\nText = str | None\n"


def test_types_count_where_code_reads_them(library):
    """Of fields in the rooms whose classes are built from text, and where a dataclass itself looks."""

    def counts(room, old, new):
        assert old in FIELDS
        first = library(f"{room}.jobs", **{f"{room}__jobs": FIELDS})
        return first != library(f"{room}.jobs", **{f"{room}__jobs": FIELDS.replace(old, new)})

    assert counts("spec", "size: int", "size: float") and not counts("training", "size: int", "size: float")
    assert counts("extensions", "size: int", 'size: Annotated[float, Key("of it")]')
    assert counts("study", "Text = str", "Text = int") and not counts("training", "Text = str", "Text = int")
    assert counts("training", "ClassVar[tuple]", "tuple"), "it would be a field"


def test_a_class_that_only_types_name_counts(library):
    stage = "from .shapes import Shape\ndef main(job: Shape, others: 'list[Other]'):\n    return job.area\n"
    shapes = "class Shape:\n    area = 1\nclass Other:\n    area = 2\n"
    first = library("stage:main", stage=stage, shapes=shapes)
    assert first != library("stage:main", shapes=shapes.replace("= 1", "= 3")), "its attributes are used"


def test_what_columns_say_counts_where_it_is_shown(library):
    first = library("module", texts=True, module=MODULE)
    assert first != library("module", module=MODULE)
    assert first != library("module", texts=True, module=MODULE.replace('"seconds"', '"minutes"'))
    assert first == library("module", texts=True, module=MODULE.replace("is too much", "is much"))


def test_what_is_remembered_of_a_module_is_what_is_read(library, monkeypatch):
    first = library("module", module=MODULE)
    said = json.dumps(definitions.known)
    monkeypatch.setattr(definitions, "known", TypeAdapter(definitions.Known).validate_json(said))
    read = []
    real = definitions.parsed
    monkeypatch.setattr(definitions, "parsed", lambda *given: (read.append(given), real(*given))[1])
    assert library("module", module=MODULE) == first and read == []
    assert library("module", module=MODULE + "MORE = 1\n") != first and len(read) == 1


STAGE = """
from . import tools
from .tools import first as mine
from .shapes.round import Circle

SIZE = 2


def main(job):
    return mine(job), helper(job), Circle


def helper(job):
    return tools.second(job)


def unused(job):
    return tools.third(job)
"""
TOOLS = """
import math

FACTOR = 2
OTHER = 3


def first(job):
    return FACTOR * math.sin(job)


def second(job):
    from .late import deep

    return deep(job)


def third(job):
    return OTHER
"""
STAGES = {
    "stage": STAGE, "tools": TOOLS, "late": "def deep(job):\n    return 1\n\ndef flat(job):\n    return 2\n",
    "shapes__round": "from .base import Shape\nclass Circle(Shape):\n    def area(self: 'Unit'):\n        return 3\n"
    "class Unit:\n    size = 1\nclass Square:\n    pass\n",
    "shapes__base": "class Shape:\n    sides = 0\nclass Other:\n    sides = 0\n",
}  # fmt: skip
PACKAGES = """
import numpy as np
import PIL.Image
from scipy import linalg
from matplotlib.figure import Figure
import json
def main(job: Figure):
    return np.mean(json.loads(job))
def second(job):
    import pandas as pd
    return pd.DataFrame(linalg.inv(job)), PIL.Image.new
"""


def test_packages_are_those_that_what_is_reached_computes_with(library):
    """Not those of other definitions, nor what only types name."""
    library("stage:main", stage=PACKAGES, more="from .stage import second\ndef main(job):\n    return second(job)\n")
    assert fingerprints.packages("stage:main") == ("numpy",)
    assert fingerprints.packages("more:main") == ("pandas", "pillow", "scipy")


def test_each_stage_records_the_packages_that_it_computes_with():
    tasks = {str(task): set(task.packages) for task in graph_of(load(smoke_config())).tasks}
    figure, statistics = tasks["figures accuracy"], tasks["statistics"]
    drawing = {"matplotlib", "seaborn"}
    assert figure >= drawing | {"numpy", "pandas", "pyarrow"} and "torch" not in figure
    assert statistics >= {"numpy", "scipy", "pandas"} and statistics.isdisjoint(drawing | {"torch", "timm"})
    spectrum, rank = tasks["measure networks/cait/spectrum"], tasks["measure networks/cait/rank"]
    assert spectrum >= {"torch", "timm", "numpy", "scipy"} and rank >= {"torch", "timm", "numpy"}
    assert "scipy" not in rank
    assert "torch" in tasks["compare students/none/seed0/mismatch"]
    assert "torch" not in tasks["compare students/none/seed0/cka"]


REACHED = {
    "what main calls": ("tools", "math.sin", "math.cos"),
    "what that reads": ("tools", "FACTOR = 2", "FACTOR = 4"),
    "a function called by its module": ("tools", "return deep(job)", "return -deep(job)"),
    "what a function imports": ("late", "return 1", "return 4"),
    "a method of a class": ("shapes__round", "return 3", "return 4"),
    "the class above it": ("shapes__base", "class Shape:\n    sides = 0", "class Shape:\n    sides = 4"),
    "a type that is written as a text": ("shapes__round", "size = 1", "size = 2"),
    "what is done by importing a module": ("tools", "import math\n", "import math\nmath.tau = 6\n"),
    "what is done by a decorator": ("tools", "def third", "@register\ndef third"),
    "what is imported for what it does": ("shapes__base", "class Other", "print.x = 1\nclass Other"),
    "a module that is handed on": ("stage", "SIZE = 2\n", "SIZE = 2\nsave(tools)\n"),
}
UNREACHED = {
    "a function that nobody calls": ("stage", "return tools.third(job)", "return 5"),
    "what only that calls": ("tools", "return OTHER", "return OTHER + 1"),
    "what only that reads": ("tools", "OTHER = 3", "OTHER = 4"),
    "an assignment": ("stage", "SIZE = 2", "SIZE = 3"),
    "a new function": ("late", "def flat", "def new(job):\n    return 0\n\ndef flat"),
    "a class beside": ("shapes__round", "class Square:\n    pass", "class Square:\n    sides = 4"),
    "what is done as a program": ("stage", "SIZE = 2\n", "SIZE = 2\nif __name__ == '__main__':\n    main(1)\n"),
}


@pytest.mark.parametrize("name", REACHED | UNREACHED)
def test_what_a_stage_reaches_counts_and_what_it_does_not_reach_does_not(library, name):
    module, old, new = (REACHED | UNREACHED)[name]
    before = library("stage:main", **STAGES)
    after = library("stage:main", **{module: STAGES[module].replace(old, new)})
    assert old in STAGES[module] and (before != after) == (name in REACHED)


def test_all_of_a_module_counts_that_is_handed_on_or_looks_into_itself(library):
    for old, new in (("return mine(job), ", "return tools, "), ("return mine(job), ", "return globals(), ")):
        stage, module = STAGE.replace(old, new), "tools" if "tools" in new else "stage"
        before = library("stage:main", **STAGES | {"stage": stage})
        changed = {"tools": TOOLS, "stage": stage}[module].replace("OTHER = 3", "OTHER = 4").replace("= 2", "= 5")
        assert before != library("stage:main", **{module: changed})


class Reworded(ast.NodeTransformer):
    """Other words wherever words are for a person: docstrings, captions, columns, errors, and what is printed."""

    def visit(self, node):
        node = self.generic_visit(node)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in ("Column", "StudyError", "print"):
            node.args = [ast.Constant("Other words.") for _ in node.args]
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "CAPTION":
            node.value = ast.Constant("Another caption.")
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("What it does."))
        return node


class Recounted(ast.NodeTransformer):
    """Another number: the first that is no word for a person, of a statement at the top of a module."""

    def __init__(self):
        self.done = False

    def visit(self, node):
        words = isinstance(node, ast.Call) and getattr(node.func, "id", "") in meaning.WORDS | meaning.TEXTS
        words |= isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "Annotated"
        if self.done or words or isinstance(node, ast.Raise):
            return node
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            self.done = True
            return ast.Constant(node.value + 1)
        return self.generic_visit(node)


def rewritten(monkeypatch, change):
    """Have every module of the library read as `change` leaves its tree."""
    monkeypatch.setattr(definitions, "known", {})
    monkeypatch.setattr(definitions, "parsed", lambda content, path: change(ast.parse(content), path))
    fingerprints.library_at.cache_clear()


@pytest.fixture
def entries(monkeypatch):
    """What is asked of the library's code for the tasks of a study: stages, with the modules that they load by name."""
    found = set()
    monkeypatch.setattr(
        "distillation_dynamics.jobs.graph.code_of", lambda *entry: (found.add(entry), code_of(*entry))[1]
    )
    graph = graph_of(load(smoke_config()))
    assert {stage for stage, *_ in found} == {task.stage for task in graph.tasks}
    yield sorted(found)
    fingerprints.library_at.cache_clear()


def test_other_words_anywhere_in_the_library_plan_nothing_but_what_shows_them(entries, monkeypatch):
    before = {entry: code_of(*entry) for entry in entries}
    rewritten(monkeypatch, lambda tree, path: Reworded().visit(tree))
    changed = {entry for entry in entries if code_of(*entry) != before[entry]}
    # Of columns: tables of their own, whose texts are shown in documents, and those that tables of a study get.
    assert {stage for stage, *_ in changed} == {"tables", "summary", "statistics", "report", "page", "paper"}


def test_titles_and_what_decides_are_of_report_and_page_alone():
    library, naming = fingerprints.library_at(fingerprints.ROOT), set()
    for task in graph_of(load(smoke_config())).tasks:
        reached = set().union(*map(library.reached, entries_of(task.stage, *task.by_name)))
        naming |= {
            task.stage for module, name in reached if module == "questions.gain" and name in ("TITLE", "DECIDES")
        }
    assert naming == {"report", "page"}


def test_another_number_in_anything_that_is_reached_counts(entries, monkeypatch):
    library = fingerprints.library_at(fingerprints.ROOT)
    stages = {f"stages.{name}:main" for name in ("cohorts", "measure", "compare", "statistics")}
    reached = set().union(*map(library.reached, stages))
    before = {(name, one): library.module(name).definitions[one].meaning for name, one in reached}
    numbered = set()

    def change(tree, path):
        module = ".".join(path.relative_to(library.root).with_suffix("").parts)
        for place, statement in enumerate(tree.body):
            recounted = Recounted()
            names = [] if isinstance(statement, ast.Import | ast.ImportFrom) else definitions._names_of(statement)
            tree.body[place] = recounted.visit(statement)
            numbered.update((module, name) for name in names if recounted.done)
        return tree

    rewritten(monkeypatch, change)
    library = fingerprints.library_at(fingerprints.ROOT)
    same = {pair for pair, meaning in before.items() if library.module(pair[0]).definitions[pair[1]].meaning == meaning}
    assert {
        ("data.balanced", "balanced"),
        ("training.loop", "train"),
        ("training.member", "Member"),
    } <= numbered & reached
    assert not same & numbered


MEASURES = {
    "networks.gradients", "networks.lens", "networks.observer", "networks.defaults",
    "networks.inspection", "data.image_set", "spec.measure", "spec.compare", "spec.tables",
}  # fmt: skip
PLANS = {
    "errors",
    "gpus",
    "syntax",
    "jobs.definitions",
    "jobs.fingerprints",
    "jobs.model_info",
    "extensions",
    "extensions.file",
    "study.load",
    "networks.acceptance",
    "networks.protocol",
    "spec.machine",
    "look",
}


def modules_of(*modules):
    return {entry.partition(":")[0] for entry in fingerprints.fingerprint(*modules)}


def test_stages_that_train_depend_on_no_other_stage_and_nothing_that_only_plans():
    code = modules_of("stages.cohorts", "objectives.soft")
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
    root = fingerprints.ROOT / definitions.PACKAGE
    modules = (path.relative_to(root).with_suffix("").parts for path in root.rglob("*.py"))
    known = {".".join(parts).removesuffix(".__init__") for parts in modules}
    assert known >= MEASURES | PLANS, "what is looked for is there"


# Metrics that compute with functions of others, and so change with them.
WITH_OTHERS = {"published": {"entropy", "magnitude", "spectrum"}}


def test_each_metric_depends_on_its_own_file_and_on_those_whose_functions_it_takes():
    metrics, pairs = extensions.metrics(), extensions.pair_metrics()
    for name in metrics:
        code = modules_of("stages.measure", f"metrics.{name}")
        assert {one for one in metrics if f"metrics.{one}" in code} == {name} | WITH_OTHERS.get(name, set())
    for name in pairs:
        code = modules_of("stages.compare", f"metrics.pairs.{name}")
        assert {one for one in pairs if f"metrics.pairs.{one}" in code} == {name}
        assert not [module for module in code if module.startswith(("networks", "training", "data"))]
