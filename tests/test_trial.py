"""A metric that fails, or returns what its file does not say, is found before anything runs, in one sentence."""

import re

import pytest
import yaml

from distillation_dynamics import errors, extensions, trial
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import tried
from distillation_dynamics.spec.measure import Settings
from helpers import copy_project, extension, load, small_config, snakemake

MINE = """from distillation_dynamics.files import Column
from distillation_dynamics.metrics.accumulator import Accumulator
REQUIRES = ("features",)
IMAGE_COLUMNS = {"peak": Column("activation units", "largest value")}
class Metric(Accumulator):
    def of_block(self, block, index):
        return {"peak": block.flatten(1).amax(dim=1)}
"""
OF_BLOCK = '{"peak": block.flatten(1).amax(dim=1)}'
COMPUTED = "        return {OF_BLOCK}\n    def compute(self):\n        return ".replace("{OF_BLOCK}", OF_BLOCK)
WRONG = {
    # What is in the place of what of_block returns -> what is said.
    "it raises": ("1 / 0", r"line 7: ZeroDivisionError: division by zero"),
    "nothing": ("None", r"line 6: of_block returned None; wanted is a mapping of "),
    "texts": (
        '{"peak": ["a"] * len(block)}',
        r"line 6: of_block returned \['a', 'a'\] as peak; wanted is numbers of the",
    ),
    "a number": ('{"peak": 3.0}', r"line 6: of_block returned 3.0 as peak; wanted is numbers of the images, \[2\]"),
    "too many": (
        '{"peak": block.flatten(1)[:, :3]}',
        r"of_block returned Tensor torch.float32 \[2, 3\] as peak; wanted is numbers of the images, \[2\]",
    ),
    "ragged": ('{"peak": [[1], [1, 2]]}', r"of_block returned \[\[1\], \[1, 2\]\] as peak; wanted is"),
    "another column": (
        '{"peek": block.mean(dim=(1, 2, 3))}',
        r"of_block returned peek, which its file does not document and nothing of",
    ),
}
OF_COMPUTE = {
    "nothing": ("None", r"line 8: compute returned None; wanted is a mapping of peak"),
    "an array": (
        "__import__('numpy').zeros(3)",
        r"compute returned ndarray float64 \[3\]; wanted is a mapping of peak",
    ),
    "a column too many": (
        '{"peak": [[1, 2]] * 3, "more": [1] * 3}',
        r"line 8: compute returned more, which its file does not document$",
    ),
    "a block too few": (
        '{"peak": [[1, 2]] * 2}',
        r"returned \[\[1, 2\], \[1, 2\]\] as peak; wanted is one entry",
    ),
    "an image too few": (
        '{"peak": [[1]] * 3}',
        r"compute returned \[1\] as peak; wanted is a number for each",
    ),
    "a text": ('{"peak": "abc"}', r"compute returned 'abc' as peak; wanted is one entry a block, 3 here"),
    "texts": (
        '{"peak": [["a", "b"]] * 3}',
        r"compute returned \['a', 'b'\] as peak; wanted is a number for each",
    ),
    "a missing key": ('{}["nc1"]', r"line 9: KeyError: 'nc1'"),
}
ROWS = """from distillation_dynamics.files import Column
from distillation_dynamics.metrics.accumulator import Accumulator
REQUIRES = ("features",)
TABLES = {"peaks": {"block": Column("", "block"), "peak": Column("", "largest value")}}
class Metric(Accumulator):
    def update(self, outputs): ...
    def rows(self):
        return """
