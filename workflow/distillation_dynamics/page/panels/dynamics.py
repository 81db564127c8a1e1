"""Panel: every metric by block over epochs, next to accuracy."""

from ...statistics.bins import TOO_FEW
from .. import charts
from ..course import COURSE, COURSE_HEADS, course_of
from ..panel import HIDE, OWNER, SCALE, Chart, PageData, Panel, slider
from ..profiles import COLUMNS, DEPTH, choice_of, profiles
from ..rows import HALF


def panels(data: PageData) -> list[Panel]:
    """Return the panel on metrics over epochs; none without students."""
    table, metrics = profiles(data)
    if not metrics or not data.names.variants or table["epoch"].isna().all():
        return []
    about = (
        "Students at the epoch of the slider, networks after training. Bands: 95 % t interval over seeds for students, "
        f"95 % interval over images for networks. White centre: {TOO_FEW}."
    )
    spec = charts.lines(DEPTH, switched=True)
    where = {"role": ["variant", "network"]}
    drawn = [Chart("Metric by block", about, "profiles", spec, COLUMNS, ("measure", "epoch", SCALE.name), HIDE, where)]
    tables = {"profiles": table}
    if data.has("epochs", COURSE[0]):
        drawn.append(_course())
        own = course_of(data)
        own = own[own["network"].isin(data.names.variants)].rename(columns={COURSE[0]: "value"})
        half = own[COURSE[0] + HALF]
        own = own.assign(low=own["value"] - half, high=own["value"] + half)
        tables["dynamics_course"] = own[[OWNER, "network", "epoch", "value", "low", "high"]]
    controls = (choice_of(data, table, metrics), slider("epoch", "Epoch", table["epoch"].dropna()), SCALE)
    figures = "dynamics", "rank", "tokens"
    title = "Dynamics: metric by block and epoch"
    return [Panel("dynamics", title, tuple(drawn), controls, tables, figures=figures, place=32)]


def _course() -> Chart:
    """Return the chart of accuracy over training, with a line at the slider's epoch."""
    line = charts.line_at("x", {"expr": "at"}, strokeWidth=2)
    title = "validation top-1 [%]"
    params = [{"name": "at", "value": 0}]
    spec = charts.lines(charts.whole("x", "epoch", "epoch"), title, above=(line,), params=params)
    heads = COURSE_HEADS | {"value": title}
    title, about = "Validation top-1 over training", "Means over seeds with their 95 % t interval. Vertical"
    about += " line: the epoch of the slider."
    return Chart(title, about, "dynamics_course", spec, heads, follow=HIDE, signals={"at": "epoch"})
