"""Intensity, entropy and activation magnitude over depth, as published, and the controls that say what they measure.

Under each published measure stand its controls: the same without the constant term or in one range for all networks,
and what is left once the activations' scale is out.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.profiles import columns_of, draw_references, final, grid, places_of
from ..drawing.style import Style, label
from ..spec.tables import PUBLISHED_IMAGE_SET

TABLES = ("depth", "references")
METRICS = ("spectrum", "entropy", "magnitude")
# What Gaussian tokens of the same width, and of the same RMS where that matters, have a level of.
OF_WIDTH = "entropy", "entropy_fixed_range", "intensity_per_rms", "entropy_standardised"
PANELS = {
    "intensity": "intensity\n[act. units]",
    "intensity_without_dc": "intensity,\nno DC\n[act. units]",
    "intensity_per_rms": "intensity\n/ RMS",
    "entropy": "entropy,\nown range\n[bits]",
    "entropy_fixed_range": "entropy,\none range\n[bits]",
    "entropy_standardised": "entropy,\nstandard-\nised [bits]",
    "entropy_nearest": "entropy,\nno bins\n[bits]",
    "activation_magnitude": "magnitude\n[act. units]",
    "rms": "RMS\n[act. units]",
    "token_standard_deviation": "deviation\nin a token\n[act. units]",
}
# Shown where it was measured.
NO_BINS = ("entropy_nearest",)
# What grows and falls in factors.
FACTORS = (
    *("intensity", "intensity_without_dc", "intensity_per_rms"),
    *("activation_magnitude", "rms", "token_standard_deviation"),
)
CAPTION = (
    "Spectral intensity, token entropy and activation magnitude over depth: last epoch, {images}, means over the "
    "seeds measured. Left: levels, bands: 95 % interval over images; right, where there are variants: difference or "
    "ratio to the baseline of the same seed, with its 95 % t interval where several seeds were measured. Controls: "
    "each network's own, the same measures with scale or constant term taken out, permuted channels, and the levels "
    "of Gaussian tokens of the same width."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, of each variant its ratio or difference to the baseline, and the controls."""
    known = [name for name in PANELS if name not in NO_BINS]
    table = final(tables, "depth", *known, "intensity_permuted", "clipped_share")
    reference = style.names.reference
    own = table[table["network"] == reference].sort_values("block")
    note = f"{_clipped(table)} {_permuted(own)} DC: the constant term; act.: activation. Dash-dotted: Gaussian tokens "
    note += "of the width"
    published = tables["depth"][lambda rows: (rows["network"] == reference) & (rows["probe"] == PUBLISHED_IMAGE_SET)]
    if len(published):
        count = int(published["images"].iloc[0])
        first = f"first {count} images" if count > 1 else "first image"
        note += f"; crosses: {label(reference)} on the published choice, the {first}"
    what = "Patch tokens over depth, each measure above its controls"
    left_out = NO_BINS if table.get("entropy_nearest", pd.Series(dtype=float)).isna().all() else ()
    panels = {name: text for name, text in PANELS.items() if name not in left_out}
    figure, rows = grid(
        table, style, panels, what, f"{note}.", log=FACTORS, height=0.6 if len(panels) == len(PANELS) else 0.66
    )
    draw_references({column: rows[column] for column in OF_WIDTH}, tables, table, style)
    place, column = next(
        (place, column)
        for place, column in enumerate(columns_of(table["network"], style))
        if reference in column.members or place == 0
    )
    if len(own):
        places = places_of(table[table["network"].isin(column.members)])[reference]
        color = style.looks([reference])[reference]["color"]
        _beside({name: axes[place] for name, axes in rows.items()}, own, published, places, color)
    return figure


def _beside(panels: dict[str, Axes], own: pd.DataFrame, published: pd.DataFrame, places, color) -> None:
    """Draw what the reference has with permuted channels, and on the published choice of images."""
    line = {"color": color, "linewidth": 0.8, "linestyle": ":", "label": "_channels permuted"}
    panels["intensity"].plot(places, own["intensity_permuted"], **line)
    if len(published):
        published = published.sort_values("block")
        look = {"color": color, "markersize": 2.6, "markeredgewidth": 0.6, "label": "_published"}
        for name, axes in panels.items():
            if name in published:
                axes.plot(places, published[name], "x", **look)


def _clipped(table: pd.DataFrame) -> str:
    """Return which share of activations lies outside the one range of all networks."""
    worst = table.loc[table["clipped_share"].idxmax()]
    most = f"at most {100 * worst['clipped_share']:.2g} % ({label(worst['network'])})"
    return f"Outside the one range: {most if worst['clipped_share'] > 0 else 'nothing'}."


def _permuted(own: pd.DataFrame) -> str:
    """Return what permuted channels leave of the intensity of the reference."""
    if own["intensity"].isna().all():
        return "The reference network has no intensity."
    away = 100 * (own["intensity"] / own["intensity_permuted"] - 1).abs().max()
    return f"Intensity of {label(own['network'].iloc[0])}: within {away:.2g} % of that of permuted channels (dotted)."
