"""What the documentation says of the tables is what the code writes."""

import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from distillation_dynamics import columns, comparison, data, extensions, features, saliency, summary, training_log
from distillation_dynamics.statistics import alignment, shape, variants

METRICS = [import_module(f"distillation_dynamics.metrics.{name}") for name in extensions.metrics()]
# Those that come with the project: a new one is documented by its file alone.
OWN = ("attention", "entropy", "gradient", "magnitude", "rank", "sep", "spectrum", "tokens")
TABLES = {
    "splits": data.SPLIT_COLUMNS,
    "steps": training_log.STEP_COLUMNS,
    "epochs": training_log.EPOCH_COLUMNS,
    "depth": features.DEPTH_KEYS,
    "spectrum": features.SPECTRUM_KEYS,
    "scalars": features.SCALAR_KEYS,
    "saliency": saliency.SALIENCY_COLUMNS,
    "gradient_maps": saliency.GRADIENT_COLUMNS,
    "cka": comparison.CKA_COLUMNS,
    "mismatch": comparison.MISMATCH_COLUMNS,
    "agreement": comparison.AGREEMENT_COLUMNS,
    "runs": summary.RUN_COLUMNS,
    "summary": summary.SUMMARY_COLUMNS,
    "cost": summary.COST_COLUMNS,
    "shape": shape.SHAPE_COLUMNS,
    "minimum": shape.MINIMUM_COLUMNS,
    "variants": variants.VARIANT_COLUMNS,
    "differences": variants.DIFFERENCE_COLUMNS,
    "mcnemar": variants.MCNEMAR_COLUMNS,
    "trajectory": variants.TRAJECTORY_COLUMNS,
    "alignment": alignment.ALIGNMENT_COLUMNS,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_documented_with_its_unit(root, name):
    text = (root / "docs/outputs.md").read_text()
    for column, (unit, description) in TABLES[name].items():
        assert f"| {column} | {unit} | {description} |" in text


def test_no_two_metrics_write_the_same_column():
    names = [name for module in METRICS for kind in extensions.COLUMNS for name in getattr(module, kind, {})]
    assert len(names) == len(set(names)) > 50


@pytest.mark.parametrize("metric", OWN)
def test_the_columns_of_a_metric_stand_there_as_they_are_printed(root, metric):
    assert columns.section(metric) in (root / "docs/outputs.md").read_text()


def test_the_columns_of_every_metric_can_be_printed(root, tmp_path):
    def printed(*names):
        command = [sys.executable, "-m", "distillation_dynamics.columns", *names]
        environment = os.environ | {"PYTHONPATH": str(root / "workflow")}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert printed().stdout == "\n".join(map(columns.section, extensions.metrics()))
    assert printed("rank", "sep").stdout == f"{columns.section('rank')}\n{columns.section('sep')}"
    wrong = printed("rnak")
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: there is no metric rnak; did you mean rank?")


def test_metrics_and_figures_are_named_with_what_to_hold_against_them(root):
    rows = re.findall(r"^\| [^|]+\(`(\w+)`\) \| ([^|]+) \|", (root / "docs/analysis.md").read_text(), re.MULTILINE)
    library = root / "workflow/distillation_dynamics"
    named = [path.stem for path in (library / "metrics").glob("*.py")]
    assert {*OWN} < {metric for metric, _ in rows} <= {*named}
    drawn = {figure for _, figures in rows for figure in re.findall(r"`(\w+)`", figures)}
    assert len(drawn) > 10 and all((library / f"figures/{figure}.py").is_file() for figure in drawn)
