"""How spread out self-attention is and how far it reaches, over depth.

In: depth.parquet. Out: a figure of two panels.
"""

import pandas as pd
from matplotlib.figure import Figure

from .profiles import final, grid, say, trained_and_control
from .style import Style

TABLES = ("depth",)
METRICS = ("attention",)
PANELS = {
    "attention_entropy": "entropy of the attention\nof a query [bits]",
    "attention_distance": "mean attention\ndistance [pixels]",
}


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds."""
    # No column is demanded: in a study of convolutional networks none has a value, and the panels say so.
    table = final(tables, "depth")
    figure = grid(table, style, PANELS, 1)
    control = trained_and_control(table, "attention_entropy", style)
    said = f"Entropy in the last block (and the control's) [bits]: {control}"
    say(figure, "Self-attention over depth", table, said, style)
    return figure
