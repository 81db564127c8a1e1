"""Networks beside each other: one number a pair."""

from ...page import charts
from ...page.panel import Chart, PageData, Panel, choice, measure
from . import MEASURES, TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel on pairs of networks; none where none were compared."""
    shown = [name for name in MEASURES if data.has("networks", name)]
    if not shown:
        return []
    table = data.tables["networks"][["network", "other", "kind", *shown, "images"]]
    about = (
        "How alike two networks are: for each block its most similar block in the other network, averaged over blocks. "
        "The best of many is high by chance: compare it with the controls, and with another seed of the same network."
    )
    columns = {"network": "network", "other": "other", "kind": "what", "value": charts.MEASURE, "images": "images"}
    spec = charts.heat(charts.place("x", "other", "other"), charts.place("y", "network", "network"))
    chart = Chart("Similarity of every two networks", about, "networks", spec, columns, ("measure", "kind"))
    kinds = {kind: kind for kind in table["kind"]}
    controls = measure(data.meanings("networks", shown)), choice("kind", "Pairs of", kinds)
    return [Panel("networks", TITLE, (chart,), controls, {"networks": table}, figures=("networks",))]
