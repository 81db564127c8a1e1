"""What the figures of metrics over depth share: one panel with a curve a model.

In: rows of depth.parquet. Each curve is the mean over seeds, single seeds thin beside it; teacher and baseline carry
the 95 % interval over images as a band. It is no figure of its own.
"""

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import FIXED, PAGE, Style, baseline, block_label, counts, label, last_epoch, need

# The normal distribution's: a mean over hundreds of images.
INTERVAL = 1.96


def final(tables: dict[str, pd.DataFrame], name: str, *columns: str) -> pd.DataFrame:
    """Return the rows of each model's last epoch on the balanced images; refuse as `need` does."""
    table = need(tables, name, *columns)
    return last_epoch(table[table["probe"] == "balanced"])


def banded(models: list[str]) -> list[str]:
    """Return the models whose interval is drawn; those of all would hide each other."""
    return [model for model in ("teacher", baseline(models)) if model in models]


def note(table: pd.DataFrame) -> str:
    """Return what every title over depth says: images, seeds, and what bands and thin lines are."""
    names = ", ".join(label(model) for model in banded(list(dict.fromkeys(table["model"]))))
    thin = "; thin lines: single seeds" if table["seed"].nunique() > 2 else ""
    return f"{counts(table)}; bands: 95 % interval over images ({names}){thin}"


def trained_and_untrained(table: pd.DataFrame, column: str) -> str:
    """Return what the untrained network says of the teacher's last block; empty where either has no value."""
    last = [
        table[(table["model"] == model) & table[column].notna()].nlargest(1, "block")[column].mean() for model in FIXED
    ]
    return "" if np.isnan(last).any() else "teacher {:.2g}, untrained {:.2g}".format(*last)


def profile(axes: Axes, table: pd.DataFrame, column: str, looks: dict[str, dict], text: str, log: bool = False) -> None:
    """Draw `column` over depth, `text` its name and unit, for every model that has a value of it; say which have none.

    Blocks are named where all models have the same ones; otherwise the axis is relative depth. `log`: a logarithmic
    axis, exact zeros being markers on its lower edge.
    """
    blocks = table.drop_duplicates(["model", "block"]).sort_values("block").groupby("model")["block_name"].agg(tuple)
    named = blocks.nunique() == 1
    absent, with_band = [], banded(list(looks))
    for model, look in looks.items():
        rows = table[table["model"] == model]
        if rows[column].isna().all():
            absent.append(model)
            continue
        places = np.arange(len(blocks[model])) / (1 if named else max(len(blocks[model]) - 1, 1))
        mean = rows.groupby("block")[column].mean().to_numpy()
        drawn = np.where(mean > 0, mean, np.nan) if log else mean
        look = {"markersize": 2.6, "linewidth": 1, **look}
        axes.plot(places, drawn, label=label(model), **look)
        if log and (mean == 0).any():
            zeros = places[mean == 0]
            look = {**look, "linestyle": "none", "clip_on": False, "markersize": 5, "markerfacecolor": "none"}
            axes.plot(zeros, 0 * zeros, transform=axes.get_xaxis_transform(), **look)
        if rows["seed"].nunique() > 1:
            for _, one in rows.groupby("seed"):
                axes.plot(places, one.sort_values("block")[column], color=look["color"], linewidth=0.35, alpha=0.6)
        if model in with_band and f"{column}_se" in table:
            half = INTERVAL * rows.groupby("block")[f"{column}_se"].mean().to_numpy()
            axes.fill_between(places, drawn - half, drawn + half, color=look["color"], alpha=0.25, linewidth=0)
    if log and len(absent) < len(looks):
        log_scale(axes)
    if named:
        name_blocks(axes.xaxis, blocks.iloc[0])
    axes.set_xlabel("block" if named else "relative depth of the block")
    axes.set_ylabel(text)
    if absent:
        axes.set_title(f"no value: {_listed(absent, list(looks))}", loc="right", fontsize="x-small")


def grid(table: pd.DataFrame, style: Style, panels: dict[str, str], down: int, log: bool = False) -> Figure:
    """Return a figure of `down` rows with a panel for each column in `panels` (column -> name and unit)."""
    looks = style.looks(list(dict.fromkeys(table["model"])))
    figure = Figure(figsize=(PAGE, 1.1 + 2.1 * down), layout="constrained")
    axes = figure.subplots(down, len(panels) // down, sharex=True, squeeze=False)
    for one, (column, text) in zip(axes.flat, panels.items(), strict=True):
        profile(one, table, column, looks, text, log)
    for one in axes[:-1].flat:
        one.set_xlabel("")
    return figure


def name_blocks(axis: mpl.axis.Axis, names: tuple[str, ...], most: int = 8) -> None:
    """Name the blocks at places 0, 1, ... of an axis: at most about `most` of them."""
    step = math.ceil(len(names) / most)
    axis.set_ticks(range(0, len(names), step), [block_label(name) for name in names[::step]])


def log_if_wide(axes: Axes, values: pd.DataFrame) -> None:
    """Make the value axis logarithmic where positive values span more than a factor of 10."""
    low, high = np.nanmin(values), np.nanmax(values)
    if low > 0 and high > 10 * low:
        log_scale(axes)


def log_scale(axes: Axes) -> None:
    """Make the value axis logarithmic, with plain numbers at 1, 2 and 5."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def _listed(absent: list[str], models: list[str]) -> str:
    students = [model for model in models if model not in FIXED]
    names = [model for model in absent if model in FIXED or not set(students) <= set(absent)]
    names += ["students"] * (bool(students) and set(students) <= set(absent))
    return ", ".join(map(label, names)) if len(names) < 4 else f"{len(names)} models"
