"""How spread out self-attention is and how far it reaches, over depth.

In: depth.parquet, references.parquet. Out: a figure of two panels, with the entropy of attention that prefers no key.
"""

import pandas as pd
from matplotlib.figure import Figure

from .profiles import draw_references, final, grid, say, trained_and_control
from .style import Style

TABLES = ("depth", "references")
METRICS = ("attention",)
PANELS = {
    "attention_entropy": "entropy of the attention\nof a query [bits]",
    "attention_distance": "mean attention\ndistance [pixels]",
}
CAPTION = (
    "Entropy of a query's attention and how far attention reaches, over depth: last epoch, {images}, means over "
    "the seeds measured. Bands: 95 % interval over images. Controls: each network's own, and the entropy of "
    "attention that prefers no key."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds."""
    # No column is demanded: in a study of convolutional networks none has a value, and the panels say so.
    table = final(tables, "depth")
    figure = grid(table, style, PANELS, 1)
    draw_references({"attention_entropy": figure.axes[0]}, tables, table, style, "log2 of its keys")
    control = trained_and_control(table, "attention_entropy", style)
    said = f"Entropy in the last block (and the control's) [bits]: {control}"
    say(figure, "Self-attention over depth", table, said, style, PANELS)
    return figure
