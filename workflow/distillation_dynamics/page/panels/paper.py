"""Panel: the paper's figures for this study: spectra by block, entropy and magnitudes over depth, saliency."""

import pandas as pd

from ...words import spaced
from .. import charts, saliency
from ..leading import left_out
from ..metrics import SINCE_FIRST, name_of
from ..panel import HIDE, OWNER, Chart, Control, PageData, Panel, choice
from ..profiles import COLUMNS, DEPTH, null_of, profiles, unit_of
from .spectra import curves

SPECTRUM, PERMUTED = "amplitude", "amplitude_null"
# Metric -> title of its chart, in the paper's order.
PROFILES = {
    SINCE_FIRST: "Entropy over depth",
    "intensity": "Spectral intensity over depth",
    "activation_magnitude": "Activation magnitude over depth",
    "gradient_magnitude": "Gradient magnitude over depth",
}
HEADS = {
    "network": "network", "block": "block", "block_name": "name in timm", "frequency": "frequency [cycles per channel]",
    "value": "over the largest", "size": "amplitude [activation units]",
}  # fmt: skip
CONTROLS = Control("toggle", "controls", "Controls of networks", field="role", hides="control", start=True)


def panels(data: PageData) -> list[Panel]:
    """Return the panel of the paper's figures; none if the study measured none of them."""
    drawn, controls, tables = _spectra(data)
    table, metrics = profiles(data)
    shown = [name for name in PROFILES if name in metrics]
    drawn += [_profile(data, table, name) for name in shown]
    if shown:
        controls.append(CONTROLS)
        tables["profiles"] = table
    pictures = saliency.pictures(data)
    if not drawn and pictures is None:
        return []
    figures = ("saliency",) if pictures else ()
    named = "The paper's figures, here"
    return [Panel("paper", named, tuple(drawn), tuple(controls), tables, figures, pictures, place=5)]


def _spectra(data: PageData) -> tuple[list[Chart], list[Control], dict[str, pd.DataFrame]]:
    """Return the spectra as maps of frequencies by block, measured and with permuted channels; none without data."""
    if not data.has("spectrum", SPECTRUM, PERMUTED):
        return [], [], {}
    table = with_edges(curves(data, [SPECTRUM]))
    # One scale per network, so that both its maps have the same colours.
    largest = table.groupby("network")[SPECTRUM].transform("max")
    largest = largest.combine(table.groupby("network")[PERMUTED].transform("max"), max)
    null = "The null: channels in random order. What both maps show does not come from the order of the channels."
    more = left_out(data, "tables/spectrum.parquet")
    kinds = {
        "measured": ("Spectrum over channels, by block", "As measured: a row is a block, a column a frequency." + more),
        "permuted": ("The same with permuted channels", null),
    }
    keys = table[[OWNER, "network", "block", "block_name", "frequency", "from", "to"]]
    rows = pd.concat(
        [
            keys.assign(kind=kind, size=table[column], value=table[column] / largest)
            for kind, column in zip(kinds, (SPECTRUM, PERMUTED), strict=True)
        ],
        ignore_index=True,
    )
    owners = dict(zip(rows["network"], rows[OWNER], strict=True))
    control = choice("network", "Network in the maps", {name: spaced(name) for name in owners}, owners)
    drawn = [
        Chart(title, about, "spectra_by_block", charts.spectrogram(), HEADS, ("network",), where={"kind": [kind]})
        for kind, (title, about) in kinds.items()
    ]
    return drawn, [control], {"spectra_by_block": rows}


def with_edges(table: pd.DataFrame) -> pd.DataFrame:
    """Return spectra with the limits `from` and `to` of each row's frequencies."""
    by = table.groupby(["network", "block"])["frequency"]
    before, after = by.shift(1), by.shift(-1)
    low = ((table["frequency"] + before) / 2).fillna(table["frequency"])
    return table.assign(**{"from": low, "to": ((table["frequency"] + after) / 2).fillna(table["frequency"])})


def _profile(data: PageData, table: pd.DataFrame, metric: str) -> Chart:
    unit = unit_of(data, metric)
    title = name_of(metric) + (f" [{unit}]" if unit else "")
    fields = {"value": metric, **null_of(metric, table)}
    logarithmic = metric != SINCE_FIRST
    spec = charts.lines(DEPTH, title, nulls="null" in fields, logarithmic=logarithmic)
    about = "Bins span each network's own range, so that changes can be compared and levels cannot. "
    if metric != SINCE_FIRST:
        about = "Logarithmic axis. " + "Dotted: with permuted channels. " * ("null" in fields)
    about += "Lighter and dashed: a network's control."
    left_out = {"gaussian"} if "null" in fields else {"gaussian", "null"}
    heads = {name: title if name == "value" else head for name, head in COLUMNS.items() if name not in left_out}
    where = {"last": [True]}
    named = PROFILES[metric]
    return Chart(named, about, "profiles", spec, heads, (CONTROLS.name,), HIDE, where, fields=fields)
