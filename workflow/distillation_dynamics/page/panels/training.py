"""The course of training: what is gained on the baseline and when, training curves, and shares of the loss."""

import pandas as pd

from .. import charts
from ..panel import FADE, HIDE, OWNER, Chart, Control, PageData, Panel, measure, slider
from ..rows import over_seeds

COURSE = "validation_top1", "validation_loss", "train_loss", "gradient_norm"


def panels(data: PageData) -> list[Panel]:
    """Return the panels on gains over training, or without students on training itself, and on the loss's terms."""
    found = []
    if data.has("trajectory", "gain"):
        found.append(_gain(data))
    elif data.has("epochs", "validation_top1"):
        chart, controls, table = _curves(data, "How networks learned that were trained here, epoch by epoch. ")
        found.append(Panel("course", "Training curves", (chart,), controls, {"course": table}))
    # Pretrained networks learn from labels alone.
    if data.has("terms", "share") and data.names.variants:
        found.append(_terms(data))
    return found


def course_of(data: PageData) -> pd.DataFrame:
    """Return the training curves: means over seeds by epoch, with half of their interval."""
    table = data.tables["epochs"]
    columns = [name for name in COURSE if name in table and table[name].notna().any()]
    return data.owned(over_seeds(table, ["network", "epoch"], columns))


def _gain(data: PageData) -> Panel:
    gains = data.tables["trajectory"].rename(columns={"variant": "network", "gain": "value"})
    tables = {"gain": data.owned(gains[["network", "epoch", "fraction", "seeds", "value", "low", "high"]])}
    baseline = data.names.baseline
    about = (
        f"Validation top-1 of a variant less that of {baseline}, of the same seed and epoch, over training [points]. "
        "Bands: 95 % t interval over seeds."
    )
    x, above = charts.number("x", "fraction", "share of training"), (charts.line_at_zero("y"),)
    columns = {"network": "variant", "epoch": "epoch", "seeds": "seeds", "value": "gain", "low": "low", "high": "high"}
    title = f"Gain on {baseline} [points]"
    drawn = [Chart(title, about, "gain", charts.lines(x, above=above), columns, follow=HIDE)]
    controls: tuple[Control, ...] = ()
    if data.has("epochs"):
        chart, controls, tables["course"] = _curves(data)
        drawn.append(chart)
    figures = "trajectory", "training_curves"
    return Panel("gain", "When does a gain arise?", tuple(drawn), controls, tables, figures=figures)


def _curves(data: PageData, about: str = "") -> tuple[Chart, tuple[Control, ...], pd.DataFrame]:
    """Return the chart of training curves, what chooses between them, and their table."""
    table = course_of(data)
    chooser = measure(data.meanings("epochs", [name for name in COURSE if name in table]))
    spec = charts.lines(charts.whole("x", "epoch", "epoch"))
    heads = {"network": "network", "epoch": "epoch", "value": "mean over seeds", "low": "low", "high": "high"}
    about += "Means over seeds with their 95 % t interval."
    return Chart("Training curves", about, "course", spec, heads, ("measure",), HIDE), (chooser,), table


def _terms(data: PageData) -> Panel:
    table = data.owned(over_seeds(data.tables["terms"], ["network", "epoch", "term"], ["share"]))
    table = table[table["network"].isin(data.names.variants)].assign(value=100 * table["share"])
    about = "What part of the loss each of its terms is, mean over the updates of an epoch and over seeds."
    legend = {"orient": "top", "title": None, "columns": 2, "labelLimit": 130}
    color = {"color": {"field": "term", "type": "nominal", "scale": {"scheme": "tableau10"}, "legend": legend}}
    spec = charts.bars(charts.number("x", "value", "share of the loss [%]", scale={"domainMax": 100}), color)
    columns = {"network": "variant", "epoch": "epoch", "term": "term", "value": "share [%]", "seeds": "seeds"}
    chart = Chart("Share of the loss [%]", about, "terms", spec, columns, ("epoch",), FADE)
    controls = (slider("epoch", "Epoch", table["epoch"], last=False),)
    tables = {"terms": table[[OWNER, "network", "epoch", "term", "seeds", "value"]]}
    return Panel("terms", "Dose and place", (chart,), controls, tables, figures=("terms",))
