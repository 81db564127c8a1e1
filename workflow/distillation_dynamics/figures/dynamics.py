"""How metrics over depth change while students learn: a picture of block by epoch for each metric and variant."""

from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
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
# Beside variants, widths of the teacher's column and of the scale.
TEACHER, SCALE = 0.7, 0.2
ROOM = Room(left=0.85, right=0.72, gap=0.06, between=0.1, below=0.32)
HEIGHT = 0.6
CAPTION = (
    "Metrics by block and kept epoch, a column a variant, and the teacher's last epoch where there is one: {images}, "
    "means over the seeds measured, without interval. Control: the untrained student, epoch 0; one scale a metric, "
    "that of the students."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the mean over seeds at every kept epoch, the first block at the bottom."""
    table = main_images(need(tables, "depth"))
    shown, left_out = first_of(style.students(table["network"]), MOST_VARIANTS, "variants")
    students = table[table["network"].isin(shown)]
    teacher = last_epoch(table[table["network"] == style.names.teacher])
    columns = [column for column in ROWS if column in students and students[column].notna().any()]
    if not columns:
        raise NoValue(f"none of {', '.join(ROWS)} was measured of a student")
    epochs, beside = np.unique(students["epoch"].astype(int)), int(len(teacher) > 0)
    names = names_of_blocks(students)
    title = f"Metrics by block and epoch ({'; '.join(filter(None, (counts(students, *columns), left_out)))})"
    note = (
        "Mean over seeds; one colour scale a row, logarithmic where it spans a factor of 10. Kept epochs stand at "
        "equal distances, 0 is untrained; blocks upwards from the first. The scale is that of students: a teacher "
        "beyond it has the colour of its end. Grey: no value. White: exactly zero."
    )
    note = " ".join(filter(None, (note, note_of(students, columns, "Hatched"))))
    heads = [*(label(name) for name in shown), *["teacher,\nfinal"] * beside]
    upright = len(heads) > 7
    heads = heads if upright else [fitted(head, (PAGE - 1.6) / len(heads), lines=2) for head in heads]
    longest = max((len(line) for head in heads for line in head.splitlines()), default=0)
    room = replace(ROOM, above=0.053 * longest if upright else 0.35)
    widths = [*[1] * len(shown), *[TEACHER] * beside, SCALE]
    figure, grid = sheet(len(columns), len(widths), HEIGHT, title, note, room, width_ratios=widths)
    per_bin = [PER_BIN[column] for column in columns if PER_BIN.get(column) in students]
    means = students.groupby(["network", "block", "epoch"])[columns + per_bin].mean()
    for column, line in zip(columns, grid, strict=True):
        pictures = [
            means.loc[variant, column].unstack("epoch").reindex(range(len(names)), columns=epochs).to_numpy()
            for variant in shown
        ]
        final = [teacher.sort_values("block")[column].to_numpy()[:, None]] * beside
        _row(figure, line, pictures, final, column)
        for axes, variant in zip(line, shown, strict=False):
            few = too_few(means.loc[variant], column).unstack("epoch", fill_value=False)
            hatch_too_few(axes, few.reindex(range(len(names)), columns=epochs, fill_value=False).to_numpy())
        name_blocks(line[0].yaxis, names, 3)
    for axes, head in zip(grid[0], heads, strict=False):
        axes.set_title(head, fontsize=SMALL, rotation=90 if upright else 0, va="bottom")
    for axes in grid[-1, : len(shown)]:
        # In a narrow picture two numbers stand apart, three do not.
        places = [0, len(epochs) - 1] if len(epochs) > 1 else [0]
        axes.set_xticks(places, epochs[places])
    name_below(figure, grid, "epoch", 0.17)
    return figure


def _row(figure: Figure, line: np.ndarray, pictures: list[np.ndarray], final: list[np.ndarray], column: str) -> None:
    """Draw the pictures of one metric, the teacher's `final` within their scale and, in the last panel, that scale."""
    name, unit, log = ROWS[column]
    values = np.concatenate([picture.ravel() for picture in pictures])
    log = log or bool((values[np.isfinite(values)] > 0).all() and np.nanmax(values) > 10 * np.nanmin(values))
    scale, zero = _scale(values, log), log and bool((values == 0).any())
    # To matplotlib's types a scale may be without limits.
    norm: Any = scale.norm
    low, high = norm.vmin, norm.vmax
    within = [np.where(log & (one == 0), 0, np.clip(one, low, high)) for one in final]
    for axes, picture in zip(line[:-1], [*pictures, *within], strict=True):
        # Just below the scale, where the logarithm of 0 is not: NaN alone is grey.
        shown = np.where(picture == 0, low / 2, picture) if log else picture
        axes.imshow(shown, norm=norm, cmap=scale.cmap, aspect="auto", origin="lower", interpolation="nearest")
        axes.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
    bar = figure.colorbar(scale, cax=line[-1], extend="min" if zero else "neither")
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
