"""Panel: every metric over depth at the last epoch, with its control, its null and Gaussian tokens."""

from ...page import charts
from ...page.panel import HIDE, SCALE, Chart, Control, PageData, Panel
from ...page.profiles import COLUMNS, DEPTH, choice_of, profiles
from ...statistics.bins import TOO_FEW
from . import TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel on metrics over depth at the last epoch; none if nothing was measured by block."""
    table, metrics = profiles(data)
    if not metrics:
        return []
    about = (
        "After the last epoch. Lighter and dashed: a network's control. Dotted: with permuted channels, with a band "
        "where one was measured. Dash-dotted: Gaussian tokens of the same width and scale. White centre: "
        f"{TOO_FEW}."
    )
    controls = (
        choice_of(data, table, metrics),
        SCALE,
        Control("toggle", "controls", "Controls of networks", field="role", hides="control", start=True),
        Control("toggle", "nulls", "Null of permuted channels", clears=("null", "null_low", "null_high"), start=True),
        Control("toggle", "gaussian", "Gaussian tokens", clears=("gaussian",), start=False),
    )
    names, spec = tuple(control.name for control in controls), charts.lines(DEPTH, nulls=True, switched=True)
    chart = Chart("Metric over depth", about, "profiles", spec, COLUMNS, names, HIDE, {"last": [True]})
    figures = "shape", "depth_profiles", "profile_controls", "probes"
    return [Panel("shape", TITLE, (chart,), controls, {"profiles": table}, figures)]