OF_ROWS = {
    "nothing": ("None", r"line 7: rows returned None for peaks; wanted is a list of rows by table"),
    "another table": ('{"peak": []}', r"rows returned None for peaks; wanted is a list of rows by table"),
    "another column": ('{"peaks": [{"block": 1}]}', r"rows returned nothing of peak, which its file documents"),
    "no row": ('{"peaks": [3]}', r"rows returned 3; wanted is a mapping of block, peak"),
    "it raises": ("self.no_such", r"line 8: AttributeError: 'Metric' object has no attribute 'no_such'"),
}
PAIR = """from distillation_dynamics.files import Column
REQUIRES = ("pooled",)
NETWORK_COLUMNS = {"near": Column("", "how near")}
def compare(first, second):
    return """
OF_PAIR = {
    "it raises": ("{}['near']", r"line 5: KeyError: 'near'"),
    "nothing": ("None", r"line 4: compare returned None; wanted is a mapping of near"),
    "another column": (
        '{"far": 1}',
        r"compare returned far, which its file does not document and nothing of near",
    ),
    "a text": ('{"near": "yes"}', r"compare returned 'yes' as near; wanted is a number"),
    "many": ('{"near": [1, 2]}', r"compare returned \[1, 2\] as near; wanted is a number"),
}
TAKEN = {
    "a key of the table": MINE.replace('"peak"', '"block"'),
    "a column of arms": MINE.replace('"peak"', '"variant"'),
    "an image's": MINE.replace('"peak"', '"label"'),
    "a key of its own table": ROWS.replace('"block"', '"network"') + '{"peaks": [{"network": 1, "peak": 1}]}\n',
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Put a metric into the library, as far as this process sees it; return what is found wrong with it."""

    def put(text, kind="metrics"):
        monkeypatch.setattr(errors, "LIBRARY", str(tmp_path))
        extension(monkeypatch, tmp_path, kind, text)
        found = trial.tried({"mine": {}} if kind == "metrics" else {}, [] if kind == "metrics" else ["mine"])
        return found["faults"].get("mine")

    return put


def test_a_metric_that_is_right_has_no_fault(mine):
    assert mine(MINE) is None


@pytest.mark.parametrize("name", WRONG)
def test_what_a_metric_says_of_a_block_is_held_against_its_columns(mine, name):
    said = mine(MINE.replace(OF_BLOCK, WRONG[name][0]))
    assert re.search(WRONG[name][1], said) and "metrics/mine.py, line" in said and "\n" not in said


@pytest.mark.parametrize("name", OF_COMPUTE)
def test_what_a_metric_computes_is_held_against_its_columns(mine, name):
    said = mine(MINE.replace(f"        return {OF_BLOCK}\n", f"{COMPUTED}{OF_COMPUTE[name][0]}\n"))
    assert re.search(OF_COMPUTE[name][1], said) and "metrics/mine.py, line" in said and "\n" not in said


@pytest.mark.parametrize("name", OF_ROWS)
def test_the_rows_of_a_metric_are_held_against_its_tables(mine, name):
    said = mine(f"{ROWS}{OF_ROWS[name][0]}\n")
    assert re.search(OF_ROWS[name][1], said) and "metrics/mine.py, line" in said and "\n" not in said


@pytest.mark.parametrize("name", OF_PAIR)
def test_what_a_pair_metric_returns_is_held_against_its_columns(mine, name):
    said = mine(f"{PAIR}{OF_PAIR[name][0]}\n", "metrics/pairs")
    assert re.search(OF_PAIR[name][1], said) and "metrics/pairs/mine.py, line" in said and "\n" not in said


@pytest.mark.parametrize("name", TAKEN)
def test_a_column_of_every_metrics_table_is_refused(mine, name):
    assert re.search(r"metrics/mine\.py: \w+ is a column of every metric's table", mine(TAKEN[name]))


def test_files_that_a_metric_names_and_does_not_write_are_said(mine):
    said = mine(MINE.replace("class Metric", 'FILES = ("peaks.npy",)\nclass Metric'))
    assert said.endswith("metrics/mine.py: FILES: its Metric did not write peaks.npy")


def test_a_module_that_cannot_be_imported_is_said():
    said = trial.tried({"no_such": {}}, [])["faults"]["no_such"]
    assert "No module named" in said


def test_the_metrics_of_the_project_do_on_two_images_what_their_files_say():
    known = extensions.metrics()
    settings = {name: {one: getattr(Settings(), one) for one in metric.options} for name, metric in known.items()}
    found = trial.tried(settings, list(extensions.pair_metrics()))
    assert found["faults"] == {} and found["tables"].keys() == {*known, *extensions.pair_metrics()}
    assert found["tables"]["entropy"]["depth"]["entropy_bins"] == ["", "equal bins of each entropy"]
    assert found["own"]["cka"] == {"cka": ["cka_images", "cka_tokens", "tokens_per_image"]}


@pytest.fixture
def asked(monkeypatch):
    """Metrics that were asked for, in the place of the process that tries them."""
    names = []

    def answer(metrics, pairs):
        names.append([*metrics, *pairs])
        tables = {name: {"depth": {name: ["", f"what {name} is"]}} for name in (*metrics, *pairs)}
        return {"faults": {}, "tables": tables, "own": {name: {"depth": [name]} for name in tables}}

    monkeypatch.setattr(tried, "_tried", answer)
    return names


def test_metrics_are_tried_once_and_again_where_what_is_known_is_damaged(asked, tmp_path):
    study = load(small_config())
    first = tried.columns(study, tmp_path)
    assert asked == [["entropy", "magnitude", "spectrum", "rows", "cka"]]
    assert first["depth"]["magnitude"] == ["", "what magnitude is"]
    assert tried.columns(study, tmp_path) == first and len(asked) == 1
    path = next(path for path in sorted(tmp_path.iterdir()) if "magnitude is" in path.read_text())
    path.write_text("{}")
    assert tried.columns(study, tmp_path) == first and asked[1:] == [["magnitude"]]


def test_two_metrics_with_one_column_are_refused(asked, tmp_path, monkeypatch):
    real = tried._tried

    def alike(metrics, pairs):
        return real(metrics, pairs) | {"own": {name: {"depth": ["one"]} for name in (*metrics, *pairs)}}

    monkeypatch.setattr(tried, "_tried", alike)
    with pytest.raises(
        StudyError, match=r"metrics/magnitude\.py: one is a column of metrics/entropy\.py; choose anoth"
    ):
        tried.columns(load(small_config()), tmp_path)


def test_each_metric_that_fails_is_one_line(tmp_path, monkeypatch):
    faults = {"entropy": "metrics/entropy.py, line 3: a", "cka": "metrics/pairs/cka.py, line 4: b"}
    known = {"tables": {}, "own": {}}
    for name in ("magnitude", "spectrum", "rows"):
        known["tables"][name] = known["own"][name] = {}
    monkeypatch.setattr(tried, "_tried", lambda *given: {"faults": faults} | known)
    with pytest.raises(StudyError) as error:
        tried.columns(load(small_config()), tmp_path)
    assert str(error.value).splitlines() == list(faults.values())
    assert len(list(tmp_path.iterdir())) == 3, "what is right is not tried again"


def test_a_study_with_a_metric_that_fails_is_refused_before_anything_runs(tmp_path):
    copy_project(tmp_path)
    path = tmp_path / "workflow/distillation_dynamics/metrics/mine.py"
    path.write_text(MINE.replace(OF_BLOCK, '{"nc1": {}["nc1"]}'))
    config = small_config()
    config["measure"]["metrics"] = ["mine", "magnitude"]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(tmp_path, "-n", config="study.yaml")
    said = done.stdout + done.stderr
    assert done.returncode and "workflow/distillation_dynamics/metrics/mine.py, line 7: KeyError: 'nc1'" in said
    assert "Traceback" not in said and said.count("nc1") == 1 and not list((tmp_path / "results").glob("smoke/*"))
    path.write_text(MINE)
    assert snakemake(tmp_path, "-n", config="study.yaml").returncode == 0
