"""Whether a predictor ranks the pairs of a study by their effect, with its sign chosen on other studies.

In: the rows of pairs.parquet of several studies. Out: the rows of foresight.parquet, one per predictor. In each study
the Spearman correlation with the effect is computed over the pairs with a value, if these are three or more and both
columns vary. Leaving one study out at a time, its correlation is multiplied by the sign of the mean over the others.
The rule `early` has a fixed sign. Pairs of one study share students and teacher, so the unit is the study: mean and t
interval are over studies. Imports no torch.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..files import Column
from ..statistics.paired import mean_of
from .pairs import EARLY, PREDICTORS

FEWEST_PAIRS = 3
# Values that agree to this precision are equal: those of one pair, and equal effects, differ by rounding.
DECIMALS = 4
# The same for sums of correlations.
SAME = 1e-9
INTERVAL_LOW = "lower end of its 95 % t interval over studies, may pass -1; NaN with one study or without spread"
COLUMNS = {
    "predictor": Column("", "column of pairs.parquet"),
    "sign": Column("", "sign of its mean correlation over all studies, for use in a further one; 0: none"),
    "correlation": Column(
        "",
        "rank correlation with the effect in the study left out, times the sign in the others, mean over "
        "studies; 1: order predicted, -1: reversed",
    ),
    "low": Column("", INTERVAL_LOW),
    "high": Column("", "upper end of that interval"),
    "tested": Column("", "studies that it is the mean of: computed, with a sign in the others"),
    "computed": Column("", "studies with a correlation: three pairs or more, varying predictor and effect"),
    "studies": Column("", "studies with a pair"),
    "pairs": Column("", "pairs of all studies that have the predictor"),
    "missing": Column("", "pairs that lack it"),
    "other_than_depth": Column(
        "", "of the studies computed, those in which its order of pairs is neither that of depth nor the reverse"
    ),
    "less_early": Column(
        "", f"that correlation minus the one of `{EARLY}` on the same pairs, mean over studies that have both"
    ),
    "less_early_low": Column("", INTERVAL_LOW.replace("-1", "-2")),
    "less_early_high": Column("", "upper end of that interval"),
    "less_early_studies": Column("", "studies that have both"),
}


def correlation(values: pd.Series, others: pd.Series) -> float:
    """Return Spearman's rank correlation of two columns [n] over rows with both values; ties get their mean rank.

    NaN for fewer than three such rows, or a constant column.
    """
    known = values.notna() & others.notna()
    both = [column[known].to_numpy(dtype=np.float64).round(DECIMALS) for column in (values, others)]
    if known.sum() < FEWEST_PAIRS or any(len(np.unique(column)) < 2 for column in both):
        return np.nan
    return float(stats.spearmanr(*both).statistic)


def signs_of_others(correlations: np.ndarray) -> np.ndarray:
    """Return for each study the sign of the mean of the others' correlations [studies]; NaN without any."""
    return np.array([_sign(np.delete(correlations, left_out)) or np.nan for left_out in range(len(correlations))])


def _sign(correlations: np.ndarray) -> int:
    """Return the sign of the mean of the known values, 0 without any."""
    mean = np.nansum(correlations)
    return 0 if abs(mean) < SAME else int(np.sign(mean))


def table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of foresight.parquet."""
    studies = [group for _, group in pairs.groupby("study", sort=False)]
    return pd.DataFrame([_row(name, studies) for name in PREDICTORS], columns=list(COLUMNS))


def _row(name: str, studies: list[pd.DataFrame]) -> dict[str, Any]:
    """Return the row of a predictor."""
    known = [pairs[pairs[name].notna()] for pairs in studies]
    own = np.array([correlation(pairs[name], pairs["effect"]) for pairs in known])
    early = np.array([correlation(pairs[EARLY], pairs["effect"]) for pairs in known])
    scores = own if name == EARLY else own * signs_of_others(own)
    less = np.array([]) if name == EARLY else (scores - early)[~np.isnan(scores - early)]
    tested, computed = scores[~np.isnan(scores)], ~np.isnan(own)
    as_depth = np.array([abs(correlation(pairs[name], pairs[EARLY])) > 1 - SAME for pairs in known])
    return {
        "predictor": name,
        "sign": 1 if name == EARLY else _sign(own),
        **mean_of(tested, "correlation"),
        "tested": len(tested),
        "computed": int(computed.sum()),
        "studies": len(studies),
        "pairs": sum(map(len, known)),
        "missing": sum(map(len, studies)) - sum(map(len, known)),
        "other_than_depth": int((computed & ~as_depth).sum()),
        **mean_of(less, "less_early", "less_early_"),
        "less_early_studies": len(less),
    }
