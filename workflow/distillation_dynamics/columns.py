"""The columns and files of metrics, as Markdown: `python -m distillation_dynamics.columns [metric ...]`.

A metric or pair metric is documented by its own file. docs/outputs.md holds the output for those of the project.
"""

import sys
from importlib import import_module
from pathlib import Path

from . import extensions
from .errors import nearest
from .files import Column

KINDS = {
    "IMAGE_COLUMNS": "Per image",
    "BLOCK_COLUMNS": "Per block",
    "BIN_COLUMNS": "Per bin",
    "PAIR_COLUMNS": "Per pair of blocks",
    "NETWORK_COLUMNS": "Per pair of networks",
}


def table(columns: dict[str, Column]) -> str:
    """Return a Markdown table of columns with their units and meanings."""
    rows = [f"| {name} | {column.unit} | {column.description} |" for name, column in columns.items()]
    return "\n".join(["| column | unit | meaning |", "|---|---|---|", *rows])


def section(metric: str) -> str:
    """Return the section on a metric (`rank`, `pairs/cka`): columns by kind, tables and files."""
    module = import_module(f"{__package__}.metrics.{metric.replace('/', '.')}")
    parts = [f"{said}:\n\n{table(getattr(module, kind))}" for kind, said in KINDS.items() if hasattr(module, kind)]
    for name, columns in getattr(module, "TABLES", {}).items():
        parts.append(f"Table `{name}.parquet`, after network, seed and epoch:\n\n{table(columns)}")
    if files := getattr(module, "FILES", ()):
        named = ", ".join(f"`{file.replace('{block:02d}', '<bb>')}`" for file in files)
        parts.append(f"Files per checkpoint, for the main image set: {named}.")
    return "\n\n".join([f"### {Path(metric).name}: `metrics/{metric}.py`", *parts]) + "\n"


def sections() -> dict[str, str]:
    """Return the sections on all metrics and pair metrics by name."""
    pairs = {name: section(f"pairs/{name}") for name in extensions.pair_metrics()}
    return {name: section(name) for name in extensions.metrics()} | pairs


if __name__ == "__main__":
    known = sections()
    for name in sys.argv[1:]:
        if name not in known:
            sys.exit(f"error: there is no metric {name}; {nearest(name, known)}")
    print("\n".join(known[name] for name in sys.argv[1:] or known), end="")
