"""Values for the template on accuracy. In: runs.parquet."""

from typing import Any

import numpy as np
import pandas as pd

from ...ranking import ranked, shown
from ...spec.tables import Names
from ...statistics.evidence import Evidence
from ...statistics.paired import interval
from ...words import number, with_interval


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    runs, names = evidence.tables["runs"], evidence.names
    known = runs[runs["test_top1"].notna()]
    students = known[known["network"].isin(names.variants)]
    return {
        "students": bool(names.variants),
        "taught": known[known["network"].isin(names.teachers)].set_index("network")["test_top1"].to_dict(),
        "one": len(names.teachers) == 1 == len(names.baselines),
        "means": students.groupby("network", sort=False)["test_top1"].mean().to_dict(),
        "seeds": students["seed"].nunique(),
        "missing": [name for name in dict.fromkeys(runs["network"]) if name not in set(known["network"])],
        "images": sorted({int(count) for count in known["test_images"]}),
        "accuracies": table(_shown(known, names), names),
        "left_out": shown(known["network"].nunique(), *_ranking(names), "summary/summary.parquet"),
    }


def _ranking(names: Names) -> tuple[str, str]:
    """Return what the table lists, and the order of many."""
    if names.variants:
        return "networks and variants", "teachers, baselines and the highest test top-1"
    return "networks", "the highest test top-1"


def _shown(known: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return the runs of those in the table: of many the teachers, the baselines and what reaches most."""
    means = known.groupby("network", sort=False)["test_top1"].mean().reset_index()
    first = means["network"].isin([*names.teachers, *names.baselines.values()])
    kept = ranked(means, means["test_top1"] + 100 * first)["network"]
    rows = known[known["network"].isin(kept)]
    places = dict(zip(kept, range(len(kept)), strict=True))
    return rows.sort_values("network", key=lambda column: column.map(places), kind="stable")


def table(known: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return one row per network or variant with an accuracy, as the report shows it."""
    return pd.DataFrame([_row(name, group, names) for name, group in known.groupby("network", sort=False)])


def _row(name: str, group: pd.DataFrame, names: Names) -> dict[str, str | int]:
    top1, count = group.sort_values("seed")["test_top1"], len(group)
    low, high = interval(top1.to_numpy())
    share = top1.mean() / 100
    role = "variant" if name in names.variants else "network"
    role = "teacher" if name in names.teachers else "baseline" if name in names.baselines.values() else role
    return {
        "network": name,
        "what": role,
        "seeds": count if name in names.variants else "-",
        "test top-1": with_interval(top1.mean(), low, high),
        "image noise": f"{100 * np.sqrt(share * (1 - share) / group['test_images'].iloc[0]):.2f}",
        "as the teacher": number(group["test_agreement"].mean(), ".1f"),
    }
