"""How do students learn, and when does a variant gain? Validation accuracy, cross-entropy and paired gain by epoch.

In: epochs.parquet, trajectory.parquet and the published gains. Out: a column a few variants. The training loss is
left out: it is another sum of terms in each variant (`terms` shows them).
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.columns import split
from ..drawing.layout import Room, names_below, rows_below, sheet
from ..drawing.style import PAGE, SMALL, NoValue, Style, label, need, over_epochs
from ..words import of_one_or_each

TABLES = ("epochs", "trajectory", "published_trajectory")
REQUIRES = ("students",)
GAIN = "gain"
PANELS = {
    "validation_top1": "validation\ntop-1 [%]",
    "validation_loss": "validation cross-\nentropy [nats]",
    GAIN: "gain in validation\ntop-1 [points]",
}
# Columns, and variants that one of them holds next to the baseline.
ACROSS, MEMBERS = 4, 4
ROOM = Room(left=0.7, gap=0.15, between=0.2, above=0.16)
CAPTION = (
    "Validation top-1 and cross-entropy by epoch, and the gain of each variant over {baseline}, paired by seed: "
    "{students}, means over seeds; bands: 95 % t interval over seeds. Control: the baseline in every panel. "
    "References: the teacher's last epoch, and the published gain of the same objectives."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds of each variant, its interval as a band, and the teacher's final accuracy."""
    epochs = need(tables, "epochs", "epoch", "validation_top1")
    students = epochs[epochs["network"].isin(style.names.variants)]
    if students.empty:
        raise NoValue("no student was trained (epochs.parquet)")
    gains, published = tables["trajectory"], tables["published_trajectory"]
    rows = {column: text for column, text in PANELS.items() if column in students and students[column].notna().any()}
    rows |= {GAIN: PANELS[GAIN]} if len(gains) else {}
    seeds = students["seed"].nunique()
    title = f"How do students learn? (n = {seeds} seed{'s' * (seeds != 1)})"
    # In each panel the baseline and a few other variants.
    shown = style.students(students["network"])
    baselines = style.names.baselines.values()
    others = [name for name in shown if name not in baselines]
    parts = split(others, min(ACROSS, math.ceil(len(others) / MEMBERS))) or [list(baselines)]
    parts = [list(dict.fromkeys([*map(style.names.baseline_of, part), *part])) for part in parts]
    width = (PAGE - ROOM.left - ROOM.right - ROOM.gap * (len(parts) - 1)) / len(parts)
    room = ROOM.with_legend(max(rows_below(map(label, part), width + ROOM.gap) for part in parts))
    note = _note(seeds, gains, published)
    figure, axes = sheet(len(rows), len(parts), 1.2, title, note, room, sharex=True, sharey="row")
    for number, (line, (column, text)) in enumerate(zip(axes, rows.items(), strict=True)):
        for one, part in zip(line, parts, strict=True):
            if column == GAIN:
                _gains(one, gains, published, part, style)
            else:
                over_epochs(one, students, column, style.looks(part))
            one.set_xlabel("epoch" if number == len(rows) - 1 else "")
        line[0].set_ylabel(text)
        few_ticks(line[0], 5)
    if len(gains):
        _limits(axes[-1, 0], pd.concat([gains["gain"], published["gain"]]) if len(published) else gains["gain"])
    names_below({lowest: axes[:, place] for place, lowest in enumerate(axes[-1])}, room.below, room.gap)
    _teacher(axes[0], epochs, style)
    return figure


def _gains(axes: Axes, gains: pd.DataFrame, published: pd.DataFrame, names: list[str], style: Style) -> None:
    """Draw the mean paired gains of variants over epochs with their bands, and the published ones as crosses."""
    axes.axhline(0, color="black", linewidth=0.7, zorder=1)
    for name, look in style.looks(names).items():
        own, theirs = (table[table["variant"] == name].sort_values("epoch") for table in (gains, published))
        if own.empty:
            continue
        axes.fill_between(own["epoch"], own["low"], own["high"], color=look["color"], alpha=0.15, linewidth=0)
        axes.plot(own["epoch"], own["gain"], **look)
        # At the same share of training, however long theirs was.
        places = theirs["fraction"] * own["epoch"].max()
        axes.plot(places, theirs["gain"], "x", color=look["color"], markersize=3, mew=0.8)


def _limits(axes: Axes, values: pd.Series) -> None:
    """Let the means set the scale: intervals of a few seeds can be wider than anything of interest."""
    low, high = min(values.min(), 0), max(values.max(), 0)
    if high > low:
        axes.set_ylim(low - 0.25 * (high - low), high + 0.25 * (high - low))


def _teacher(line: list[Axes], epochs: pd.DataFrame, style: Style) -> None:
    """Draw the final accuracy of every teacher as a line."""
    teacher = epochs[epochs["network"].isin(style.names.teachers)].dropna(subset=["validation_top1"])
    teacher = teacher.groupby("network", sort=False).tail(1)
    for name, value in zip(teacher["network"], teacher["validation_top1"], strict=True):
        for number, one in enumerate(line):
            one.axhline(value, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
            if number == 0:
                one.annotate(
                    f"teacher ({label(name)}), final", (0, value), xytext=(3, 2), ha="left", va="bottom",
                    xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=SMALL,
                )  # fmt: skip


def _note(seeds: int, gains: pd.DataFrame, published: pd.DataFrame) -> str:
    """Return what bands, gains and crosses are."""
    text = "Bands: 95 % t interval over seeds." if seeds > 1 else "One seed: no interval, so any gain may be chance."
    if len(gains):
        text += f" Gain: over {label(of_one_or_each('baseline', gains['baseline']))}, the same seed and epoch."
    if len(published):
        same = published.groupby("variant")["comparable"].first()
        count = "all" if same.all() else "none" if not same.any() else f"{same.sum()} of {len(same)}"
        text += f" Crosses: published gain at the same share of training, ImageNet, one seed ({count} of the same run)."
    return text
