"""Tables as Markdown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .files import Column

if TYPE_CHECKING:
    import pandas as pd


def markdown(table: "pd.DataFrame", documentation: Mapping[str, Column]) -> str:
    """Return a table as Markdown, with units in the header and '-' for missing values."""
    heads = [f"{name} [{column.unit}]" if column.unit else name for name, column in documentation.items()]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in table[list(documentation)].itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value) for value in row) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return "-"
    return (f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}") if isinstance(value, float) else str(value)
