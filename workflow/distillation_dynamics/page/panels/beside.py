"""Panel: two networks or variants compared by numbers, difference over seeds, metrics by block, and training."""

from itertools import permutations

import pandas as pd

from ...statistics.paired import mean_of
from ...words import plural, spaced, with_interval
from .. import charts
from ..course import COURSE, COURSE_HEADS, course_of
from ..html import render
from ..leading import leading, left_out
from ..panel import Chart, Control, PageData, Panel
from ..profiles import COLUMNS, DEPTH, choice_of, profiles
from ..rows import HALF
from .variants import in_words

# The two choices, also column names of the table of differences.
WHO = "one", "other"
LOSS = {"loss": "Loss: the sum of", "blocks": "Aligned blocks"}
DIFFERENCE = "difference in test top-1 [points]"


def panels(data: PageData) -> list[Panel]:
    """Return the panel; none where there are fewer than two to choose from, or nothing was measured of them."""
    names = leading(data)
    if len(names) < 2 or not data.has("summary", "test_top1"):
        return []
    drawn, tables, controls = [], {}, list(_who(data))
    named = tuple(control.name for control in controls)
    differences = pairs(data)
    if len(differences):
        tables["pairs"] = differences
    table, metrics = profiles(data)
    if metrics:
        controls.append(choice_of(data, table, metrics))
        tables["profiles"] = table
        heads = {name: head for name, head in COLUMNS.items() if name not in ("null", "gaussian")}
        about = "After training. Lighter and dashed: a network's control. Bands: 95 % intervals."
        where = {"last": [True]}
        by_block = "Metric by block", about, "profiles", charts.lines(DEPTH), heads, (*named, "measure"), "", where
        drawn.append(Chart(*by_block))
    if data.has("epochs", COURSE[0]):
        course = course_of(data).rename(columns={COURSE[0]: "value"})
        half = course[COURSE[0] + HALF]
        course = course.assign(low=course["value"] - half, high=course["value"] + half)
        tables["course_beside"] = course[["owner", "network", "epoch", "value", "low", "high"]]
        title = "validation top-1 [%]"
        spec, heads = charts.lines(charts.whole("x", "epoch", "epoch"), title), COURSE_HEADS | {"value": title}
        about = "Means over seeds with their 95 % t interval."
        drawn.append(Chart("Validation top-1 over training", about, "course_beside", spec, heads, named))
    if len(differences):
        drawn.append(_difference(named))
    words = {row["variant"]: row for row in in_words(data)}
    rows = [_row(data, name) | {key: words.get(name, {}).get(key, "-") for key in LOSS} for name in names]
    body = render("beside.html.j2", rows=rows, heads=_heads(data), left_out=left_out(data, "summary/summary.parquet"))
    return [Panel("beside", "Two beside each other", tuple(drawn), tuple(controls), tables, body=body, place=55)]


def _who(data: PageData) -> tuple[Control, Control]:
    """Return the two choices: at the start the baseline (or first network), and what comes after it."""
    names = list(leading(data))
    options = tuple({"value": name, "label": spaced(name)} for name in names)
    first = names.index(data.names.baseline) if data.names.baseline else 0
    # The last variant, or its predecessor if the baseline is last.
    second = len(names) - 1 if first < len(names) - 1 else first - 1
    one, other = WHO
    return (
        Control("who", one, "One", options, field="network", start=first),
        Control("who", other, "Other", options, field="network", start=second),
    )


def pairs(data: PageData) -> pd.DataFrame:
    """Return, of every two leading variants, the mean difference in test top-1 over common seeds with its interval."""
    runs = data.tables["runs"] if data.has("runs", "test_top1") else pd.DataFrame(columns=["network", "seed"])
    runs = runs[runs["network"].isin(data.names.variants) & runs["seed"].notna()]
    if runs.empty:
        return pd.DataFrame()
    by_seed = runs.pivot_table(index="seed", columns="network", values="test_top1")
    rows = []
    for one, other in permutations([name for name in leading(data) if name in by_seed], 2):
        found = (by_seed[other] - by_seed[one]).dropna()
        if len(found):
            rows.append({WHO[0]: one, WHO[1]: other, "seeds": len(found), **mean_of(found.to_numpy(), "value")})
    table = pd.DataFrame(rows, columns=[*WHO, "seeds", "value", "low", "high"])
    return table.assign(network=table[WHO[1]], kind="mean")


def _difference(named: tuple[str, ...]) -> Chart:
    about = (
        "Second minus first, paired by seed. Line: 95 % t interval of this comparison alone, not corrected for "
        "multiple comparisons; two networks without seeds have none."
    )
    heads = {
        "other": "other", "one": "minus", "value": DIFFERENCE, "low": "interval from", "high": "interval to",
        "seeds": "seeds",
    }  # fmt: skip
    return Chart("Difference of the two", about, "pairs", charts.ranges(DIFFERENCE, zero=True), heads, named)


def _row(data: PageData, name: str) -> dict[str, str]:
    """Return a network's or variant's entries in the table."""
    summary = data.tables["summary"].set_index("network")
    row = {"name": name, "top1": "-", "difference": "-", "seeds": "-"}
    if name in summary.index:
        found = summary.loc[name]
        row["top1"] = with_interval(found["test_top1"], found["test_top1_low"], found["test_top1_high"])
        if "seeds" in found and name in data.names.variants:
            row["seeds"] = plural(int(found["seeds"]), "seed")
    if data.has("variants", "mean_difference"):
        held = data.tables["variants"].set_index("variant")
        if name in held.index:
            found = held.loc[name]
            row["difference"] = with_interval(found["mean_difference"], found["low"], found["high"], "+")
    return row


def _heads(data: PageData) -> dict[str, str]:
    heads = {"name": "Network or variant", "top1": "Test top-1 [%], 95 % interval", "seeds": "Runs"}
    if data.has("variants", "mean_difference"):
        heads["difference"] = f"Difference to {data.names.baseline} [points], 95 % interval"
    return heads | (LOSS if data.names.variants else {})
