"""When in training a variant gains or loses: validation accuracy against the baseline, over the schedule."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.layout import Room, column_title, fitted, inches_of, name_below, sheet
from ..drawing.style import PAGE, SMALL, TEXT, Style, label, need
from ..words import of_each

TABLES = ("trajectory", "variants", "published_trajectory")
REQUIRES = ("variants",)
ACROSS = 6
ROOM = Room(left=0.62, gap=0.12, between=0.58, above=0.42, below=0.36)
CAPTION = (
    "Gain of each variant over {baseline} in validation top-1 [points] by place in the schedule, paired by seed: "
    "means over {seeds} with their 95 % t interval where there are two or more. Reference, not a control: the "
    "published gain of the same objectives."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean paired gain of every variant, with the 95 % t interval over seeds as a band."""
    table, found = need(tables, "trajectory", "gain"), need(tables, "variants", "seeds")
    # Where a mean curve without gain or loss happens to end below 0 there is nothing to mark.
    turned = found[(found["early_gain"] > 0) & (found["late_gain"] < 0) & found["turns_at"].notna()]
    turns = dict(zip(turned["variant"], turned["turns_at"], strict=True))
    published = tables["published_trajectory"]
    variants = list(dict.fromkeys(table["variant"]))
    looks, seeds = style.looks(variants), int(table["seeds"].max())
    across = min(ACROSS, len(variants))
    down = math.ceil(len(variants) / across)
    baseline = label(of_each("baseline", table["baseline"]))
    title = f"Gain over {baseline} during training, paired by seed (n = {seeds} seed{'s' * (seeds != 1)})"
    figure, panels = sheet(down, across, 1.1, title, _note(seeds, published), ROOM, sharex=True, sharey=True)
    for axes, variant in zip(panels.flat, variants, strict=False):
        own, theirs = (rows[rows["variant"] == variant].sort_values("epoch") for rows in (table, published))
        _panel(axes, own, theirs, looks[variant], turns.get(variant))
        column_title(axes, fitted(label(variant), inches_of(axes)[0] + ROOM.gap, TEXT, 2), 9)
    for place, axes in enumerate(panels.flat):
        axes.set_visible(place < len(variants))
        axes.tick_params(labelbottom=place + across >= len(variants))
    # The means set the scale; intervals of a few seeds can be wider than anything of interest.
    values = pd.concat([table["gain"], published["gain"]]) if len(published) else table["gain"]
    low, high = min(values.min(), 0), max(values.max(), 0)
    if high > low:
        panels[0, 0].set_ylim(low - 0.25 * (high - low), high + 0.25 * (high - low))
    panels[0, 0].set_xlim(0, 1.04)
    panels[0, 0].set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    few_ticks(panels[0, 0], 5)
    name_below(figure, panels, "share of training", 0.2)
    middle = (panels[0, 0].get_position().y1 + panels[-1, 0].get_position().y0) / 2
    figure.supylabel("gain in validation\ntop-1 [points]", x=0.05 / PAGE, y=middle, ha="left")
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, theirs: pd.DataFrame, look: dict, turns: float | None) -> None:
    """Draw one variant: gains filled above 0 and losses below it, its interval, the published ones, and the turn."""
    color = look["color"]
    axes.axhline(0, color="black", linewidth=0.7, zorder=1)
    axes.fill_between(rows["fraction"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
    axes.plot(rows["fraction"], rows["gain"], color=color, marker=look["marker"] if len(rows) < 15 else None)
    axes.plot(theirs["fraction"], theirs["gain"], ":x", color="black", linewidth=0.6, markersize=2.6, mew=0.7)
    if turns is not None:
        axes.axvspan(turns, 1.04, color="0.9", linewidth=0, zorder=0)
        axes.axvline(turns, color="black", linewidth=0.9, linestyle=(0, (2, 1)), zorder=2)
        axes.set_title(f"below 0 from {turns:.2f}", loc="left", fontsize=SMALL)


def _note(seeds: int, published: pd.DataFrame) -> str:
    """Return what bands and marks are."""
    if seeds > 1:
        text = "Bands: 95 % t interval over seeds of each epoch alone; where they hold 0, no gain and no loss is shown."
    else:
        text = "No interval with one seed: any of these may be chance."
    text += " Grey, from the dashed line: in the mean, an early gain became a late loss there."
    return text + _published(published)


def _published(rows: pd.DataFrame) -> str:
    """Return what the crosses are, and whether they are of the same run; nothing without."""
    if rows.empty:
        return ""
    same = rows.groupby("variant")["comparable"].first()
    count = "all" if same.all() else "none" if not same.any() else f"{same.sum()} of {len(same)}"
    return f" Crosses: published, ImageNet, one seed, to SoftKD ({count} of the same run: see the report)."
