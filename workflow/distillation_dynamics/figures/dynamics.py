"""How do metrics over depth change while students learn? A picture of block by epoch for each metric and variant."""

from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import name_blocks, names_of_blocks
from ..drawing.hollow import hatch_too_few
from ..drawing.hollow import note as note_of
from ..drawing.layout import Room, fitted, name_below, sheet
from ..drawing.style import PAGE, SMALL, NoValue, Style, counts, first_of, label, last_epoch, main_images, need
from ..statistics.bins import PER_BIN, too_few

TABLES = ("depth",)
REQUIRES = ("students",)
# Column -> its name, its unit, and whether its scale is logarithmic.
ROWS = {
    "intensity": ("spectral\nintensity", "activation\nunits", False),
    "entropy_fixed_range": ("entropy,\nfixed range", "bits", False),
    "entropy_standardised": ("entropy,\nstandard-\nised", "bits", False),
    "activation_magnitude": ("activation\nmagnitude", "activation\nunits", False),
    "effective_rank": ("effective\nrank", "directions", False),
    "token_cosine": ("cosine of\ntokens", "", False),
    "attention_distance": ("attention\ndistance", "pixels", False),
    "gradient_magnitude_patches": ("gradient,\npatches", "1 / activation\nunit", True),
}
MOST_VARIANTS = 14
# A row whose values differ by less than this share of the largest shows noise. From this factor on a scale is
# logarithmic.
NOISE, WIDE = 0.05, 5
# Of a variant's picture: the width of the teacher's, and the gap between two.
TEACHER, GAP = 0.7, 0.06
ROOM = Room(left=0.85, right=0.85, between=0.1, below=0.32)
HEIGHT = 0.6
CAPTION = (
    "Metrics by block and kept epoch, a column a variant, and the teacher's last epoch where there is one: {images}, "
    "means over the seeds measured, without interval. Control: the untrained student, epoch 0; one scale a "
    "metric, which the teacher shares."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds at every kept epoch, the first block at the bottom."""
    table = main_images(need(tables, "depth"))
    shown, left_out = first_of(style.students(table["network"]), MOST_VARIANTS, "variants")
    students = table[table["network"].isin(shown)]
    teacher = last_epoch(table[table["network"] == style.names.teacher])
    known = [column for column in ROWS if column in students and students[column].notna().any()]
    if not known:
        raise NoValue(f"none of {', '.join(ROWS)} was measured of a student")
    columns = [column for column in known if _differs(students[column])] or known
    epochs, beside = np.unique(students["epoch"].astype(int)), int(len(teacher) > 0)
    names = names_of_blocks(students)
    title = f"Metrics by block and epoch ({'; '.join(filter(None, (counts(students, *columns), left_out)))})"
    note = (
        f"Mean over seeds; one colour scale a row, logarithmic from a factor of {WIDE}. Kept epochs are drawn at equal "
        "distances, 0 is untrained; blocks upwards from the first. Grey: no value. White: exactly zero."
    )
    same = [label(column) for column in known if column not in columns]
    note += f" Not drawn, differs by less than {100 * NOISE:.0f} %: {', '.join(same)}." * bool(same)
    note = " ".join(filter(None, (note, note_of(students, columns, "Hatched"))))
    heads = [*(label(name) for name in shown), *["teacher,\nfinal"] * beside]
    upright = len(heads) > 7
    heads = heads if upright else [fitted(head, (PAGE - 1.7) / len(heads), lines=2) for head in heads]
    longest = max((len(line) for head in heads for line in head.splitlines()), default=0)
    room = replace(ROOM, above=0.053 * longest if upright else 0.35)
    figure, grid = sheet(len(columns), 1, HEIGHT, title, note, room)
    per_bin = [PER_BIN[column] for column in columns if PER_BIN.get(column) in students]
    means = students.groupby(["network", "block", "epoch"])[columns + per_bin].mean()
    # Of each picture its left and right end; a page of axes, one a picture, takes ten times as long.
    lefts = (1 + GAP) * np.arange(len(heads))
    ends = [(left, left + 1) for left in lefts[: len(shown)]] + [(lefts[-1], lefts[-1] + TEACHER)] * beside
    for column, axes in zip(columns, grid[:, 0], strict=True):
        pictures = [
            means.loc[variant, column].unstack("epoch").reindex(range(len(names)), columns=epochs).to_numpy()
            for variant in shown
        ]
        final = [teacher.sort_values("block")[column].to_numpy()[:, None]] * beside
        _row(figure, axes, [*pictures, *final], ends, column, len(names))
        for (left, right), variant in zip(ends, shown, strict=False):
            few = too_few(means.loc[variant], column).unstack("epoch", fill_value=False)
            few = few.reindex(range(len(names)), columns=epochs, fill_value=False)
            hatch_too_few(axes, few.to_numpy(), (left, right))
        name_blocks(axes.yaxis, names, 3)
    for (left, right), head in zip(ends, heads, strict=True):
        grid[0, 0].annotate(
            head, ((left + right) / 2, len(names) - 0.5), xytext=(0, 3), textcoords="offset points", ha="center",
            va="bottom", fontsize=SMALL, rotation=90 if upright else 0, annotation_clip=False,
        )  # fmt: skip
    # In a narrow picture two numbers are apart, three are not.
    ticks = {
        left + (one + 0.5) / len(epochs): epochs[one] for left, _ in ends[: len(shown)] for one in {0, len(epochs) - 1}
    }
    grid[-1, 0].set_xticks(list(ticks), list(ticks.values()))
    name_below(figure, grid, "epoch", 0.17)
    return figure


def _differs(values: pd.Series) -> bool:
    """Whether the values of a metric differ by more than noise."""
    return bool(values.max() - values.min() >= NOISE * values.abs().max())


def _row(
    figure: Figure, axes: Axes, pictures: list[np.ndarray], ends: list[tuple[float, float]], column: str, blocks: int
) -> None:
    """Draw the pictures of one metric side by side between their `ends`, and at the right the scale of all."""
    name, unit, log = ROWS[column]
    values = np.concatenate([picture.ravel() for picture in pictures])
    log = log or bool((values[np.isfinite(values)] > 0).all() and np.nanmax(values) > WIDE * np.nanmin(values))
    scale, zero = _scale(values, log), log and bool((values == 0).any())
    # To matplotlib's types a scale may be without limits.
    norm: Any = scale.norm
    low, high = norm.vmin, norm.vmax
    for picture, (left, right) in zip(pictures, ends, strict=True):
        # Just below the scale, where the logarithm of 0 is not: NaN alone is grey.
        shown = np.where(picture == 0, low / 2, picture) if log else picture
        extent = left, right, -0.5, blocks - 0.5
        axes.imshow(
            shown, norm=norm, cmap=scale.cmap, aspect="auto", origin="lower", extent=extent, interpolation="nearest"
        )
    axes.set(xticks=[], xlim=(ends[0][0], ends[-1][1]), ylim=(-0.5, blocks - 0.5), ylabel=name)
    axes.spines[:].set_visible(False)
    box = axes.get_position()
    width = 0.08 / PAGE
    bar = figure.colorbar(
        scale, cax=figure.add_axes((box.x1 + width, box.y0, width, box.height)), extend="min" if zero else "neither"
    )
    bar.set_label(unit, fontsize=SMALL)
    bar.outline.set_visible(False)
    if log and not (values > 0).any():
        bar.set_ticks([])
        bar.set_label("zero every-\nwhere", fontsize=SMALL)
    elif log:
        bar.minorticks_off()
        ticks = list(np.geomspace(low, high, 3)) if high > 1.2 * low else [low]
        bar.set_ticks(ticks, labels=[f"{tick:.1g}" for tick in ticks])
    else:
        bar.locator = mpl.ticker.MaxNLocator(3)
        bar.update_ticks()


def _scale(values: np.ndarray, log: bool) -> mpl.cm.ScalarMappable:
    """Return the colour scale of a row of pictures; a logarithmic one spans the positive values, if there are any."""
    values = values[values > 0] if log else values[np.isfinite(values)]
    low, high = (np.min(values), np.max(values)) if values.size else (1, 10)
    norm = (mpl.colors.LogNorm if log else mpl.colors.Normalize)(low, high)
    return mpl.cm.ScalarMappable(norm, mpl.colormaps["viridis"].with_extremes(bad="0.8", under="white"))
