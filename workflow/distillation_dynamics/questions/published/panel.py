"""Panel: published and measured numbers."""

from ...page import charts
from ...page.panel import FADE, Chart, PageData, Panel
from ...words import of_one_or_each
from . import TITLE

COLUMNS = {
    "network": "variant", "run": "published run", "published_difference": "published [points]",
    "value": "measured [points]", "low": "interval from", "high": "interval to", "seeds": "seeds", "verdict": "verdict",
}  # fmt: skip


def panels(data: PageData) -> list[Panel]:
    """Return the panel on published numbers; none if no variant has any."""
    if not data.has("published", "published_difference"):
        return []
    rows = data.tables["published"].dropna(subset=["published_difference"])
    rows = rows.rename(columns={"variant": "network", "difference": "value"})
    baseline = of_one_or_each("baseline", data.names.baselines.values())
    about = (
        f"Differences in top-1 to {baseline} [points]: circles and thick lines are measured here (mean, 95 % t "
        "interval over seeds), thin lines are where one further seed would lie with 95 %; diamonds are published, of "
        "one seed and of ImageNet-1k. If the run is not the same, the comparison is only a reference."
    )
    title = f"difference to {baseline} [points]"
    own = charts.ROWS | charts.COLOR
    published = charts.ROWS | charts.IN_INK | charts.number("x", "published_difference", title)
    layers = [
        charts.line_at_zero("x"),
        charts.marks("rule", own | charts.between("x", "one_low", "one_high", title)),
        charts.marks("rule", own | charts.between("x", "low", "high", title), strokeWidth=4),
        charts.marks("point", own | charts.number("x", "value", title), filled=True, size=80),
        charts.marks("point", published, shape="diamond", size=110, strokeWidth=2),
    ]
    chart = Chart(
        f"Differences to {baseline}, published and measured",
        about,
        "published",
        charts.chart(layers, charts.STEP),
        COLUMNS,
        follow=FADE,
        needs=(),
    )
    tables = {"published": data.owned(rows[[*COLUMNS, "one_low", "one_high"]])}
    return [Panel("published", TITLE, (chart,), tables=tables)]
