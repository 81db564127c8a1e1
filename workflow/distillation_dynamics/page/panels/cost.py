"""What every run cost: measured seconds and counted operations."""

from .. import charts
from ..panel import FADE, Chart, Control, PageData, Panel

OPTIONS = {
    "seconds": ("s", "Wall time of training with its validations and test, start-up left out, sum over seeds"),
    "start_seconds": ("s", "Its share of start-up, loading and writing, on top of that, sum over seeds"),
    "training_tflops": (
        "1e12 operations",
        "Of training, 2 a multiply-add, without the teacher's share, sum over seeds",
    ),
}
COLUMNS = {"network": "network", "runs": "runs", "value": "value", "device": "device", "parameters": "parameters"}


def panels(data: PageData) -> list[Panel]:
    """Return the panel on cost; none where nothing was trained here."""
    if not data.has("cost", "seconds") or not data.has("runs"):
        return []
    sums = data.tables["cost"].groupby("network", sort=False).agg(
        runs=("seconds", "size"), seconds=("seconds", "sum"), start_seconds=("start_seconds", "sum"),
        device=("device", "first"),
    )  # fmt: skip
    runs = data.tables["runs"].groupby("network", sort=False)
    sums["training_tflops"] = runs["training_tflops"].sum()
    sums["parameters"] = runs["parameters"].first()
    table = data.owned(sums.reset_index())
    options = tuple(
        {"value": name, "label": name.replace("_", " "), "unit": unit, "about": about, "n": None}
        for name, (unit, about) in OPTIONS.items()
    )
    tips = charts.tips(network_="network", runs="runs", value="value", device_="device", parameters="parameters")
    bar = {
        "mark": {"type": "bar"},
        "encoding": {
            "y": charts.ROWS,
            "x": {"field": "value", "type": "quantitative", "title": None}, "color": charts.COLOR,
            "opacity": charts.FADED, "tooltip": tips,
        },
    }  # fmt: skip
    about = "Measured seconds differ from run to run; variants of a seed that train together share what they share."
    spec = charts.spec([bar], {"step": charts.STEP})
    chart = Chart("Cost of all runs", about, "cost", spec, COLUMNS, ("measure",), FADE, needs=("value",))
    controls = (Control("measure", "measure", "Measure", options),)
    return [Panel("cost", "Cost", about, (chart,), controls, {"cost": table})]
