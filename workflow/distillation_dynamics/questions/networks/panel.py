"""Panel: similarity of networks, one number per pair."""

from ...page import charts
from ...page.leading import left_out, of_leading
from ...page.panel import Chart, PageData, Panel, choice, measure
from . import MEASURES, TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel on pairs of networks; none where none were compared."""
    measures = [name for name in MEASURES if data.has("networks", name)]
    if not measures:
        return []
    table = data.tables["networks"][["network", "other", "kind", *measures, "images"]]
    table = of_leading(data, table, "network", "other")
    about = (
        "Similarity of two networks: for each block its most similar block in the other network, averaged over blocks. "
        "The best of many is high by chance: compare it with the controls, and with another seed of the same network."
    ) + left_out(data, "statistics/networks.parquet", "chart", variants=False)
    columns = {"network": "network", "other": "other", "kind": "what", "value": charts.MEASURE, "images": "images"}
    spec = charts.heat(charts.place("x", "other", "other"), charts.place("y", "network", "network"))
    chart = Chart("Similarity of every two networks", about, "networks", spec, columns, ("measure", "kind"))
    kinds = {kind: kind for kind in table["kind"]}
    controls = measure(data.meanings("networks", measures)), choice("kind", "Pairs of", kinds)
    return [Panel("networks", TITLE, (chart,), controls, {"networks": table}, figures=("networks",))]
