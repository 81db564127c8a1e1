"""What a paper says: its claims one by one, and its numbers beside the measured ones."""

from typing import Any

from ...statistics.evidence import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTABLE
from .. import charts
from ..html import Html, table, tag
from ..panel import FADE, Chart, PageData, Panel

BADGES = {SUPPORTED: "yes", CONTRADICTED: "no", UNDECIDED: "open", UNTESTABLE: "none"}
HEADS = "Claim", "Verdict here", "Number", "Control", "Why, and what decides"


def panels(data: PageData) -> list[Panel]:
    """Return the panels on claims and published numbers, as far as there are tables for them."""
    return [*_claims(data), *_numbers(data)]


def _claims(data: PageData) -> list[Panel]:
    if not data.has("claims"):
        return []
    about = (
        f"Verdicts are of this study alone: {SUPPORTED} and {CONTRADICTED} hold for its networks, images and recipe; "
        f"{UNDECIDED} is what its intervals leave open; {UNTESTABLE} is what it does not vary or measure."
    )
    rows = [
        (
            tag("span", tag("b", f"{row['claim']}: "), row["text"]),
            tag("span", row["verdict"], class_=f"badge {BADGES[row['verdict']]}"),
            *(_listed(row[name]) for name in ("number", "control")),
            tag("span", row["why"], ". ", tag("span", "Decides: ", row["decides"], ".", class_="about")),
        )
        for row in data.tables["claims"].to_dict("records")
    ]
    body = table(HEADS, rows, "The paper's claims and what this study says of each")
    return [
        Panel("claims", "The paper's claims, one by one", about, report="The paper's claims, one by one", body=body)
    ]


def _listed(said: str) -> Html | str:
    """Return several numbers of a claim below each other."""
    parts = [part for part in str(said or "").split("; ") if part]
    return tag("ul", *(tag("li", part) for part in parts)) if len(parts) > 1 else (parts or ["-"])[0]


def _numbers(data: PageData) -> list[Panel]:
    if not data.has("published", "published_difference"):
        return []
    rows = data.tables["published"].dropna(subset=["published_difference"])
    shown = rows.rename(columns={"variant": "network", "difference": "value"})
    columns = [
        "network",
        "run",
        "published_difference",
        "value",
        "low",
        "high",
        "one_low",
        "one_high",
        "seeds",
        "verdict",
    ]
    shown = data.owned(shown[columns])
    baseline = data.names.baseline
    about = (
        f"Differences in top-1 to {baseline} [points]: circles and thick lines are measured here (mean, 95 % t "
        "interval over seeds), thin lines are where one further seed would lie with 95 %; diamonds are published, of "
        "one seed and of ImageNet-1k. Where a run is not the same one, the two are only shown beside each other."
    )
    title = f"difference to {baseline} [points]"
    tips = charts.tips(
        network_="variant", run_="published run", value="measured", low="low", high="high",
        published_difference="published", seeds="seeds", verdict_="verdict",
    )  # fmt: skip
    shared = {"y": charts.ROWS, "opacity": charts.FADED, "tooltip": tips}
    own = shared | {"color": charts.COLOR}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "rule", "color": charts.INK, "opacity": 0.6}, "encoding": {"x": {"datum": 0}}},
        {
            "mark": {"type": "rule"},
            "encoding": own | {"x": charts.number("one_low", title), "x2": {"field": "one_high"}},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 4},
            "encoding": own | {"x": charts.number("low", title), "x2": {"field": "high"}},
        },
        {"mark": {"type": "point", "filled": True, "size": 80}, "encoding": own | {"x": charts.number("value", title)}},
        {
            "mark": {"type": "point", "shape": "diamond", "size": 110, "strokeWidth": 2},
            "encoding": shared | {"x": charts.number("published_difference", title), "color": {"value": charts.INK}},
        },
    ]
    heads = {
        "network": "variant", "run": "published run", "published_difference": "published", "value": "measured",
        "low": "low", "high": "high", "seeds": "seeds", "verdict": "verdict",
    }  # fmt: skip
    chart = Chart(title, about, "published", charts.spec(layers, {"step": charts.STEP}), heads, follow=FADE)
    return [
        Panel(
            "published", "Published beside measured", about, (chart,), tables={"published": shown},
            report="Published beside measured",
        )
    ]  # fmt: skip
