"""Panel: spectra over channels, block by block, with those of permuted channels."""

import numpy as np
import pandas as pd

from ...drawing.style import main_images
from ...statistics.checkpoints import at_last_epoch, of_first_seed
from ...words import spaced
from .. import charts
from ..leading import left_out, of_leading
from ..panel import OWNER, SCALE, Chart, Control, PageData, Panel, choice, measure

# Curve -> columns of its null and of the simultaneous 95 % band.
CURVES = {
    name: {"null": f"{name}_null", "null_low": f"{name}_band_low", "null_high": f"{name}_band_high"}
    for name in ("sep_folded", "amplitude")
}
# Maximum number of frequencies in a chart; longer curves are thinned evenly.
MOST = 64
COLUMNS = {
    "network": "network", "block": "block", "block_name": "name in timm", "frequency": "frequency [cycles per channel]",
    "value": charts.MEASURE, "null": "with permuted channels", "null_low": "band from", "null_high": "band to",
}  # fmt: skip


def panels(data: PageData) -> list[Panel]:
    """Return the panel on spectra; none if they were not measured."""
    shown = [name for name in CURVES if data.has("spectrum", name)]
    if not shown:
        return []
    table = curves(data, shown)
    about = (
        "Spectrum over the channels of a block, mean over tokens and images, last epoch, lowest seed. Dotted: with "
        "permuted channels; 95 % of the permuted curves lie entirely inside the band. A curve that leaves it has "
        "structure in the order of its channels."
    ) + left_out(data, "tables/spectrum.parquet")
    nulls = {curve: {field: name for field, name in CURVES[curve].items() if name in table} for curve in shown}
    owners = dict(zip(table["network"], table[OWNER], strict=True))
    controls = (
        choice("network", "Network", {name: spaced(name) for name in owners}, owners),
        choice("block", "Block", {str(block): str(block) for block in sorted(set(table["block"]))}),
        measure(data.meanings("spectrum", shown), "Curve", nulls, shown=table),
        SCALE,
        Control("toggle", "nulls", "Null of permuted channels", clears=("null", "null_low", "null_high"), start=True),
    )
    spec = charts.lines(charts.number("x", "frequency", "frequency [cycles per channel]"), nulls=True, switched=True)
    names = tuple(control.name for control in controls)
    chart = Chart("Spectrum over channels", about, "spectra", spec, COLUMNS, names)
    return [Panel("spectra", "Spectra", (chart,), controls, {"spectra": table}, figures=("spectra", "sep"), place=34)]


def curves(data: PageData, shown: list[str]) -> pd.DataFrame:
    """Return the curves of the leading networks: last epoch, lowest seed, main images, at most MOST frequencies."""
    table = of_leading(data, main_images(data.tables["spectrum"]), "network")
    table = table[table["frequency"] <= 0.5].dropna(subset=shown, how="all")
    table = table[at_last_epoch(table, "network")]
    table = table[of_first_seed(table, "network")]
    place = table.groupby(["network", "block"]).cumcount()
    count = table.groupby(["network", "block"])["frequency"].transform("size")
    # The bins at which the thinned position changes, including first and last.
    step = np.floor(place * (MOST - 1) / (count - 1).clip(lower=MOST - 1))
    before = np.floor((place - 1) * (MOST - 1) / (count - 1).clip(lower=MOST - 1))
    table = data.owned(table[step > before])
    columns = [*shown, *(column for name in shown for column in CURVES[name].values() if column in table)]
    return table[[OWNER, "network", "block", "block_name", "frequency", *columns]].reset_index(drop=True)
