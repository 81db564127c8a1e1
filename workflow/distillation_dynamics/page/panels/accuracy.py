"""What every network and variant reaches: every seed, the mean and its interval; and paired differences."""

import pandas as pd

from .. import charts
from ..panel import FADE, Chart, PageData, Panel

KEYS = {"network": "network", "kind": "what", "seed": "seed", "value": "value", "low": "low", "high": "high"}


def panels(data: PageData) -> list[Panel]:
    """Return the panels on accuracy and on differences to the baseline, as far as there are tables for them."""
    found = []
    if data.has("runs", "test_top1") and data.has("summary"):
        found.append(_accuracy(data))
    if data.has("differences", "difference") and data.has("variants"):
        found.append(_differences(data))
    return found


def _accuracy(data: PageData) -> Panel:
    runs = data.tables["runs"].dropna(subset=["test_top1"])
    seeds = runs[["network", "seed"]].assign(kind="seed", value=runs["test_top1"])
    # Networks of which there is one run have no seed.
    seeds["seed"] = seeds["seed"].map(lambda seed: "-" if seed < 0 else str(seed))
    names = {"test_top1": "value", "test_top1_low": "low", "test_top1_high": "high"}
    means = data.tables["summary"].rename(columns=names)[["network", *names.values()]].dropna(subset=["value"])
    table = pd.concat([means.assign(kind="mean", seed="-"), seeds], ignore_index=True)
    images = ", ".join(f"{count:,}" for count in sorted({int(count) for count in runs["test_images"]}))
    about = (
        f"Top-1 of the last epoch on {images} test images. Small marks: every seed. Diamond: their mean; line: its "
        "95 % t interval over seeds, which a network of one run does not have."
    )
    chart = Chart("Test top-1 [%]", about, "accuracy", charts.ranges("test top-1 [%]"), KEYS, follow=FADE)
    tables = {"accuracy": data.owned(table)}
    return Panel("accuracy", "Accuracy", (chart,), tables=tables, figures=("accuracy", "agreement"))


def _differences(data: PageData) -> Panel:
    names = {"mean_difference": "value", "difference": "value", "variant": "network"}
    means = data.tables["variants"].rename(columns=names)[["network", "value", "low", "high"]]
    seeds = data.tables["differences"].rename(columns=names)[["network", "seed", "value"]]
    seeds = seeds.assign(kind="seed", seed=seeds["seed"].map(str))
    table = pd.concat([means.assign(kind="mean", seed="-"), seeds], ignore_index=True)
    baseline = data.names.baseline
    about = (
        f"Test top-1 of a variant less that of {baseline}, of the same seed [points]. Small marks: every seed. "
        "Diamond: the mean; line: its 95 % paired t interval, of this comparison alone."
    )
    title = f"difference to {baseline} [points]"
    chart = Chart(title, about, "differences", charts.ranges(title, zero=True), KEYS, follow=FADE)
    tables = {"differences": data.owned(table)}
    return Panel("variants", "Does a variant help?", (chart,), tables=tables, figures=("effects",))
