"""How strongly the logit of an image's class depends on the patch tokens, and on the class token, of every block.

In: depth.parquet. Out: a figure of two panels with logarithmic axes, exact zeros on the lower edge.
"""

import pandas as pd
from matplotlib.figure import Figure

from .profiles import final, grid, title
from .style import Style, label, legend_below

TABLES = ("depth",)
METRICS = ("gradient",)
ASKS = ("labels",)
PATCHES = "gradient_magnitude_patches"
PANELS = {
    PATCHES: "mean abs. gradient, patch tokens\n[1 / activation unit]",
    "gradient_magnitude_class": "mean abs. gradient, class token\n[1 / activation unit]",
}
CAPTION = (
    "Mean absolute gradient of the label's logit by the patch tokens and by the class token of each block: last "
    "epoch, {images}, means over the seeds measured. Bands: 95 % interval over images. Control: each network's "
    "own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, mean over seeds."""
    # No column is demanded: the panels say which networks have no value.
    table = final(tables, "depth")
    figure = grid(table, style, PANELS, 1, log=True)
    zero = list(dict.fromkeys(table.loc[table[PATCHES] == 0, "network"]))
    said = (
        "No gradient is exactly zero"
        if table[PATCHES].notna().any()
        else "No gradient of patch tokens could be measured"
    )
    if zero:
        students = style.students(table["network"])
        others = [name for name in zero if name not in students] if set(students) <= set(zero) else zero
        who = ["all students"] * bool(students and len(others) < len(zero)) + [label(name) for name in others]
        who = ", ".join(who[:3]) + ",\N{NO-BREAK SPACE}..." * (len(who) > 3)
        said = (
            f"Hollow markers on the lower edge: exactly zero ({who}).\nA logit that is read from the class token alone "
            "does not depend on the patch tokens of the last block"
        )
    figure.suptitle(title("Gradient of the label's logit", table, said, style, PANELS), fontsize="small")
    legend_below(figure, figure.axes, 4)
    return figure
