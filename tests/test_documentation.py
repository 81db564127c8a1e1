"""What the documentation says of the tables is what the code writes."""

import os
import re
import subprocess
import sys
from importlib import import_module

from distillation_dynamics import arms, columns, extensions
from distillation_dynamics.foresight import pairs, ranks
from distillation_dynamics.metrics import tabulated
from distillation_dynamics.stages import compare, data, statistics, summary
from distillation_dynamics.stages import map as placing
from distillation_dynamics.training import log

METRICS = [import_module(f"distillation_dynamics.metrics.{name}") for name in extensions.metrics()]
PAIRS = [import_module(f"distillation_dynamics.metrics.pairs.{name}") for name in extensions.pair_metrics()]
# Those that come with the project: a new one is documented by its file alone.
OWN = (
    *("attention", "collapse", "covariance", "entropy", "features", "gradient", "lens", "linear_probe", "magnitude"),
    *("nearest_entropy", "nearest_probe", "published", "rank", "rows", "saliency", "sep", "spectrum", "tokens"),
)
OWN_PAIRS = "agreement", "cka", "mismatch", "neighbours", "procrustes"
TABLES = {
    "arms": arms.COLUMNS,
    "splits": data.SPLIT_COLUMNS,
    "steps": log.STEP_COLUMNS,
    "epochs": log.EPOCH_COLUMNS,
    "terms": log.TERM_COLUMNS,
    "depth": tabulated.DEPTH_KEYS,
    "spectrum": tabulated.SPECTRUM_KEYS,
    "scalars": tabulated.SCALAR_KEYS,
    "pairs of blocks": compare.PAIR_KEYS,
    "pairs of networks": compare.NETWORK_KEYS,
    "map": placing.COLUMNS,
    "runs": summary.RUN_COLUMNS,
    "summary": summary.SUMMARY_COLUMNS,
    "cost": summary.COST_COLUMNS,
    "pairs of several studies": pairs.PAIR_COLUMNS,
    "foresight": ranks.COLUMNS,
    **statistics.documentation(),
}


def test_every_column_is_documented_with_its_unit(root):
    text = (root / "docs/outputs.md").read_text()
    for name, columns_of_table in TABLES.items():
        for column, (unit, description) in columns_of_table.items():
            assert f"| {column} | {unit} | {description} |" in text, name


def test_no_two_metrics_write_the_same_column():
    names = [name for module in METRICS for kind in extensions.TABLE_OF for name in getattr(module, kind, {})]
    assert len(names) == len(set(names)) > 50
    tables = [table for module in METRICS for table in getattr(module, "TABLES", {})]
    tables += [*extensions.pair_metrics(), *extensions.TABLE_OF.values(), "map"]
    assert len(tables) == len(set(tables)) >= 10


def test_the_columns_of_a_metric_stand_there_as_they_are_printed(root):
    text, sections = (root / "docs/outputs.md").read_text(), columns.sections()
    assert [metric for metric in (*OWN, *OWN_PAIRS) if f"\n{sections[metric]}\n" not in text] == []


def test_a_section_holds_every_column_table_and_file_of_its_metric():
    for module in (*METRICS, *PAIRS):
        said = columns.sections()[module.__name__.rpartition(".")[2]]
        kinds = (*extensions.TABLE_OF, *extensions.PAIR_COLUMNS)
        documented = {name: column for kind in kinds for name, column in getattr(module, kind, {}).items()}
        for table, own in getattr(module, "TABLES", {}).items():
            assert f"`{table}.parquet`" in said
            documented |= own
        for name, column in documented.items():
            assert f"| {name} | {column.unit} | {column.description} |" in said
        for file in getattr(module, "FILES", ()):
            assert file.replace("{block:02d}", "<bb>") in said


def test_the_columns_of_every_metric_can_be_printed(root, tmp_path):
    def printed(*names):
        command = [sys.executable, "-m", "distillation_dynamics.columns", *names]
        environment = os.environ | {"PYTHONPATH": str(root / "workflow")}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    sections = columns.sections()
    assert list(sections) == [*extensions.metrics(), *extensions.pair_metrics()]
    assert printed().stdout == "\n".join(sections.values())
    assert printed("rank", "cka").stdout == f"{sections['rank']}\n{sections['cka']}"
    wrong = printed("rnak")
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: there is no metric rnak; did you mean rank?")


def test_metrics_and_figures_are_named_with_what_to_hold_against_them(root):
    rows = re.findall(r"^\| [^|]+\(`(\w+)`\) \| ([^|]+) \|", (root / "docs/analysis.md").read_text(), re.MULTILINE)
    # Features and rows are what others are computed from.
    told = {*OWN, *OWN_PAIRS, "map"} - {"features", "rows"}
    assert told <= {metric for metric, _ in rows} <= {*extensions.metrics(), *extensions.pair_metrics(), "map"}
    drawn = {figure for _, figures in rows for figure in re.findall(r"`(\w+)`", figures)}
    library = root / "workflow/distillation_dynamics"
    assert len(drawn) > 10 and all((library / f"figures/{figure}.py").is_file() for figure in drawn)
