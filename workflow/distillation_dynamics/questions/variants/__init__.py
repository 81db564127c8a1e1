"""Whether a variant helps: paired differences in test accuracy from a baseline over common seeds.

In: the table of runs, the terms of each variant, and results of training curves and checkpoints. Out: the rows of
`differences.parquet` and `variants.parquet`. The unit of evidence is the seed. All variants are tested jointly by the
sign flips of `westfall_young`.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ...files import Column
from ...report.templates import rendered
from ...statistics import terms, westfall_young
from ...statistics.evidence import Evidence
from ...statistics.keys import HIGH, JOINT, LOW, PAIR, SEEDS
from ...statistics.paired import SIGN_FLIP, by_seed, paired, spreads
from ..gain import GAIN_COLUMNS, gains
from .checkpoints import MCNEMAR_COLUMNS, Right, correct, evaluation_error, mcnemar

TITLE = "Does a variant help?"
PLACE = 50
FIGURES = ("effects", "accuracy")
SOURCES = ("variants", "differences", "mcnemar")
DECIDES = "a joint test over at least 6 seeds, of variants that differ from the baseline in one thing"
REQUIRES = ("students",)
READS = ("runs", "epochs")
DIFFERENCE_COLUMNS = PAIR | {
    "seed": Column("", "seed that both have"),
    "difference": Column("points", "test top-1 of the variant minus that of the baseline, last epoch"),
}
VARIANT_COLUMNS = {
    **PAIR,
    "seeds": SEEDS,
    "mean_difference": Column("points", "mean over seeds of the paired difference in test top-1"),
    "low": LOW,
    "high": HIGH,
    "p_sign_flip": Column("", SIGN_FLIP),
    "sd_paired": Column("points", "standard deviation over seeds of the paired difference; NaN with one seed"),
    "sd_unpaired": Column(
        "points", "that of a difference between unrelated seeds: root of the sum of both variances over the same seeds"
    ),
    "correlation": Column("", "Pearson correlation over seeds with the baseline; NaN below 3 seeds or without spread"),
    **JOINT,
    "evaluation_standard_error": Column(
        "points", "standard error of the mean difference from the number of test images alone, which all seeds share"
    ),
    **GAIN_COLUMNS,
    "changes": Column("", "changes that lead from the terms of the baseline to those of the variant"),
    "differs": Column("", "these changes in words; the difference is that of all of them together"),
    "verdict": Column("", "result in words"),
}


TABLES = {"differences": DIFFERENCE_COLUMNS, "variants": VARIANT_COLUMNS, "mcnemar": MCNEMAR_COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return differences.parquet, variants.parquet and mcnemar.parquet."""
    runs, against = evidence.tables["runs"], evidence.names.against
    right = {pair: correct(folder, evidence.labels) for pair, folder in evidence.students.items()}
    found = gains(evidence.tables["epochs"], against)
    return {
        "differences": differences(runs, against),
        "variants": compare(runs, found, right, evidence.terms, against),
        "mcnemar": mcnemar(right, against),
    }


def differences(runs: pd.DataFrame, against: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of differences.parquet; `against`: variant -> its baseline."""
    found = by_seed(runs, against)
    rows = [
        {"variant": variant, "baseline": baseline, "seed": seed, "difference": difference}
        for variant, baseline in against.items()
        for seed, difference in found[variant].dropna().items()
    ]
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def verdict(row: Mapping[str, Any]) -> str:
    """Return the result of one comparison in words; it says significant only if a test allows it."""
    decided = westfall_young.decision(row) if row["seeds"] > 1 and row["joint_seeds"] else ""
    return rendered(
        "questions/variants/words.md.j2",
        row=row,
        decided=decided,
        excludes_0=row["low"] > 0 or row["high"] < 0,
        largest=westfall_young.largest(row),
    )[0]


def compare(
    runs: pd.DataFrame,
    gains: Mapping[str, Mapping[str, Any]],
    right: Right,
    listed: Mapping[str, terms.Terms],
    against: Mapping[str, str],
) -> pd.DataFrame:
    """Return the rows of variants.parquet.

    `gains`: variant -> columns of GAIN_COLUMNS; `right`: which test images each run classifies correctly; `listed`:
    variant -> terms; `against`: variant -> its baseline.
    """
    found = by_seed(runs, against)
    tested = westfall_young.test(found)
    rows = []
    for variant, baseline in against.items():
        changes = terms.differences(listed[variant], listed[baseline])
        row = {
            "variant": variant,
            "baseline": baseline,
            **paired(found[variant].dropna().to_numpy()),
            **spreads(runs, variant, baseline),
            **tested.loc[variant].to_dict(),
            "evaluation_standard_error": evaluation_error(right, variant, baseline),
            **gains[variant],
            "changes": len(changes),
            "differs": "; ".join(changes),
        }
        row |= {name: int(row[name]) for name in ("joint_seeds", "joint_comparisons")}
        rows.append(row | {"verdict": verdict(row)})
    return pd.DataFrame(rows, columns=list(VARIANT_COLUMNS))
