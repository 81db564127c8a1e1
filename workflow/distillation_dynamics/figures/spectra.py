"""What do spectra over channels look like, block by block? As published, next to the same with permuted channels.

In: spectrum.parquet, one-sided, without the constant term. Out: a column a network, its spectra above and those of
permuted channels below on one scale. What both show does not come from the order of the channels.
"""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import name_blocks, names_of_blocks
from ..drawing.layout import Room, fitted, inches_of, name_below, sheet
from ..drawing.profiles import final, title
from ..drawing.style import PAGE, TEXT, Style, first_of, label
from ..statistics.thresholds import LEVEL

TABLES = ("spectrum", "depth")
METRICS = ("spectrum",)
ROWS = {"amplitude": "measured", "amplitude_null": "channels permuted"}
TEST = "amplitude_p"
# Columns that a page holds; of a network's largest amplitude, the smallest share with a colour of its own.
MOST, LOWEST = 5, 0.01
ROOM = Room(left=0.62, right=0.7, gap=0.3, between=0.14, above=0.32, below=0.36)
CAPTION = (
    "Spectra over channels of every block of networks and the baseline, one-sided and without the constant term: last "
    "epoch, {images}, means over the seeds measured, as a share of each network's largest amplitude. Control: the same "
    "tokens with permuted channels (mean of the permutations). p: one test of each block's whole curve, unadjusted, "
    "without interval."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw blocks by frequencies at the last epoch, mean over seeds: measured above, the null below."""
    table = final(tables, "spectrum", "frequency", *ROWS)
    tests = final(tables, "depth", TEST)
    table = table[(table["frequency"] > 0) & (table["frequency"] < 0.5) & table["amplitude"].notna()]
    known = set(table["network"])
    members = [name for name in (*style.names.ordered, *style.names.baselines.values()) if name in known]
    shown, left_out = first_of(members or list(dict.fromkeys(table["network"])), MOST, "networks")
    table = table[table["network"].isin(shown)]
    pictures = {name: _pictures(table[table["network"] == name]) for name in shown}
    values = np.concatenate([picture.ravel() for own in pictures.values() for picture in own.values()])
    lowest = max(LOWEST, float(np.nanmin(values[values > 0], initial=1)))
    norm = mpl.colors.LogNorm(lowest, 1)
    what = title("Spectra over channels, by block", table, ["amplitude"])
    figure, panels = sheet(len(ROWS), len(shown), 1.35, what, _note(tests, shown, left_out), ROOM, sharex=True)
    cmap = mpl.colormaps["viridis"].with_extremes(bad="0.85")
    for line, (name, own) in zip(panels.T, pictures.items(), strict=True):
        for axes, (column, text) in zip(line, ROWS.items(), strict=True):
            count = own[column].shape[0]
            extent = 0, 0.5, -0.5, count - 0.5
            axes.imshow(
                own[column], norm=norm, cmap=cmap, aspect="auto", origin="lower", extent=extent, interpolation="nearest"
            )
            _axis(axes, table[table["network"] == name])
            if axes in panels[:, 0]:
                axes.set_ylabel(f"{text}\nblock")
        line[0].set_title(fitted(label(name), inches_of(line[0])[0] + ROOM.gap - 0.05, TEXT, 2))
    lower, upper = panels[-1, 0].get_position().y0, panels[0, 0].get_position().y1
    scale = mpl.cm.ScalarMappable(norm, cmap)
    bar = figure.colorbar(scale, cax=figure.add_axes((1 - 0.58 / PAGE, lower, 0.1 / PAGE, upper - lower)))
    bar.set_label("amplitude / the network's largest")
    bar.outline.set_visible(False)
    bar.minorticks_off()
    bar.ax.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    bar.set_ticks([tick for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if tick >= lowest])
    name_below(figure, panels, "frequency k/C [cycles per channel]", 0.2, (ROOM.left + PAGE - ROOM.right) / 2)
    return figure


def _axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Name blocks and frequencies."""
    axes.set_xticks([0, 0.25, 0.5], ["0", "0.25", "0.5"])
    name_blocks(axes.yaxis, names_of_blocks(rows), 5)


def _pictures(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the pictures [block, frequency] of a network, mean over seeds, as shares of its largest amplitude.

    Blocks of fewer channels than the widest have fewer frequencies, each of which fills the places around it.
    """
    finest = np.unique(rows.loc[rows["channel_bin"] <= rows["channel_bin"].max(), "frequency"])
    found: dict[str, np.ndarray] = {}
    for column in ROWS:
        by_block = []
        for _, block in rows.groupby("block"):
            mean = block.groupby("frequency")[column].mean()
            nearest = np.abs(mean.index.to_numpy()[None] - finest[:, None]).argmin(axis=1)
            by_block.append(mean.to_numpy()[nearest])
        found[column] = np.stack(by_block)
    largest = max(np.nanmax(picture) for picture in found.values())
    return {column: picture / largest for column, picture in found.items()}


def _note(tests: pd.DataFrame, shown: list[str], left_out: str) -> str:
    """Return in how many blocks a spectrum differs from that of permuted channels."""
    said = []
    for name in shown:
        p = tests[tests["network"] == name].groupby("block")[TEST].median()
        said.append(f"{label(name)} {(p <= LEVEL).sum()} of {len(p)}")
    text = (
        "Channel order is arbitrary: what measured and permuted channels share does not come from it. Blocks whose "
        f"whole curve differs from the null (p <= {LEVEL:g}, unadjusted): {', '.join(said)}."
    )
    return text + f" Shown: {left_out}." * bool(left_out)
