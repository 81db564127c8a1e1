"""Training curves: accuracy and cross-entropy on validation images of every variant over epochs.

The training loss is not drawn: of each variant it is another sum of terms, in units of its own (`terms` has its parts).
"""

import math

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks
from ..drawing.layout import Room, names_below, rows_below, sheet
from ..drawing.profiles import split
from ..drawing.style import PAGE, SMALL, NoValue, Style, label, need, over_epochs

TABLES = ("epochs",)
REQUIRES = ("students",)
PANELS = {"validation_top1": "validation top-1 [%]", "validation_loss": "validation\ncross-entropy [nats]"}
# Columns, and variants that one of them holds beside the baseline.
ACROSS, MEMBERS = 4, 4
ROOM = Room(left=0.6, gap=0.15, between=0.2, above=0.05)
CAPTION = (
    "Validation top-1 and cross-entropy by epoch: {students}, means over seeds; bands: 95 % t interval over seeds. "
    "Reference: the baseline in every panel, and the teacher's last epoch where there is one."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds of each variant, its interval as a band, and the teacher's final accuracy."""
    epochs = need(tables, "epochs", "epoch", "validation_top1")
    students = epochs[epochs["network"].isin(style.names.variants)]
    if students.empty:
        raise NoValue("no student was trained (epochs.parquet)")
    panels = {column: text for column, text in PANELS.items() if column in students and students[column].notna().any()}
    seeds = students["seed"].nunique()
    title = f"Training of the students (n = {seeds} seed{'s' * (seeds != 1)})"
    note = "Bands: 95 % t interval over seeds." if seeds > 1 else "One seed: without an interval."
    # In each panel the baseline and a few other variants.
    shown = style.students(students["network"])
    first = [name for name in shown if name in style.names.baselines.values()]
    others = [name for name in shown if name not in first]
    parts = [[*first, *part] for part in split(others, min(ACROSS, math.ceil(len(others) / MEMBERS))) or [[]]]
    width = (PAGE - ROOM.left - ROOM.right - ROOM.gap * (len(parts) - 1)) / len(parts)
    rows = max(rows_below(map(label, part), width + ROOM.gap) for part in parts)
    room = ROOM.with_legend(rows)
    figure, axes = sheet(len(panels), len(parts), 1.3, title, note, room, sharex=True, sharey="row")
    for row, (line, (column, text)) in enumerate(zip(axes, panels.items(), strict=True)):
        for one, part in zip(line, parts, strict=True):
            over_epochs(one, students, column, style.looks(part))
            if row < len(panels) - 1:
                one.set_xlabel("")
        line[0].set_ylabel(text)
        few_ticks(line[0], 5)
    names_below({one: [one] for one in axes[-1]}, room.below, room.gap)
    teacher = epochs[epochs["network"].isin(style.names.teachers)].dropna(subset=["validation_top1"])
    teacher = teacher.groupby("network", sort=False).tail(1)
    for name, value in zip(teacher["network"], teacher["validation_top1"], strict=True):
        for number, one in enumerate(axes[0]):
            one.axhline(value, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
            if number == 0:
                one.annotate(
                    f"teacher ({label(name)}), final", (1, value), xytext=(0, -2), ha="right", va="top",
                    xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=SMALL,
                )  # fmt: skip
    return figure
