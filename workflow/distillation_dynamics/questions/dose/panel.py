"""Panel: share of each term in the loss."""

from ...page import charts
from ...page.panel import FADE, OWNER, Chart, PageData, Panel, slider
from ...page.rows import over_seeds
from . import TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel on the terms of the loss; none without students."""
    if not (data.has("terms", "share") and data.names.variants):
        return []
    table = data.owned(over_seeds(data.tables["terms"], ["network", "epoch", "term"], ["share"]))
    table = table[table["network"].isin(data.names.variants)].assign(value=100 * table["share"])
    about = "Share of each term in the loss, mean over the updates of an epoch and over seeds."
    legend = {"orient": "top", "title": None, "columns": 2, "labelLimit": 130}
    color = {"color": {"field": "term", "type": "nominal", "scale": charts.TERMS, "legend": legend}}
    spec = charts.bars(charts.number("x", "value", "share of the loss [%]", scale={"domainMax": 100}), color)
    columns = {"network": "variant", "epoch": "epoch", "term": "term", "value": "share [%]", "seeds": "seeds"}
    chart = Chart("Shares of the loss", about, "terms", spec, columns, ("epoch",), FADE)
    controls = (slider("epoch", "Epoch", table["epoch"], last=False),)
    tables = {"terms": table[[OWNER, "network", "epoch", "term", "seeds", "value"]]}
    return [Panel("terms", TITLE, (chart,), controls, tables, figures=("terms",))]
