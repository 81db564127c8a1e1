"""Training curves as a chart, with their table."""

import pandas as pd

from . import charts
from .panel import HIDE, Chart, Control, PageData, measure
from .rows import over_seeds

COURSE = "validation_top1", "validation_loss", "train_loss", "gradient_norm"
COURSE_HEADS = {
    "network": "network", "epoch": "epoch", "value": charts.MEASURE, "low": "interval from", "high": "interval to",
}  # fmt: skip


def course_of(data: PageData) -> pd.DataFrame:
    """Return the training curves: means over seeds by epoch, with half of their interval."""
    table = data.tables["epochs"]
    columns = [name for name in COURSE if name in table and table[name].notna().any()]
    return data.owned(over_seeds(table, ["network", "epoch"], columns))


def curves(data: PageData, about: str = "") -> tuple[Chart, tuple[Control, ...], pd.DataFrame]:
    """Return the chart of training curves, the choice between them, and their table."""
    table = course_of(data)
    chooser = measure(data.meanings("epochs", [name for name in COURSE if name in table]))
    spec = charts.lines(charts.whole("x", "epoch", "epoch"))
    about += "Means over seeds with their 95 % t interval."
    return Chart("Training curves", about, "course", spec, COURSE_HEADS, ("measure",), HIDE), (chooser,), table
