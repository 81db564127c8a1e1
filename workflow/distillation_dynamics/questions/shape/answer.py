"""Values for the template on U shapes. In: shape.parquet and names.

Every count has its total, and a claim its control.
"""

from typing import Any

import pandas as pd

from ...ranking import MOST, ranked, shown, top
from ...spec.tables import MAIN_IMAGE_SET, Names
from ...statistics.evidence import Evidence
from ...statistics.thresholds import LEVEL
from ...statistics.u_shape import EMPTY, NO_INTERIOR, NOT_RESOLVED, NOT_U_SHAPED, U_SHAPED, UNDECIDED
from ...statistics.u_shape.fall_and_rise import BITS, smallest
from ...statistics.u_shape.reading import formatted, of_scale, reason
from ...words import spaced
from .bins import OTHER_BINS
from .overview import GRADIENT, count_table, flat_controls, network_table, others, u_shaped
from .shapes import ROLES

NULL = "intensity_permuted"
# Metric of the claim -> its form without scale; its name in a sentence.
SCALE_FREE = {"intensity": "intensity_per_rms", "entropy": "entropy_standardised"}
FREE_NAMES = {"intensity_per_rms": "intensity over RMS", "entropy_standardised": "entropy of standardised tokens"}
# For more networks the table lists only U-shaped and undecided ones.
MOST_LISTED = 3
TABLE = "statistics/shape.parquet"
REMEDIES = "unit_layer_scale", "permuted"


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses."""
    shape, names = evidence.tables["shape"], evidence.names
    main = shape[shape["probe"] == MAIN_IMAGE_SET]
    tested = main[main["p"].notna()]
    found = {"measured": len(shape), "tested": len(tested)}
    return found if tested.empty else found | _of_tested(shape, main, tested, names)


def _of_tested(shape: pd.DataFrame, main: pd.DataFrame, tested: pd.DataFrame, names: Names) -> dict[str, Any]:
    trained, paper = tested[tested["network"].isin(names.trained)], tested[tested["role"] == "paper"]
    flat = flat_controls(tested, names)
    networks = [name for name in names.ordered if (trained["network"] == name).any()]
    fixed, students = (paper[paper["network"].isin(who)] for who in (names.fixed, names.variants))
    undecided = students[students["verdict"] == UNDECIDED]
    beside, every = network_table(tested, names), len(networks) <= MOST_LISTED
    beside = beside if every else beside[[one != NOT_U_SHAPED for one in beside.get("verdict", [])]]
    listed, count = _first(beside, paper)
    spoken = [of_control(paper, *pair, flat.get(pair[1], [])) for pair in names.controls.items()]
    spoken = [one for one in spoken if one["flat"] or one["u"]]
    many = len(spoken) > MOST
    reasons = [row for row in map(formatted, fixed.to_dict("records")) if row["reason"]]
    short = main.loc[main["verdict"] == NO_INTERIOR, ["network", "seed"]].drop_duplicates()
    return {
        "counts": counts(trained),
        "students": trained["network"].isin(names.variants).any(),
        "networks": [of_network(tested, name, names, flat) for name in networks] if len(networks) <= MOST else [],
        "other_bins": OTHER_BINS,
        "controls": [] if many else spoken,
        "many_controls": _counts_of(spoken, len(names.controls)) if many else None,
        "too_short": len(short),
        "incomplete": main.loc[main["images_left_out"] > 0, "images_left_out"].tolist(),
        "count_table": count_table(tested, names),
        "network_table": listed,
        "left_out": shown(count, "networks", "those with the most U-shaped metrics", TABLE),
        "shortened": not every,
        "reasons": top(reasons),
        "reasons_left_out": shown(
            len(reasons), "curves that are undecided or read otherwise in the paper", "", TABLE, "list"
        ),
        "curves_of_students": len(students),
        "undecided": len(undecided),
        "skewed": int((undecided["p_skewed"] <= LEVEL).sum()),
        "smallest_bits": smallest(BITS),
        "other_image_sets": [
            {"image_set": image_set, "counts": counts(_paper_and_null(rows, names))}
            for image_set, rows in shape[shape["probe"] != MAIN_IMAGE_SET].groupby("probe", sort=False)
        ],
    }


def _first(beside: pd.DataFrame, paper: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the rows of the networks that the table shows, and of how many: of many those U-shaped in most metrics."""
    if beside.empty:
        return beside, 0
    every = beside[["network"]].drop_duplicates()
    hollow = paper.loc[paper["verdict"] == U_SHAPED, "network"].value_counts()
    kept = list(ranked(every, every["network"].map(hollow).fillna(0))["network"])
    rows = beside[beside["network"].isin(kept)]
    return rows.sort_values("network", key=lambda column: column.map(kept.index), kind="stable"), len(every)


