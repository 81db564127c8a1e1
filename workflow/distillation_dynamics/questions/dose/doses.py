"""Dose of each term by epoch, as a share of the loss and of the gradients, and its agreement with the task.

In: the tables of terms and of their gradients, and the terms of each variant. Out: the rows of `doses.parquet`. Much of
a term's value may be irreducible, so its share of the loss does not measure its effect on the student; its share of the
gradients on the student's blocks does.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...files import Column
from ...statistics import terms

DOSE_BY_EPOCH_COLUMNS = {
    "variant": Column("", "variant"),
    "term": Column("", "term of its loss"),
    "objective": Column("", "objective that makes it"),
    "pairs": Column("", "pairs of blocks that it compares, student-teacher, from 0; empty: none"),
    "given": Column("", "its weight or share, as the study gives it"),
    "epoch": Column("epochs", "finished epochs, 1 is the first"),
    "seeds": Column("", "seeds measured"),
    "share": Column("", "share of the loss, weight x value / loss: mean over the epoch's updates and over seeds"),
    "gradient_share": Column(
        "",
        "share of weight x norm of the gradient on the student's blocks in the sum over all terms: mean over the "
        "epoch's logged updates and over seeds; NaN where none was logged",
    ),
    "cosine": Column(
        "",
        "cosine of its gradient and that of the terms that take nothing of a teacher: mean over blocks, logged "
        "updates and seeds; NaN where none was logged",
    ),
}
KEYS = ["network", "seed", "epoch", "term"]


def doses_of(
    listed: Mapping[str, terms.Terms], by_epoch: pd.DataFrame | None, gradients: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the rows of doses.parquet, one per variant, term and epoch; `listed`: variant -> its terms."""
    specs = {(variant, term.name): term for variant, own in listed.items() for term in own}
    if by_epoch is None or by_epoch.empty:
        return pd.DataFrame(columns=list(DOSE_BY_EPOCH_COLUMNS))
    table = by_epoch[[*KEYS, "share", "weight"]]
    if gradients is None or gradients.empty:
        table = table.assign(gradient_share=np.nan, cosine=np.nan)
    else:
        table = table.merge(_by_epoch(gradients, table), "left", on=KEYS)
    rows = []
    for (variant, term, epoch), group in table.groupby(["network", "term", "epoch"], sort=False):
        if (spec := specs.get((variant, term))) is not None:
            row = {"variant": variant, "term": term, "objective": spec.objective}
            row |= {"pairs": terms.named(spec.pairs), "given": terms.dose_of(spec)}
            means = {name: group[name].mean() for name in ("share", "gradient_share", "cosine")}
            rows.append(row | {"epoch": epoch, "seeds": len(group)} | means)
    return pd.DataFrame(rows, columns=list(DOSE_BY_EPOCH_COLUMNS))


def _by_epoch(gradients: pd.DataFrame, weights: pd.DataFrame) -> pd.DataFrame:
    """Return share of the gradients and cosine by network, seed, epoch and term."""
    squared = gradients.assign(norm=gradients["norm"].fillna(0.0) ** 2)
    norms = squared.groupby([*KEYS, "step"], as_index=False)["norm"].sum()
    norms = norms.merge(weights[[*KEYS, "weight"]], on=KEYS)
    norms["part"] = norms["weight"] * np.sqrt(norms["norm"])
    total = norms.groupby(["network", "seed", "epoch", "step"])["part"].transform("sum")
    norms["gradient_share"] = norms["part"] / total.where(total > 0)
    shares = norms.groupby(KEYS)["gradient_share"].mean()
    return pd.concat([shares, gradients.groupby(KEYS)["cosine"].mean()], axis=1).reset_index()
