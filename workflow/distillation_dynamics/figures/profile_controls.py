"""What do the published measures become without scale, bins or constant term? Their controls over depth.

The appendix of `depth_profiles`: intensity without the constant term and over RMS, entropy in one range for all
networks, of standardised tokens and without bins, RMS, and the deviation within a token.
"""

import pandas as pd
from matplotlib.figure import Figure

from ..drawing.profiles import draw_references, final, grid
from ..drawing.style import Style, label

TABLES = ("depth", "references")
METRICS = ("spectrum", "entropy", "magnitude")
# What Gaussian tokens of the same width, and of the same RMS where that matters, have a level of.
OF_WIDTH = ("intensity_per_rms", "entropy_fixed_range", "entropy_standardised")
PANELS = {
    "intensity_without_dc": "intensity,\nno DC\n[act. units]",
    "intensity_per_rms": "intensity\n/ RMS",
    "entropy_fixed_range": "entropy,\none range\n[bits]",
    "entropy_standardised": "entropy,\nstandard-\nised [bits]",
    "entropy_nearest": "entropy,\nno bins\n[bits]",
    "rms": "RMS\n[act. units]",
    "token_standard_deviation": "deviation\nin a token\n[act. units]",
}
# Drawn where it was measured.
NO_BINS = "entropy_nearest"
# What grows and falls in factors.
FACTORS = ("intensity_without_dc", "intensity_per_rms", "rms", "token_standard_deviation")
CAPTION = (
    "The controls of spectral intensity, token entropy and activation magnitude over depth: the same measures with "
    "scale, bins or constant term taken out, and scale itself; last epoch, {images}, means over the seeds measured; "
    "bands: 95 % interval over images. Controls: each network's own, and the levels of Gaussian tokens of the same "
    "width."
)


def draw(tables: dict[str, pd.DataFrame], style: Style) -> Figure:
    """Draw the levels of networks, their controls and the baseline at the last epoch."""
    table = final(tables, "depth", *(name for name in PANELS if name != NO_BINS), "clipped_share")
    bins = NO_BINS in table and table[NO_BINS].notna().any()
    panels = {name: text for name, text in PANELS.items() if bins or name != NO_BINS}
    note = f"{_clipped(table)} DC: the constant term; act.: activation. Dash-dotted: Gaussian tokens of the width."
    note += " Controls can leave a panel."
    what = "Controls of the published measures over depth"
    drawn = grid(table, style, panels, what, note, log=FACTORS, height=0.75, variants=False)
    draw_references(drawn, OF_WIDTH, tables, table, style)
    return drawn.figure


def _clipped(table: pd.DataFrame) -> str:
    """Return which share of activations lies outside the one range of all networks."""
    worst = table.loc[table["clipped_share"].idxmax()]
    most = f"at most {100 * worst['clipped_share']:.2g} % ({label(worst['network'])})"
    return f"Outside the one range: {most if worst['clipped_share'] > 0 else 'nothing'}."
