"""Panel: class probes over depth at the last epoch, with chance and controls."""

from ...page import charts
from ...page.panel import HIDE, Chart, Control, PageData, Panel
from ...page.profiles import COLUMNS, DEPTH, choice_of, profiles
from . import PROBES, TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel; none without values."""
    table, metrics = profiles(data)
    shown = [name for name in PROBES.values() if name in metrics]
    if not shown:
        return []
    about = (
        "Top-1 of probes on a block's mean patch token, after the last epoch. Dotted: chance, the share of the most "
        "frequent class. Lighter and dashed: a network's control."
    )
    toggle = Control("toggle", "controls", "Controls of networks", field="role", hides="control", start=True)
    controls = (choice_of(data, table, shown), toggle)
    columns = {name: "chance" if name == "null" else head for name, head in COLUMNS.items() if name != "gaussian"}
    names, spec = tuple(control.name for control in controls), charts.lines(DEPTH, nulls=True)
    chart = Chart("Class separability by block", about, "profiles", spec, columns, names, HIDE, {"last": [True]})
    return [Panel("classes", TITLE, (chart,), controls, {"profiles": table}, figures=("class_probes",))]
