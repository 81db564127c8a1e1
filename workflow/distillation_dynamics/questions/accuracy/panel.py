"""Panel: accuracy of every network and variant, with all seeds, mean and interval."""

import pandas as pd

from ...page import charts
from ...page.panel import FADE, Chart, PageData, Panel
from . import TITLE

COLUMNS = {
    "network": "network", "kind": "what", "seed": "seed", "value": "test top-1 [%]", "low": "interval from",
    "high": "interval to",
}  # fmt: skip


def panels(data: PageData) -> list[Panel]:
    """Return the panel on accuracy; none if no network has one."""
    if not (data.has("runs", "test_top1") and data.has("summary")):
        return []
    runs = data.tables["runs"].dropna(subset=["test_top1"])
    seeds = runs[["network", "seed"]].assign(kind="seed", value=runs["test_top1"])
    # Networks with a single run have no seed.
    seeds["seed"] = seeds["seed"].map(lambda seed: "-" if pd.isna(seed) else str(int(seed)))
    names = {"test_top1": "value", "test_top1_low": "low", "test_top1_high": "high"}
    means = data.tables["summary"].rename(columns=names)[["network", *names.values()]].dropna(subset=["value"])
    table = pd.concat([means.assign(kind="mean", seed="-"), seeds], ignore_index=True)
    images = ", ".join(f"{count:,}" for count in sorted({int(count) for count in runs["test_images"]}))
    about = (
        f"Top-1 after the last epoch on {images} test images. Small marks: single seeds. Diamond: their mean. Line: "
        "95 % t interval over seeds; a network of one run has none."
    )
    chart = Chart("Test top-1", about, "accuracy", charts.ranges("test top-1 [%]"), COLUMNS, follow=FADE)
    tables = {"accuracy": data.owned(table)}
    return [Panel("accuracy", TITLE, (chart,), tables=tables, figures=("accuracy",))]
