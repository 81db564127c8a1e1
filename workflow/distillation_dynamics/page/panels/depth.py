"""Every metric by block: over epochs beside accuracy, and at the last epoch beside controls and nulls."""

import pandas as pd

from ...spec.tables import MAIN_IMAGE_SET
from ...words import over
from .. import charts
from ..panel import HIDE, OWNER, Chart, Control, PageData, Panel, epoch_said, measure, slider
from ..rows import HALF, NORMAL, over_seeds
from .training import COURSE, course_of

KEYS = ("network", "seed", "epoch", "probe", "block", "block_name", "images")
# Of every row, or beside a metric: no metric by itself.
FACTS = (*KEYS, "channels", "tokens", "entropy_bins", "range_low", "range_high", "fixed_low", "fixed_high")
BESIDE = ("_se", "_null", "_low", "_high", "_chance", "_uniform", "_p99")
# Those that the questions are about come first.
FIRST = ("entropy", "activation_magnitude", "intensity", "gradient_magnitude", "rms", "effective_rank", "token_cosine")
# A metric -> the column of its null, where it is not <metric>_null.
NULLS = {"intensity": "intensity_permuted"}
NULL = "_null"
GAUSSIAN = "_gaussian"
DEPTH = charts.number("x", "depth", "depth of the block, first to last")
COLUMNS = {
    "network": "network", "role": "what", "epoch_said": "epoch", "block_name": "block", "value": "value", "low": "low",
    "high": "high", "null": "null", "gaussian": "Gaussian tokens",
}  # fmt: skip


def panels(data: PageData) -> list[Panel]:
    """Return the panels on metrics over depth."""
    if not data.has("depth"):
        return []
    table, metrics = profiles(data)
    if not metrics:
        return []
    return [*_dynamics(data, table, metrics), _shape(data, table, metrics)]


