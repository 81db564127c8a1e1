"""How metrics over depth change while students learn: a picture of block by epoch for each metric and variant.

In: depth.parquet. Out: a row of pictures a metric, on one colour scale; metrics that a study does not measure are
left out.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .profiles import name_blocks
from .style import PAGE, NoValue, Style, counts, label, main_probe, need

TABLES = ("depth",)
ASKS = ("students",)
# Column -> its name, its unit, and whether its scale is logarithmic.
ROWS = {
    "intensity": ("spectral\nintensity", "activation\nunits", False),
    "entropy_fixed_range": ("entropy,\nfixed range", "bits", False),
    "entropy_standardised": ("entropy,\nstandardised", "bits", False),
    "activation_magnitude": ("activation\nmagnitude", "activation\nunits", False),
    "effective_rank": ("effective\nrank", "directions", False),
    "token_cosine": ("cosine of\ntokens", "", False),
    "attention_distance": ("attention\ndistance", "pixels", False),
    "gradient_magnitude_patches": ("gradient,\npatches", "1 / activation\nunit", True),
}
MOST_VARIANTS = 10
LEFT, RIGHT, TOP, BOTTOM, CELL = 0.95, 0.85, 0.8, 0.45, 0.72  # inches
CAPTION = (
    "Metrics by block and kept epoch, a column a variant: {images}, means over the seeds measured, without "
    "interval. Control: the untrained student, epoch 0; one scale a metric for all variants."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds at every kept epoch, the first block at the bottom."""
    table = main_probe(need(tables, "depth"))
    variants = style.students(table["network"])
    shown = variants[:MOST_VARIANTS]
    table = table[table["network"].isin(shown)]
    columns = [column for column in ROWS if column in table and table[column].notna().any()]
    if not columns:
        raise NoValue(f"none of {', '.join(ROWS)} was measured of a student")
    height = TOP + BOTTOM + CELL * len(columns)
    figure = Figure(figsize=(PAGE, height))
    grid = figure.subplots(
        len(columns), len(shown) + 1, squeeze=False, width_ratios=[1] * len(shown) + [0.16],
        gridspec_kw={"left": LEFT / PAGE, "right": 1 - RIGHT / PAGE, "top": 1 - TOP / height, "bottom": BOTTOM / height,
                     "wspace": 0.12, "hspace": 0.16},
    )  # fmt: skip
    epochs = np.unique(table["epoch"])
    names = tuple(table.drop_duplicates("block").sort_values("block")["block_name"])
    means = table.groupby(["network", "block", "epoch"])[columns].mean()
    for column, line in zip(columns, grid, strict=True):
        name, unit, log = ROWS[column]
        pictures = np.stack(
            [
                means.loc[variant, column].unstack("epoch").reindex(range(len(names)), columns=epochs)
                for variant in shown
            ]
        )
        scale = _scale(pictures, log)
        for axes, picture in zip(line[:-1], pictures, strict=True):
            # Just below the scale, where the logarithm of 0 is not: NaN alone is grey.
            values = np.where(picture == 0, scale.norm.vmin / 2, picture) if log else picture
            axes.imshow(
                values, norm=scale.norm, cmap=scale.cmap, aspect="auto", origin="lower", interpolation="nearest"
            )
            axes.set(xticks=[], yticks=[])
        name_blocks(line[0].yaxis, names, 4)
        line[0].set_ylabel(name, fontsize="small")
        bar = figure.colorbar(scale, cax=line[-1], extend="min" if log and (pictures == 0).any() else "neither")
        bar.set_label(unit, fontsize="small")
        bar.outline.set_visible(False)
        if log and not (pictures > 0).any():
            bar.set_ticks([])
            bar.set_label("zero everywhere", fontsize="small")
        elif log:
            bar.minorticks_off()
            ticks = np.geomspace(scale.norm.vmin, scale.norm.vmax, 3)
            bar.set_ticks(ticks, labels=[f"{tick:.1g}" for tick in ticks])
    for axes, variant in zip(grid[0], shown, strict=False):
        axes.set_title(label(variant).replace(" ", "\n", 1), fontsize="x-small")
    places = range(len(epochs)) if len(epochs) <= 4 else np.linspace(0, len(epochs) - 1, 3).round().astype(int)
    for axes in grid[-1, :-1]:
        axes.set_xticks(places, epochs[places], fontsize="x-small")
    figure.supxlabel("epoch", fontsize="medium", y=0.06 / height, va="bottom")
    figure.supylabel("block, the first one at the bottom", fontsize="medium", x=0.06 / PAGE, ha="left")
    means = ", mean over seeds" * (table["seed"].nunique() > 1)
    left_out = f"; the first {MOST_VARIANTS} of {len(variants)} variants" * (len(variants) > MOST_VARIANTS)
    figure.suptitle(
        f"Metrics by block and epoch ({counts(table, *columns)}{means}{left_out}).\n"
        "One colour scale a row; kept epochs at equal distances, 0 untrained. Grey: no value. White: exactly zero",
        fontsize="small", y=1 - 0.06 / height, va="top",
    )  # fmt: skip
    return figure


def _scale(pictures: np.ndarray, log: bool) -> mpl.cm.ScalarMappable:
    """Return the colour scale of a row of pictures; a logarithmic one spans the positive values, if there are any."""
    values = pictures[pictures > 0] if log else pictures
    low, high = (np.nanmin(values), np.nanmax(values)) if values.size else (1, 10)
    norm = (mpl.colors.LogNorm if log else mpl.colors.Normalize)(low, high)
    return mpl.cm.ScalarMappable(norm, mpl.colormaps["viridis"].with_extremes(bad="0.8", under="white"))
