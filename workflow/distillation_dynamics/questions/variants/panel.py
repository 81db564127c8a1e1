"""Panel: paired differences from the baseline with all seeds, mean and interval."""

import pandas as pd

from ...page import charts
from ...page.panel import FADE, Chart, PageData, Panel
from ...words import of_one_or_each
from ..accuracy.panel import COLUMNS
from . import TITLE


def panels(data: PageData) -> list[Panel]:
    """Return the panel on differences from the baseline; none without any."""
    if not (data.has("differences", "difference") and data.has("variants")):
        return []
    names = {"mean_difference": "value", "difference": "value", "variant": "network"}
    means = data.tables["variants"].rename(columns=names)[["network", "value", "low", "high"]]
    seeds = data.tables["differences"].rename(columns=names)[["network", "seed", "value"]]
    seeds = seeds.assign(kind="seed", seed=seeds["seed"].map(str))
    table = pd.concat([means.assign(kind="mean", seed="-"), seeds], ignore_index=True)
    baseline = of_one_or_each("baseline", data.names.baselines.values())
    about = (
        f"Test top-1 of a variant minus that of {baseline}, of the same seed [points]. Small marks: single seeds. "
        "Diamond: the mean; line: its 95 % paired t interval, of this comparison alone."
    )
    title = f"difference to {baseline} [points]"
    heads = COLUMNS | {"value": title}
    chart = Chart(
        f"Differences to {baseline}", about, "differences", charts.ranges(title, zero=True), heads, follow=FADE
    )
    tables = {"differences": data.owned(table)}
    return [Panel("variants", TITLE, (chart,), tables=tables, figures=("effects",))]
