"""Published and measured numbers: the published run that a variant repeats, and whether both agree.

In: the files of `resources/published`, the setting of the students, and the tables of the study. Out: the rows of
`published.parquet`, `published_trajectory.parquet` and `published_entropy.parquet`. A run is the same only if terms,
weights and pairs of the loss, both networks, images and epochs are; the rest of the recipe is not compared. Other runs
with the same objectives at the same places (first, last, last n) are shown as references with their differences, and
never tested.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...files import Column
from ...spec.tables import MAIN_IMAGE_SET, Names, Setting
from ...statistics.evidence import Evidence
from ...statistics.keys import HIGH, LOW
from ...statistics.paired import mean_of
from .runs import Published, counterpart, matched, read_published, soft_of

TITLE = "Published and measured"
PLACE = 90
FIGURES = ("training_curves",)
SOURCES = ("published", "published_entropy")
DECIDES = "the same run (terms, networks, images, epochs), over several seeds"
REQUIRES = ("students",)
READS = ("runs", "depth", "differences")
AGREES, DISAGREES, BASELINE = "agrees", "disagrees", "is the baseline"
NOT_COMPARABLE, NOT_MEASURED, NOT_PUBLISHED = "not comparable", "not measured", "not published"
SAME, OPPOSITE, NEITHER = "same", "opposite", "neither"
PUBLISHED_COLUMNS = {
    "variant": Column("", "variant"),
    "run": Column("", "published run with the same objectives at the same places; empty: there is none"),
    "published_best": Column("%", "its top-1 of the best epoch, one seed; NaN where not published"),
    "published_last": Column("%", "its top-1 of the last epoch, one seed; NaN where not published"),
    "published_difference": Column("points", "published_last minus that of the published SoftKD of the same kind"),
    "seeds": Column("", "seeds of the study that the measured difference rests on"),
    "difference": Column("points", "measured: mean over seeds of the paired difference to the baseline in test top-1"),
    "low": LOW,
    "high": HIGH,
    "one_low": Column("points", "lower end of the 95 % interval in which the difference of one further seed lies"),
    "one_high": Column(
        "points", "upper end of that interval, with which a published difference of one seed is compared"
    ),
    "comparable": Column("", "whether it is the same run: terms, networks, images and epochs"),
    "differs": Column("", "what differs, in words; empty where it is the same"),
    "verdict": Column(
        "",
        f"{AGREES} (published_difference lies within one_low to one_high), {DISAGREES}, {BASELINE}, {NOT_COMPARABLE}, "
        f"{NOT_MEASURED} (no interval, or no last epoch published) or {NOT_PUBLISHED}",
    ),
}
RUN = {name: PUBLISHED_COLUMNS[name] for name in ("variant", "run", "comparable")}
TRAJECTORY_COLUMNS = RUN | {
    "epoch": Column("epochs", "published epoch"),
    "fraction": Column("", "that epoch over all epochs of the published training"),
    "gain": Column("points", "published validation top-1 minus that of SoftKD at this epoch, one seed"),
}
ENTROPY_COLUMNS = RUN | {
    "published_epoch": Column("epochs", "published epoch, of 300"),
    "epoch": Column("epochs", "epoch it is compared with: the first measured one, or the last"),
    "blocks": Column("", "blocks of the student: what the correlation rests on"),
    "seeds": Column("", "seeds measured"),
    "published_change": Column("bits", "published entropy of the last block minus that of the first"),
    "change": Column("bits", "the same of entropy_fixed_range, the teacher's range, mean over seeds"),
    "low": Column("bits", "lower end of its 95 % t interval over seeds; NaN with one seed"),
    "high": Column("bits", "upper end of that interval"),
    "direction": Column("", f"{SAME}, {OPPOSITE}, {NEITHER} (the interval holds 0) or not measured (no interval)"),
    "untrained_change": Column("bits", "the same of epoch 0, untrained, mean over seeds; NaN: not measured"),
    "added": Column("bits", "change minus that of the same student untrained, mean over seeds; NaN: not measured"),
    "added_low": Column("bits", "lower end of its 95 % t interval over seeds; NaN with one seed"),
    "added_high": Column("bits", "upper end of that interval"),
    "added_direction": Column("", "direction of what training added, in the same words"),
    "correlation": Column(
        "", "rank correlation over blocks of the mean with the published one at the same relative depth; NaN below 3"
    ),
}


TABLES = {
    "published": PUBLISHED_COLUMNS,
    "published_trajectory": TRAJECTORY_COLUMNS,
    "published_entropy": ENTROPY_COLUMNS,
}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return published.parquet, published_trajectory.parquet and published_entropy.parquet."""
    setting, read = evidence.setting, evidence.tables
    assert setting is not None, "students have a setting"
    numbers = read_published(setting.published.files)
    found = table(numbers, setting, read["runs"], read["differences"], evidence.names)
    return {
        "published": found,
        "published_trajectory": trajectory(numbers, found),
        "published_entropy": entropy(numbers, found, read.get("depth")),
    }


