"""How spread out self-attention is and how far it reaches, over depth."""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.profiles import draw_references, final, grid
from ..drawing.style import Style

TABLES = ("depth", "references")
METRICS = ("attention",)
PANELS = {
    "attention_entropy": "entropy of the attention\nof a query [bits]",
    "attention_distance": "mean attention\ndistance [pixels]",
}
CAPTION = (
    "Entropy of a query's attention and how far attention reaches, over depth: last epoch, {images}, means over the "
    "seeds measured. Left: levels, bands: 95 % interval over images; right, where there are variants: difference to "
    "the baseline of the same seed, with its 95 % t interval where several seeds were measured. Controls: each "
    "network's own, and the entropy of attention that prefers no key."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its difference to the baseline."""
    # No column is demanded: in a study of convolutional networks none has a value, and the panels say so.
    table = final(tables, "depth")
    note = "Dash-dotted: attention that prefers no key, log2 of its keys."
    figure, rows = grid(table, style, PANELS, "Self-attention over depth", note, height=1.25)
    draw_references({"attention_entropy": rows["attention_entropy"]}, tables, table, style)
    return figure
