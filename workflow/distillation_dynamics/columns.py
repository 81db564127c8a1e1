"""The columns that metrics fill, as Markdown: `python -m distillation_dynamics.columns [metric ...]`; left out: all.

So a metric is documented by its own file. docs/outputs.md holds what this prints of the project's own metrics.
"""

import sys
from importlib import import_module

from . import extensions
from .errors import nearest
from .files import Column

KINDS = {"IMAGE_COLUMNS": "Of images", "BLOCK_COLUMNS": "Of blocks", "BIN_COLUMNS": "Of bins"}


def table(columns: dict[str, Column]) -> str:
    """Return a Markdown table of columns with their units and meanings."""
    rows = [f"| {name} | {column.unit} | {column.description} |" for name, column in columns.items()]
    return "\n".join(["| column | unit | meaning |", "|---|---|---|", *rows])


def section(metric: str) -> str:
    """Return the section on a metric: its columns of images, of blocks and of bins."""
    module = import_module(f"{__package__}.metrics.{metric}")
    parts = [f"{said}:\n\n{table(getattr(module, kind))}" for kind, said in KINDS.items() if hasattr(module, kind)]
    return "\n\n".join([f"### {metric}: `metrics/{metric}.py`", *parts]) + "\n"


if __name__ == "__main__":
    known = extensions.metrics()
    for name in sys.argv[1:]:
        if name not in known:
            sys.exit(f"error: there is no metric {name}; {nearest(name, known)}")
    print("\n".join(map(section, sys.argv[1:] or known)), end="")