def table(
    published: Published, setting: Setting, runs: pd.DataFrame, differences: pd.DataFrame, names: Names
) -> pd.DataFrame:
    """Return the rows of published.parquet, one per variant; `differences`: those of differences.parquet."""
    rows, of_baselines = [], {}
    for baseline in names.baselines.values():
        _, of_baselines[baseline] = matched(published, setting, baseline, runs)
        base, _ = counterpart(setting, baseline, published.top1, np.nan)
        if base is None or base["objective"] or base["base"] != "soft":
            of_baselines[baseline] = [f"the baseline {baseline} is not SoftKD"]
    for variant in names.variants:
        baseline = names.baseline_of(variant)
        found, differs = matched(published, setting, variant, runs)
        row: dict[str, Any] = {"variant": variant, "run": "", "differs": "; ".join(differs)}
        if found is not None:
            row |= {"run": found["run"], "published_best": found["best"], "published_last": found["last"]}
            soft = soft_of(found, published.top1)
            row["published_difference"] = np.nan if soft is None else found["last"] - soft["last"]
            differs = [*differs, *(f"baseline: {text}" for text in of_baselines[baseline] if text not in differs)]
            row["differs"] = "; ".join(differs)
        row["comparable"] = found is not None and not differs
        own = differences.loc[differences["variant"] == variant, "difference"].to_numpy(dtype=np.float64)
        row |= measured(own)
        row["verdict"] = BASELINE if variant == baseline else verdict(row)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS))


def measured(differences: np.ndarray) -> dict[str, Any]:
    """Return mean, its interval and the interval of one further seed, for differences [n] over seeds."""
    count, half = len(differences), np.nan
    found = mean_of(differences, "difference")
    if not np.isnan(found["low"]):
        # For a published number of one seed: spread of a seed plus uncertainty of the mean.
        half = stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) * np.sqrt(1 + 1 / count)
    return {"seeds": count, **found, "one_low": found["difference"] - half, "one_high": found["difference"] + half}


def verdict(row: dict[str, Any]) -> str:
    """Return the verdict on a variant and its published run."""
    if not row["run"]:
        return NOT_PUBLISHED
    if not row["comparable"]:
        return NOT_COMPARABLE
    if np.isnan(row["one_low"]) or np.isnan(row["published_difference"]):
        return NOT_MEASURED
    return AGREES if row["one_low"] <= row["published_difference"] <= row["one_high"] else DISAGREES


def trajectory(published: Published, found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of published_trajectory.parquet for the variants in `found` (published.parquet)."""
    curves = published.trajectory.pivot(index="epoch", columns="run", values="top1")
    rows = []
    for row in found[found["verdict"] != BASELINE].to_dict("records"):
        if row["run"] in curves:
            gains = curves[row["run"]] - curves["SoftKD"]
            key = {name: row[name] for name in RUN}
            rows += [key | {"epoch": e, "fraction": e / gains.index.max(), "gain": gain} for e, gain in gains.items()]
    return pd.DataFrame(rows, columns=list(TRAJECTORY_COLUMNS))


def entropy(published: Published, found: pd.DataFrame, depth: pd.DataFrame | None) -> pd.DataFrame:
    """Return the rows of published_entropy.parquet; `depth`: depth.parquet (None: nothing was measured)."""
    rows: list[dict[str, Any]] = []
    if depth is None or "entropy_fixed_range" not in depth:
        return pd.DataFrame(rows, columns=list(ENTROPY_COLUMNS))
    depth = depth[(depth["probe"] == MAIN_IMAGE_SET) & depth["entropy_fixed_range"].notna()]
    depth, untrained = depth[depth["epoch"] > 0], depth[depth["epoch"] == 0]
    for row in found.to_dict("records"):
        theirs = published.entropy[published.entropy["run"] == row["run"]]
        ours = depth[depth["network"] == row["variant"]]
        epochs, given = sorted(set(ours["epoch"])), sorted(set(theirs["epoch"]))
        both = bool(epochs and given)
        # A single measured epoch is the last one.
        ends = [(given[0], epochs[0]), (given[-1], epochs[-1])][-len(epochs) :] if both else []
        for at, end in ends:
            curve = theirs[theirs["epoch"] == at].sort_values("block")["entropy"].to_numpy()
            values, before = (
                table.pivot(index="seed", columns="block", values="entropy_fixed_range")
                for table in (ours[ours["epoch"] == end], untrained[untrained["network"] == row["variant"]])
            )
            key = {name: row[name] for name in RUN} | {"published_epoch": at, "epoch": end}
            rows.append(key | compared(curve, values, before))
    return pd.DataFrame(rows, columns=list(ENTROPY_COLUMNS))


def compared(curve: np.ndarray, values: pd.DataFrame, untrained: pd.DataFrame) -> dict[str, Any]:
    """Return the changes of a published curve [K] over blocks and of measured ones from the first block to the last.

    `values`, `untrained`: one row per seed, one column per block, after training and before (without rows: not
    measured).
    """
    change, before = (_changes(table) for table in (values, untrained))
    published, blocks = float(curve[-1] - curve[0]), len(values.columns)
    found: dict[str, Any] = mean_of(change.to_numpy(), "change")
    found |= {"direction": _direction(found["change"], found["low"], found["high"], published)}
    added = mean_of((change - before).dropna().to_numpy(), "added", "added_")
    found |= added | {
        "untrained_change": before.mean(),
        "added_direction": _direction(added["added"], added["added_low"], added["added_high"], published),
    }
    correlation, mean = np.nan, values.mean().to_numpy()
    if blocks > 2 and np.ptp(mean) > 0:
        at_ours = np.interp(np.linspace(0, 1, blocks), np.linspace(0, 1, len(curve)), curve)
        correlation = float(stats.spearmanr(mean, at_ours).statistic)
    found |= {"blocks": blocks, "seeds": len(values), "published_change": published}
    return found | {"correlation": correlation}


def _changes(values: pd.DataFrame) -> pd.Series:
    """Return the last block minus the first, by seed."""
    return values.iloc[:, -1] - values.iloc[:, 0] if len(values) else pd.Series(dtype=float)


def _direction(change: float, low: float, high: float, published: float) -> str:
    """Return whether a change with its interval has the sign of the published one."""
    if np.isnan(low):
        return NOT_MEASURED
    if low <= 0 <= high:
        return NEITHER
    return SAME if (change > 0) == (published > 0) else OPPOSITE
