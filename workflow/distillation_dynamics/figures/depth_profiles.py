"""How do intensity, entropy and activation magnitude change over depth? The three published curves of every network.

`profile_controls` has what these measures become without scale, bins or constant term; `shape` tests the curves.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..drawing.axis import places_of
from ..drawing.profiles import draw_references, final, grid
from ..drawing.style import Style, label
from ..spec.tables import PUBLISHED_IMAGE_SET

TABLES = ("depth", "references")
METRICS = ("spectrum", "entropy", "magnitude")
PANELS = {
    "intensity": "intensity\n[activation units]",
    "entropy": "entropy, own range\n[bits]",
    "activation_magnitude": "magnitude\n[activation units]",
}
# What grows and falls in factors.
FACTORS = ("intensity", "activation_magnitude")
CAPTION = (
    "Spectral intensity, token entropy and activation magnitude over depth: last epoch, {images}, means over the "
    "seeds measured. Left: levels, bands: 95 % interval over images; right, for variants measured with several seeds: "
    "difference or ratio to the baseline of the same seed, with its 95 % t interval. Controls: each network's own, "
    "intensity with permuted channels, and the entropy of Gaussian tokens of the same width."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw each network's last epoch, and of each variant its ratio or difference to the baseline."""
    table = final(tables, "depth", *PANELS, "intensity_permuted")
    reference = style.names.reference
    own = table[table["network"] == reference].sort_values("block")
    published = tables["depth"][lambda rows: (rows["network"] == reference) & (rows["probe"] == PUBLISHED_IMAGE_SET)]
    note = f"{_permuted(own)} Dash-dotted: Gaussian tokens of the width"
    if len(published):
        count = int(published["images"].iloc[0])
        first = f"first {count} images" if count > 1 else "first image"
        note += f"; crosses: {label(reference)} on the published choice, the {first}"
    what = "The published measures over depth"
    drawn = grid(table, style, PANELS, what, f"{note}. Controls can leave a panel.", log=FACTORS, height=1.25)
    draw_references(drawn, ("entropy",), tables, table, style)
    place = next((place for place, column in enumerate(drawn.columns) if reference in column.members), 0)
    if len(own):
        places = places_of(table[table["network"].isin(drawn.columns[place].members)])[reference]
        color = style.looks([reference])[reference]["color"]
        _beside({name: axes[place] for name, axes in drawn.panels.items()}, own, published, places, color)
    return drawn.figure


def _beside(panels: dict[str, Axes], own: pd.DataFrame, published: pd.DataFrame, places, color) -> None:
    """Draw what the reference has with permuted channels, and on the published choice of images."""
    line = {"color": color, "linewidth": 0.8, "linestyle": ":", "label": "_channels permuted"}
    panels["intensity"].plot(places, own["intensity_permuted"], **line)
    if len(published):
        published = published.sort_values("block")
        look = {"color": color, "markersize": 2.6, "markeredgewidth": 0.6, "label": "_published"}
        for name, axes in panels.items():
            axes.plot(places, published[name], "x", **look)


def _permuted(own: pd.DataFrame) -> str:
    """Return what permuted channels leave of the intensity of the reference."""
    if own["intensity"].isna().all():
        return "The first network has no intensity."
    away = 100 * (own["intensity"] / own["intensity_permuted"] - 1).abs().max()
    return f"Intensity of {label(own['network'].iloc[0])}: within {away:.2g} % of that of permuted channels (dotted)."
