"""Panel: gain over the baseline during training; training curves."""

from ...page import charts
from ...page.course import curves
from ...page.panel import HIDE, Chart, Control, PageData, Panel
from ...words import of_one_or_each
from . import TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel on gains over training or, without students, on training itself."""
    if data.has("trajectory", "gain"):
        return [_gain(data)]
    if data.has("epochs", "validation_top1"):
        chart, controls, table = curves(data, "How networks learned that were trained here, epoch by epoch. ")
        return [Panel("course", "Training curves", (chart,), controls, {"course": table})]
    return []


def _gain(data: PageData) -> Panel:
    gains = data.tables["trajectory"].rename(columns={"variant": "network", "gain": "value"})
    tables = {"gain": data.owned(gains[["network", "epoch", "fraction", "seeds", "value", "low", "high"]])}
    baseline = of_one_or_each("baseline", data.names.baselines.values())
    about = (
        f"Validation top-1 of a variant minus that of {baseline}, of the same seed and epoch, over training [points]. "
        "Bands: 95 % t interval over seeds."
    )
    x, above = charts.number("x", "fraction", "share of training"), (charts.line_at_zero("y"),)
    columns = {
        "network": "variant",
        "epoch": "epoch",
        "seeds": "seeds",
        "value": "gain [points]",
        "low": "interval from",
        "high": "interval to",
    }
    title = f"gain on {baseline} [points]"
    drawn = [
        Chart(
            f"Gain on {baseline} over training",
            about,
            "gain",
            charts.lines(x, title, above=above),
            columns,
            follow=HIDE,
        )
    ]
    controls: tuple[Control, ...] = ()
    if data.has("epochs"):
        chart, controls, tables["course"] = curves(data)
        drawn.append(chart)
    return Panel("gain", TITLE, tuple(drawn), controls, tables, figures=("training_curves",))
