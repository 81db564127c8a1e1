"""How strongly the logit of an image's class depends on the patch tokens, and on the class token, of every block.

Of all tokens the shape is tested (`shape`).
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.profiles import final, grid
from ..drawing.style import Style, label

TABLES = ("depth",)
METRICS = ("gradient",)
REQUIRES = ("labels",)
ALL, PATCHES = "gradient_magnitude", "gradient_magnitude_patches"
PANELS = {
    ALL: "all tokens, as tested\n[1 / activation unit]",
    PATCHES: "patch tokens\n[1 / activation unit]",
    "gradient_magnitude_class": "class token\n[1 / activation unit]",
}
CAPTION = (
    "Mean absolute gradient of the label's logit by all tokens of each block, as tested, by its patch tokens and by "
    "its class token: last epoch, {images}, means over the seeds measured. Left: levels, bands: 95 % interval over "
    "images; right, where there are variants: ratio to the baseline of the same seed, with its 95 % t interval where "
    "several seeds were measured. Control: each network's own."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its ratio to the baseline."""
    # No column is demanded: the panels say which networks have no value.
    table = final(tables, "depth")
    note = _zeros(table, style)
    note += " No value: no such token, or not measured." * bool(
        table.reindex(columns=list(PANELS)).isna().any(axis=None)
    )
    what = "Mean absolute gradient of the label's logit over depth"
    return grid(table, style, PANELS, what, note, log=PANELS, height=1.15)[0]


def _zeros(table: pd.DataFrame, style: Style) -> str:
    """Return whose gradient of the patch tokens is exactly zero in a block."""
    if table[PATCHES].isna().all():
        return "No gradient of patch tokens could be measured."
    zero = list(dict.fromkeys(table.loc[table[PATCHES] == 0, "network"]))
    if not zero:
        return "No gradient of patch tokens is exactly zero."
    students = style.students(table["network"])
    together = bool(students) and set(students) <= set(zero)
    who = ["all students"] * together + [label(name) for name in zero if not (together and name in students)]
    return (
        f"Hollow, on the lower edge: exactly zero, in patch tokens of {', '.join(who)}: a logit that is read from the "
        "class token alone does not depend on the patch tokens of the last block."
    )
