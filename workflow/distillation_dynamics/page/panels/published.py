"""What a paper says: its claims one by one, and its numbers beside the measured ones."""

from ...statistics.evidence import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTABLE
from .. import charts
from ..html import render
from ..panel import FADE, Chart, PageData, Panel

BADGES = {SUPPORTED: "yes", CONTRADICTED: "no", UNDECIDED: "open", UNTESTABLE: "none"}
COLUMNS = {
    "network": "variant", "run": "published run", "published_difference": "published", "value": "measured",
    "low": "low", "high": "high", "seeds": "seeds", "verdict": "verdict",
}  # fmt: skip


def panels(data: PageData) -> list[Panel]:
    """Return the panels on claims and published numbers, as far as there are tables for them."""
    return [*_claims(data), *_numbers(data)]


def _claims(data: PageData) -> list[Panel]:
    if not data.has("claims"):
        return []
    claims = data.tables["claims"].to_dict("records")
    return [
        Panel("claims", "The paper's claims, one by one", body=render("claims.html.j2", claims=claims, badges=BADGES))
    ]


def _numbers(data: PageData) -> list[Panel]:
    if not data.has("published", "published_difference"):
        return []
    rows = data.tables["published"].dropna(subset=["published_difference"])
    rows = rows.rename(columns={"variant": "network", "difference": "value"})
    baseline = data.names.baseline
    about = (
        f"Differences in top-1 to {baseline} [points]: circles and thick lines are measured here (mean, 95 % t "
        "interval over seeds), thin lines are where one further seed would lie with 95 %; diamonds are published, of "
        "one seed and of ImageNet-1k. Where a run is not the same one, the two are only shown beside each other."
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
    chart = Chart(title, about, "published", charts.chart(layers, charts.STEP), COLUMNS, follow=FADE, needs=())
    tables = {"published": data.owned(rows[[*COLUMNS, "one_low", "one_high"]])}
    return [Panel("published", "Published beside measured", (chart,), tables=tables)]