def metrics_of(depth: pd.DataFrame) -> list[str]:
    """Return the columns that are metrics and have a value, those first that the questions are about."""
    columns = [name for name in depth if name not in FACTS and not name.endswith(BESIDE)]
    columns = [name for name in columns if name not in NULLS.values() and depth[name].notna().any()]
    return sorted(columns, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def profiles(data: PageData) -> tuple[pd.DataFrame, list[str]]:
    """Return a row a block and epoch of every network, and the metrics: means over seeds and half of an interval.

    The interval is over seeds of students, and over images of networks, of which there is one run. `epoch` is NaN where
    a network has one checkpoint, which is shown at every epoch of the students.
    """
    depth = data.tables["depth"]
    depth = depth[depth["probe"] == MAIN_IMAGE_SET]
    metrics = metrics_of(depth)
    beside = [name for metric in metrics for name in null_of(metric, depth).values()]
    columns = list(dict.fromkeys([*metrics, *beside]))
    keys = ["network", "epoch", "block", "block_name"]
    table = over_seeds(depth, keys, columns)
    table = table.drop(columns=[name + HALF for name in columns if name not in metrics])
    alone = depth[depth["seed"] < 0].set_index(keys)
    index = table.set_index(keys).index
    for name in metrics:
        if name + "_se" in alone:
            over_images = (NORMAL * alone[name + "_se"]).reindex(index).to_numpy()
            table[name + HALF] = table[name + HALF].fillna(pd.Series(over_images))
    table = table.merge(_gaussian(data, metrics), how="left", on=["network", "epoch", "block"])
    last = table["epoch"] == table.groupby("network")["epoch"].transform("max")
    depth_of = table["block"] / table.groupby("network")["block"].transform("max").clip(lower=1)
    table = table.assign(role=table["network"].map(data.role), last=last, depth=depth_of)
    table["epoch_said"] = table["epoch"].map(epoch_said)
    table["epoch"] = table["epoch"].where(table["role"] == "variant")
    return data.owned(table), metrics


def null_of(metric: str, table: pd.DataFrame) -> dict[str, str]:
    """Return field of a chart -> column of the null of a metric and of the band in which it lies; empty without."""
    own = NULLS.get(metric, metric + NULL)
    fields = {"null": own, "null_low": own + "_low", "null_high": own + "_high"}
    return {field: column for field, column in fields.items() if column in table and table[column].notna().any()}


def _gaussian(data: PageData, metrics: list[str]) -> pd.DataFrame:
    """Return what Gaussian tokens of a block's width and scale have of the metrics, means over seeds."""
    keys = ["network", "epoch", "block"]
    references = data.tables.get("references", pd.DataFrame(columns=[*keys, "probe"]))
    references = references[references["probe"] == MAIN_IMAGE_SET]
    columns = [name for name in metrics if name in references and references[name].notna().any()]
    means = references.groupby(keys, as_index=False)[columns].mean() if columns else references[keys].drop_duplicates()
    return means.rename(columns={name: name + GAUSSIAN for name in columns})


def _choice(data: PageData, table: pd.DataFrame, metrics: list[str]) -> Control:
    depth = data.tables["depth"]
    depth = depth[depth["probe"] == MAIN_IMAGE_SET]
    beside = {name: null_of(name, depth) for name in metrics}
    for name in metrics:
        if name + GAUSSIAN in table:
            beside[name]["gaussian"] = name + GAUSSIAN
    return measure(data.meanings("depth", metrics), "Metric", beside, {name: _n(depth, name) for name in metrics})


def _n(depth: pd.DataFrame, metric: str) -> str:
    """Return how many images and seeds a metric rests on."""
    rows = depth[depth[metric].notna()]
    images = f"n = {int(rows['images'].max()):,} images"
    seeds = rows[rows["seed"] >= 0].groupby("network")["seed"].nunique()
    return images + (f", {over(seeds)} of each variant" if len(seeds) else "")


def _dynamics(data: PageData, table: pd.DataFrame, metrics: list[str]) -> list[Panel]:
    if not data.names.variants or table["epoch"].isna().all():
        return []
    about = (
        "Every metric by block, at each epoch that was measured; networks are shown as they are after training. Bands: "
        "95 % t interval over seeds of students; of networks, of the mean over images."
    )
    where = {"role": ["variant", "network"]}
    drawn = [
        Chart("Metric by block", about, "profiles", charts.lines(DEPTH), COLUMNS, ("measure", "epoch"), HIDE, where)
    ]
    tables = {"profiles": table}
    if data.has("epochs", COURSE[0]):
        drawn.append(_course())
        own = course_of(data)
        own = own[own["network"].isin(data.names.variants)].rename(columns={COURSE[0]: "value"})
        half = own[COURSE[0] + HALF]
        own = own.assign(low=own["value"] - half, high=own["value"] + half)
        tables["dynamics_course"] = own[[OWNER, "network", "epoch", "value", "low", "high"]]
    controls = (_choice(data, table, metrics), slider("epoch", "Epoch", table["epoch"].dropna()))
    figures = "dynamics", "rank", "tokens", "attention", "gradients"
    title = "Dynamics: metric by block and epoch"
    return [Panel("dynamics", title, tuple(drawn), controls, tables, figures=figures)]


def _course() -> Chart:
    """Return the chart of accuracy over training, with a line at the epoch of the slider."""
    line = charts.line_at("x", {"expr": "at"}, strokeWidth=2)
    spec = charts.lines(charts.whole("x", "epoch", "epoch"), above=(line,), params=[{"name": "at", "value": 0}])
    return Chart(
        "Validation top-1 [%] over training",
        "Means over seeds with their 95 % t interval; the upright line is the epoch of the slider.",
        "dynamics_course",
        spec,
        {"network": "network", "epoch": "epoch", "value": "mean over seeds", "low": "low", "high": "high"},
        follow=HIDE,
        signals={"at": "epoch"},
    )


def _shape(data: PageData, table: pd.DataFrame, metrics: list[str]) -> Panel:
    about = (
        "Every metric over depth at the last epoch. Beside a network its control (dashed, lighter); beside a metric "
        "its null of permuted channels (dotted, with the null's band where there is one), and what Gaussian tokens "
        "of the same width and scale would have (dash-dotted)."
    )
    controls = (
        _choice(data, table, metrics),
        Control("toggle", "controls", "Controls of networks", field="role", hides="control", start=True),
        Control("toggle", "nulls", "Null of permuted channels", clears=("null", "null_low", "null_high"), start=True),
        Control("toggle", "gaussian", "Gaussian tokens", clears=("gaussian",), start=False),
    )
    names, spec = tuple(control.name for control in controls), charts.lines(DEPTH, nulls=True)
    chart = Chart("Metric over depth", about, "profiles", spec, COLUMNS, names, HIDE, {"last": [True]})
    title, figures = "Is it U-shaped? Profiles over depth", ("shape", "depth_profiles", "probes")
    return Panel("shape", title, (chart,), controls, {"profiles": table}, "Is it U-shaped?", figures)
