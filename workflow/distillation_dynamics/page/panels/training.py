"""The course of training: what is gained on the baseline and when, training curves, and shares of the loss."""

import pandas as pd

from .. import charts
from ..panel import FADE, HIDE, Chart, Control, PageData, Panel, measure, slider
from ..rows import HALF, over_seeds

COURSE = "validation_top1", "validation_loss", "train_loss", "gradient_norm"
TIPS = charts.tips(network_="network", epoch_="epoch", value="value", low="low", high="high")


def panels(data: PageData) -> list[Panel]:
    """Return the panels on gains over training, or without students on training itself, and on the loss's terms."""
    found = []
    if data.has("trajectory", "gain"):
        found.append(_gain(data))
    elif data.has("epochs", "validation_top1"):
        chart, controls, table = _curves(data)
        about = "How networks learned that were trained here, epoch by epoch."
        found.append(Panel("course", "Training curves", about, (chart,), controls, {"course": table}))
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
    names = {"variant": "network", "gain": "value"}
    gains = data.tables["trajectory"].rename(columns=names)
    gains = data.owned(gains[["network", "epoch", "fraction", "seeds", "value", "low", "high"]])
    baseline = data.names.baseline
    about = (
        f"Validation top-1 of a variant less that of {baseline}, of the same seed and epoch, over training [points]."
    )
    tips = [*TIPS, *charts.tips(seeds="seeds")]
    zero = [{"mark": {"type": "rule", "opacity": 0.6}, "encoding": {"y": {"datum": 0}, "color": {"value": charts.INK}}}]
    spec = charts.lines(charts.number("fraction", "share of training"), tips, above=zero)
    columns = {"network": "variant", "epoch": "epoch", "seeds": "seeds", "value": "gain", "low": "low", "high": "high"}
    said = f"{about} Bands: 95 % t interval over seeds."
    drawn = [Chart(f"Gain on {baseline} [points]", said, "gain", spec, columns, follow=HIDE, needs=("value",))]
    tables = {"gain": gains}
    controls: tuple[Control, ...] = ()
    if data.has("epochs"):
        chart, controls, tables["course"] = _curves(data)
        drawn.append(chart)
    return Panel(
        "gain", "When does a gain arise?", about, tuple(drawn), controls, tables, "When does a gain arise?",
        ("trajectory", "training_curves"),
    )  # fmt: skip


def _curves(data: PageData) -> tuple[Chart, tuple[Control, ...], pd.DataFrame]:
    """Return the chart of training curves, what chooses between them, and their table."""
    table = course_of(data)
    chooser = measure(data, "epochs", [name for name in COURSE if name in table])
    spec = charts.lines(charts.whole("epoch", "epoch"), TIPS)
    heads = {"network": "network", "epoch": "epoch", "value": "mean over seeds", "low": "low", "high": "high"}
    said = "Means over seeds with their 95 % t interval."
    chart = Chart("Training curves", said, "course", spec, heads, ("measure",), HIDE, needs=("value",))
    return chart, (chooser,), table


def _terms(data: PageData) -> Panel:
    table = data.owned(over_seeds(data.tables["terms"], ["network", "epoch", "term"], ["share"]))
    table = table[table["network"].isin(data.names.variants)]
    table = table.assign(value=100 * table["share"], half=100 * table["share" + HALF])
    about = "What part of the loss each of its terms is, mean over the updates of an epoch and over seeds."
    tips = charts.tips(network_="variant", term_="term", epoch_="epoch", value="share [%]")
    color = {"field": "term", "type": "nominal", "scale": {"scheme": "tableau10"}}
    color["legend"] = {"orient": "top", "title": None, "columns": 2, "labelLimit": 130}
    x = charts.number("value", "share of the loss [%]", scale={"domainMax": 100})
    encoding = {"y": charts.ROWS, "x": x, "color": color, "opacity": charts.FADED, "tooltip": tips}
    bar = {"mark": {"type": "bar"}, "encoding": encoding}
    columns = {"network": "variant", "epoch": "epoch", "term": "term", "value": "share [%]", "seeds": "seeds"}
    chart = Chart(
        "Share of the loss [%]", about, "terms", charts.spec([bar], {"step": charts.STEP}), columns, ("epoch",), FADE,
        needs=("value",),
    )  # fmt: skip
    controls = (slider("epoch", "Epoch", table["epoch"], last=False),)
    table = table[["owner", "network", "epoch", "term", "seeds", "value"]]
    return Panel("terms", "Dose and place", about, (chart,), controls, {"terms": table}, "Dose and place", ("terms",))
