"""What the documentation says of the tables is what the code writes."""

from importlib import import_module

import pytest

from distillation_dynamics import comparison, data, extensions, features, saliency, summary, training_log
from distillation_dynamics.statistics import alignment, shape, variants

METRICS = [import_module(f"distillation_dynamics.metrics.{name}") for name in extensions.metrics()]
KINDS = ("IMAGE_COLUMNS", "BLOCK_COLUMNS", "BIN_COLUMNS")
TABLES = {
    "splits": data.SPLIT_COLUMNS,
    "steps": training_log.STEP_COLUMNS,
    "epochs": training_log.EPOCH_COLUMNS,
    "depth": features.DEPTH_KEYS,
    "spectrum": features.SPECTRUM_KEYS,
    "scalars": features.SCALAR_KEYS,
    "metrics": {name: c for module in METRICS for kind in KINDS for name, c in getattr(module, kind, {}).items()},
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
    names = [name for module in METRICS for kind in KINDS for name in getattr(module, kind, {})]
    assert len(names) == len(set(names)) > 50


def test_every_metric_and_figure_is_named_with_what_to_hold_against_it(root):
    text = (root / "docs/analysis.md").read_text()
    library = root / "workflow/distillation_dynamics"
    measured = [path.stem for path in (library / "metrics").glob("*.py") if "NEEDS = " in path.read_text()]
    drawn = [path.stem for path in (library / "figures").glob("*.py") if "TABLES = " in path.read_text()]
    assert len(measured) > 8 and len(drawn) > 15
    assert [name for name in (*measured, *drawn) if f"`{name}`" not in text] == []
