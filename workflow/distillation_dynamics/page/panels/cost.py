"""What every run cost: measured seconds and memory, and counted operations."""

from ...files import Column
from .. import charts
from ..panel import FADE, Chart, PageData, Panel, measure

COLUMNS = {"network": "network", "runs": "runs", "value": "value", "device": "device", "parameters": "parameters"}
MEASURES = {
    "seconds": Column("s", "wall time of training with its validations and test, start-up left out, sum over seeds"),
    "start_seconds": Column("s", "its share of start-up, loading and writing, on top of that, sum over seeds"),
    "training_tflops": Column(
        "1e12 operations", "of training, 2 a multiply-add, without the teacher's share, sum over seeds"
    ),
    "peak_mb": Column("MB", "most memory of a process that made it"),
}


def panels(data: PageData) -> list[Panel]:
    """Return the panel on cost; none where nothing was trained here."""
    if not data.has("cost", "seconds") or not data.has("runs"):
        return []
    cost, runs = (data.tables[name].groupby("network", sort=False) for name in ("cost", "runs"))
    sums = cost[["seconds", "start_seconds"]].sum().assign(runs=cost.size(), device=cost["device"].first())
    sums = sums.assign(training_tflops=runs["training_tflops"].sum(), parameters=runs["parameters"].first())
    sums = sums.assign(peak_mb=cost["peak_mb"].max())
    about = "What is measured differs from run to run; variants of a seed that train together share what they share."
    spec = charts.bars({"x": {"field": "value", "type": "quantitative", "title": None}})
    chart = Chart("Cost of all runs", about, "cost", spec, COLUMNS, ("measure",), FADE)
    return [Panel("cost", "Cost", (chart,), (measure(MEASURES),), {"cost": data.owned(sums.reset_index())}, place=160)]
