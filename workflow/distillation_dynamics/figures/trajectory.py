"""When in training a variant gains or loses: validation accuracy against the baseline, over the schedule.

In: trajectory.parquet, variants.parquet and published_trajectory.parquet. Out: a panel a variant with the mean gain,
its interval where there are two seeds or more, the place from which the gain stays negative, and the published gain of
the same objectives.
"""

import math

import pandas as pd
from matplotlib.figure import Figure

from .style import PAGE, Style, label, need

TABLES = ("trajectory", "variants", "published_trajectory")
ASKS = ("variants",)
ACROSS = 5
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
    baseline = table["baseline"].iloc[0]
    looks = style.looks(variants)
    across = min(ACROSS, len(variants))
    down = math.ceil(len(variants) / across)
    figure = Figure(figsize=(PAGE, 1.0 + 1.3 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes, variant in zip(panels.flat, variants, strict=False):
        rows = table[table["variant"] == variant].sort_values("epoch")
        color = looks[variant]["color"]
        axes.axhline(0, color="black", linewidth=0.7, linestyle=(0, (6, 3)), zorder=1)
        axes.fill_between(rows["fraction"], rows["low"], rows["high"], color=color, alpha=0.25, linewidth=0)
        axes.plot(rows["fraction"], rows["gain"], color=color, marker="o" if len(rows) < 15 else None, markersize=2.5)
        theirs = published[published["variant"] == variant]
        axes.plot(
            theirs["fraction"], theirs["gain"], color="black", linewidth=0.7, linestyle=":", marker="x", markersize=3
        )
        title = label(variant)
        if variant in turns:
            axes.axvline(turns[variant], color="0.4", linewidth=0.8, linestyle=":", zorder=0)
            title += f"\nbelow 0 from {turns[variant]:.2f}"
        axes.set_title(title, fontsize="small")
        axes.tick_params(labelsize="small")
    for place, axes in enumerate(panels.flat):
        axes.set_visible(place < len(variants))
        axes.tick_params(labelbottom=place + across >= len(variants))
    # The means set the scale; intervals of two seeds can be wider than anything of interest.
    reach = max(table["gain"].abs().max(), published["gain"].abs().max() if len(published) else 0)
    low, high = panels[0, 0].get_ylim()
    if reach > 0:
        panels[0, 0].set_ylim(max(low, -3 * reach), min(high, 3 * reach))
    panels[0, 0].set_xlim(0, 1.02)
    figure.supxlabel("share of training", fontsize="medium")
    figure.supylabel("gain in validation top-1 [points]", fontsize="medium")
    seeds = int(table["seeds"].max())
    figure.suptitle(_title(label(baseline), seeds) + _published(published), fontsize="small")
    return figure


def _published(rows: pd.DataFrame) -> str:
    """Return what the crosses are, and whether they are of the same run; nothing without."""
    if rows.empty:
        return ""
    same = rows.groupby("variant")["comparable"].first()
    count = "all" if same.all() else "none" if not same.any() else f"{same.sum()} of {len(same)}"
    return f"\nCrosses: published, ImageNet, one seed, to SoftKD ({count} of the same run: see the report)"


def _title(baseline: str, seeds: int) -> str:
    if seeds > 1:
        control = "Bands: 95 % t interval of each epoch alone;\nwhere they hold 0, no gain and no loss is shown"
    else:
        control = "No interval with one seed:\nany of these may be chance"
    plural = "s" * (seeds != 1)
    return (
        f"Gain over {baseline} during training, paired by seed (n = {seeds} seed{plural}). {control}. "
        "Dotted: in the mean, an early gain became a late loss"
    )
