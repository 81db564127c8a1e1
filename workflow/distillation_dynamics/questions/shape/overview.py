"""U-shaped rows of shape.parquet, flat controls, and the two tables of the section on shapes."""

import pandas as pd

from ...spec.tables import MAIN_IMAGE_SET, Names
from ...statistics.thresholds import FLAT
from ...statistics.u_shape import EMPTY, NOT_RESOLVED, U_SHAPED, UNDECIDED
from ...statistics.u_shape.reading import change, of_scale
from ...words import number
from .shapes import ROLES

# For gradients a flat curve says nothing about the effect of blocks on features.
GRADIENT = "gradient_magnitude"


def u_shaped(rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Return (network, seed) of U-shaped `rows`."""
    rows = rows[rows["verdict"] == U_SHAPED]
    return set(zip(rows["network"], rows["seed"], strict=True))


def flat_controls(shape: pd.DataFrame, names: Names) -> dict[str, list[str]]:
    """Return control -> metrics of the claim with a flat curve on the main images."""
    rows = shape[(shape["probe"] == MAIN_IMAGE_SET) & (shape["role"] == "paper") & (shape["relative_range"] < FLAT)]
    rows = rows[rows["metric"] != GRADIENT]
    flat = {control: list(rows.loc[rows["network"] == control, "metric"]) for control in names.controls.values()}
    return {control: metrics for control, metrics in flat.items() if metrics}


def unmoved_controls(shape: pd.DataFrame, names: Names) -> set[str]:
    """Return the controls that are flat in every measured metric of the claim, except gradients."""
    rows = shape[(shape["probe"] == MAIN_IMAGE_SET) & (shape["role"] == "paper") & (shape["metric"] != GRADIENT)]
    measured = rows.groupby("network")["metric"].nunique()
    return {control for control, flat in flat_controls(shape, names).items() if len(flat) == measured[control]}


def count_table(tested: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return one row per metric: how many networks, controls and students are U-shaped."""
    rows = []
    for metric, group in tested.groupby("metric", sort=False):
        networks, controls, students = (
            group[group["network"].isin(who)] for who in (names.networks, names.controls.values(), names.variants)
        )
        controls = controls[(controls["relative_range"] >= FLAT) | (metric == GRADIENT)]
        row = {"metric": metric, "role": group["role"].iloc[0], "networks": _share(networks)}
        rows.append(row | {"controls": _share(controls), "students": _share(students)})
    order = {metric: place for place, metric in enumerate(ROLES)}
    return pd.DataFrame(rows).sort_values("metric", key=lambda metrics: metrics.map(order))


def _share(rows: pd.DataFrame) -> str:
    return f"{len(u_shaped(rows))} of {len(rows)}{others(rows)}" if len(rows) else "-"


def others(rows: pd.DataFrame) -> str:
    """Return ' (1 a U of scale, 2 undecided)' for rows; "" without any."""
    found = [(sum(map(of_scale, rows.to_dict("records"))), "a U of scale")]
    found += [(int((rows["verdict"] == verdict).sum()), verdict) for verdict in (UNDECIDED, NOT_RESOLVED, EMPTY)]
    named = ", ".join(f"{count} {verdict}" for count, verdict in found if count)
    return f" ({named})" if named else ""


def network_table(tested: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return one row per network and metric of the paper, with its control."""
    paper = tested[tested["role"] == "paper"]
    flat = flat_controls(tested, names)
    rows = []
    for network in names.ordered:
        control = names.controls.get(network)
        controls = paper[paper["network"] == control].set_index("metric")
        of_no_control = flat.get(control, []) if control is not None else []
        for one in paper[paper["network"] == network].to_dict("records"):
            metric = one["metric"]
            other = controls.loc[metric] if metric in controls.index else None
            verdict = "-" if other is None else other["verdict"]
            rows.append(
                {
                    "network": network,
                    "metric": metric,
                    "verdict": f"{one['verdict']}, of scale" if of_scale(one) else one["verdict"],
                    "falls by": change(one, "fall", interval=True),
                    "to block": "-"
                    if pd.isna(one["valley_block"])
                    else f"{one['valley_block']} of 0 to {one['blocks'] - 1}",
                    "rises by": change(one, "rise", interval=True),
                    # p is meaningless where the bins decide.
                    "p": "-" if one["verdict"] == NOT_RESOLVED else number(one["p_adjusted"], ".2g"),
                    "of scale": ", ".join(number(100 * one[f"{end}_scale_share"], ".0f") for end in ("fall", "rise")),
                    "its control": "flat: no control" if metric in of_no_control else verdict,
                }
            )
    return pd.DataFrame(rows)
