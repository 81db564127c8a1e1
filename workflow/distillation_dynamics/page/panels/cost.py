"""Panel: cost of every run: measured seconds and memory, and counted operations."""

from ...files import Column
from .. import charts
from ..panel import FADE, Chart, PageData, Panel, measure

COLUMNS = {
    "network": "network", "runs": "runs", "value": charts.MEASURE, "device": "device", "parameters": "parameters",
}  # fmt: skip
MEASURES = {
    "seconds": Column("s", "wall time of one training with its validations and test, without start-up, mean over runs"),
    "start_seconds": Column("s", "time of start-up, loading and writing of one training, mean over runs"),
    "training_tflops": Column(
        "1e12 operations", "operations of one training, 2 a multiply-add, without the teacher's share, mean over runs"
    ),
    "peak_mb": Column("MB", "largest memory of a process that trained one"),
}


def panels(data: PageData) -> list[Panel]:
    """Return the panel on cost; none if nothing was trained here."""
    if not data.has("cost", "seconds") or not data.has("runs"):
        return []
    cost, runs = (data.tables[name].groupby("network", sort=False) for name in ("cost", "runs"))
    means = cost[["seconds", "start_seconds"]].mean().assign(runs=cost.size(), device=cost["device"].first())
    means = means.assign(training_tflops=runs["training_tflops"].mean(), parameters=runs["parameters"].first())
    means = means.assign(peak_mb=cost["peak_mb"].max())
    about = "Times vary from run to run. Variants of one seed that train together share the teacher and the batches."
    spec = charts.bars({"x": {"field": "value", "type": "quantitative", "title": charts.MEASURE}})
    chart = Chart("Cost of one run", about, "cost", spec, COLUMNS, ("measure",), FADE)
    return [Panel("cost", "Cost", (chart,), (measure(MEASURES),), {"cost": data.owned(means.reset_index())}, place=110)]
