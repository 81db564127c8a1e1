"""How accurate is each network and variant, and how often does it agree with the teacher? Every seed is a point."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import few_ticks, name_rows
from ..drawing.layout import NAMES, Room, sheet
from ..drawing.style import SMALL, Style, binomial_half, label, mean_and_half, need
from ..words import listed

TABLES = ("runs",)
REQUIRES = ("labels",)
CAPTION = (
    "Test top-1 of networks and variants (last epoch, {test_images}; students: {students}) and, where there is a "
    "teacher, agreement with its predictions. Every seed is a point; black: mean over seeds with its 95 % t interval. "
    "A network trained once has the 95 % binomial interval of the test images, which does not cover other trainings."
)
PANELS = {"test_top1": "test top-1 [%], last epoch", "test_agreement": "same prediction as the teacher [%]"}
ROOM = Room(left=NAMES, gap=0.15, above=0.15)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each run, means over seeds and single runs with an interval; a teacher is a line.

    Agreement has a panel where something was compared with a teacher. What has no accuracy is left out and named.
    """
    all_runs = runs = need(tables, "runs", "test_top1")
    absent = list(dict.fromkeys(runs.loc[runs["test_top1"].isna(), "network"]))
    runs = runs[runs["test_top1"].notna()]
    teacher, runs = (runs[runs["network"].isin(style.names.teachers) == is_one] for is_one in (True, False))
    if runs.empty:
        teacher, runs = runs, teacher
    names = list(dict.fromkeys(runs["network"]))
    columns = ["test_top1", *["test_agreement"] * bool(runs["test_agreement"].notna().any())]
    title = "Accuracy and agreement with the teacher" if len(columns) > 1 else "Accuracy"
    images, seeds = int(runs["test_images"].iloc[0]), runs["seed"].nunique()
    title += f" (n = {images:,} test images" + f", {seeds} seed{'s' * (seeds > 1)}" * (seeds > 0) + ")"
    height = max(0.23 * len(names), 0.5)
    figure, panels = sheet(1, len(columns), height, title, _note(all_runs, absent, style), ROOM, sharey=True)
    for axes, column in zip(panels[0], columns, strict=True):
        _panel(axes, runs, column, names, style)
        axes.set_xlabel(PANELS[column])
    for number, (name, value) in enumerate(zip(teacher["network"], teacher["test_top1"], strict=True)):
        panels[0, 0].axvline(value, color="black", linewidth=0.8, linestyle=(0, (6, 3)))
        panels[0, 0].annotate(
            f"teacher ({label(name)}) {value:.1f}", (value, 1), xycoords=("data", "axes fraction"),
            xytext=(2, 2 + number * SMALL), ha="right", textcoords="offset points", fontsize=SMALL,
        )  # fmt: skip
    name_rows(panels[0, 0], names)
    return figure


def _panel(axes: Axes, runs: pd.DataFrame, column: str, names: list[str], style: Style) -> None:
    """Draw a column of the runs: seeds from above to below within a row, under them their mean."""
    looks = style.looks(names)
    seeds = np.array(sorted(runs["seed"].dropna().unique()))
    for row, name in enumerate(names):
        group = runs[runs["network"] == name].sort_values("seed")
        several = len(group) > 1
        places = np.array([_place(row, seeds, seed) for seed in group["seed"]]) if several else np.array([row])
        look = {"color": looks[name]["color"], "marker": looks[name]["marker"], "linestyle": "none"}
        half = None if several else binomial_half(group[column], group["test_images"])
        axes.errorbar(
            group[column], places, xerr=half, elinewidth=0.5, **{**look, "markersize": 2.4 if several else 3.2}
        )
        if several:
            mean, half = mean_and_half(group[column].to_numpy())
            axes.errorbar(mean, row + 0.33, xerr=half, fmt="d", color="black", markersize=2.8, elinewidth=1.1)
    for seed in seeds:
        own = (
            runs[runs["seed"] == seed]
            .set_index("network")[column]
            .reindex([n for n in names if n in style.names.variants])
        )
        rows = [_place(names.index(name), seeds, seed) for name in own.index]
        axes.plot(own, rows, color="0.75", linewidth=0.4, zorder=0)
    axes.grid(axis="x", linewidth=0.3, zorder=0)
    few_ticks(axes, 6, axis="x")


def _place(row: int, seeds: np.ndarray, seed: int) -> float:
    """Return where the point of a seed lies within a row."""
    return row - 0.32 + 0.45 * np.searchsorted(seeds, seed) / max(len(seeds) - 1, 1)


def _note(runs: pd.DataFrame, absent: list[str], style: Style) -> str:
    """Return what points and bars are, on how many images who was trained, and who has no accuracy."""
    seeds = runs["seed"].nunique()
    text = "Bars: 95 % binomial interval of the test images, for networks trained once."
    if seeds > 1:
        text = f"Points: seeds, joined across variants; black: mean and 95 % t interval over seeds. {text}"
    trained: dict[int, list[str]] = {}
    for name, images in runs[["network", "train_images"]].dropna().drop_duplicates().itertuples(index=False):
        trained.setdefault(int(images), []).append(label(name))
    variants = list(map(label, style.names.variants))
    said = []
    for count, names in trained.items():
        others = [name for name in names if name not in variants]
        together = ["variants"] if len(names) - len(others) == len(variants) > 0 else names[len(others) :]
        said.append(f"{count:,} ({listed([*others, *together])})")
    text += f" Training images: {', '.join(said)}." * bool(said)
    return text + f" No accuracy: {', '.join(map(label, absent))}." * bool(absent)
