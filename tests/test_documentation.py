"""What the documentation says of the tables is what the code writes."""

import pytest

from distillation_dynamics import data, features, summary, training_log

TABLES = {
    "splits": data.SPLIT_COLUMNS,
    "steps": training_log.STEP_COLUMNS,
    "epochs": training_log.EPOCH_COLUMNS,
    "depth": features.DEPTH_COLUMNS,
    "spectrum": features.SPECTRUM_COLUMNS,
    "scalars": features.SCALAR_COLUMNS,
    "runs": summary.RUN_COLUMNS,
    "summary": summary.SUMMARY_COLUMNS,
    "cost": summary.COST_COLUMNS,
}


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_documented_with_its_unit(root, name):
    text = (root / "docs/outputs.md").read_text()
    for column, (unit, description) in TABLES[name].items():
        assert f"| {column} | {unit} | {description} |" in text