def _paper_and_null(rows: pd.DataFrame, names: Names) -> pd.DataFrame:
    return rows[rows["p"].notna() & rows["network"].isin(names.trained) & rows["role"].isin(["paper", "null"])]


def _spaced(rows: pd.DataFrame, verdict: str) -> list[str]:
    return [spaced(metric) for metric in rows.loc[rows["verdict"] == verdict, "metric"]]


def unsettled(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return verdict (undecided, not resolved or flat), metrics and `few` for rows with neither a U nor none.

    `few`: for unresolved entropies, over how many bins tokens spread if too few; else None.
    """
    found = []
    for verdict in (UNDECIDED, NOT_RESOLVED, EMPTY):
        own = rows[rows["verdict"] == verdict]
        few = [row["rms_per_bin"] for row in own.to_dict("records") if reason(row) == "too few bins"]
        if len(own):
            found.append({"verdict": verdict, "metrics": _spaced(own, verdict), "few": min(few, default=None)})
    return found


def of_network(tested: pd.DataFrame, network: str, names: Names, flat: dict[str, list[str]]) -> dict[str, Any]:
    """Return the metrics in which a network is U-shaped, the verdict of its null, and facts on its control."""
    rows = tested[tested["network"] == network]
    paper, null = rows[rows["role"] == "paper"], rows.loc[rows["metric"] == NULL, "verdict"]
    hollow = set(paper.loc[paper["verdict"] == U_SHAPED, "metric"])
    control = names.controls.get(network)
    controls_of = tested[(tested["network"] == control) & tested["metric"].isin(hollow)]
    return {
        "network": network,
        "measured": len(paper),
        "u": _spaced(paper, U_SHAPED),
        "no_u": _spaced(paper, NOT_U_SHAPED),
        "unsettled": unsettled(paper),
        **_of_scale(rows, paper),
        "null": next(iter(null), None),
        "control": None if controls_of.empty else control,
        "flat": hollow - {GRADIENT} <= set(flat.get(control or "", [])),
        "too": _spaced(controls_of, U_SHAPED),
        "control_unsettled": unsettled(controls_of),
    }


def _of_scale(rows: pd.DataFrame, paper: pd.DataFrame) -> dict[str, Any]:
    """Return which of a network's metrics have a U due to scale, one as a row, and the variation of its scale-free
    form.

    `scale_free`: the form's name and its range as a share of its largest mean over blocks; None if not measured.
    """
    own = [formatted(row) for row in paper.to_dict("records") if of_scale(row)]
    free = rows[rows["metric"] == SCALE_FREE.get(own[0]["metric"])] if own else rows.iloc[:0]
    return {
        "of_scale": [spaced(row["metric"]) for row in own],
        "example": own[0] if own else None,
        "scale_free": None if free.empty else (FREE_NAMES[free["metric"].iloc[0]], free["relative_range"].iloc[0]),
    }


def of_control(paper: pd.DataFrame, network: str, control: str, flat: list[str]) -> dict[str, Any]:
    """Return in which of the paper's metrics a control is flat or U-shaped, and a better control for a flat one."""
    paper = paper[(paper["network"] == control) & ~paper["metric"].isin(flat)]
    return {
        "network": network,
        "control": control,
        "flat": [spaced(metric) for metric in flat],
        "u": _spaced(paper, U_SHAPED),
        "remedies": [f"`control: {kind}`" for kind in REMEDIES if not control.endswith(f"_{kind}")],
    }


def _counts_of(spoken: list[dict[str, Any]], of: int) -> dict[str, int]:
    """Return how many of the controls of which something is said are flat, and U-shaped; `of`: all controls."""
    return {"of": of, "flat": sum(bool(one["flat"]) for one in spoken), "u": sum(bool(one["u"]) for one in spoken)}


def counts(trained: pd.DataFrame) -> dict[str, Any]:
    """Return how many trained networks are U-shaped in each of the paper's metrics, and in the null."""
    paper = trained[trained["role"] == "paper"]
    null = trained[trained["metric"] == NULL]
    metrics = pd.CategoricalDtype([name for name in ROLES], ordered=True)
    return {
        "metrics": _counted(paper.assign(metric=paper["metric"].astype(metrics)).sort_values("metric", kind="stable")),
        "images": trained["images"].tolist(),
        "seeds": trained["seed"].nunique(),
        "intensity": len(u_shaped(trained[trained["metric"] == "intensity"])),
        "null": next(iter(_counted(null)), None),
    }


def _counted(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return, by metric, how many rows are U-shaped, how many undecided, and how many there are."""
    return [
        {"metric": spaced(str(metric)), "u": len(u_shaped(own)), "of": len(own), "others": others(own)}
        for metric, own in rows.groupby("metric", sort=False, observed=True)
    ]
