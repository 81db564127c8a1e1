"""Results of the study's planned comparisons: families of differences, each family one joint test.

In: test top-1 by seed, the families in `statistics.families`. Out: the rows of `planned.parquet`: a - b, or (a - b) -
(c - d), paired by seed.
"""

from collections.abc import Sequence

import pandas as pd

from ...files import Column
from ...statistics import westfall_young
from ...statistics.evidence import Evidence
from ...statistics.keys import HIGH, JOINT, LOW, SEEDS
from ...statistics.paired import by_seed, mean_of

TITLE = "Planned comparisons"
PLACE = 12
DECIDES = "comparisons that the configuration names before the run (`statistics.families`), more seeds"
REQUIRES = ("students",)
READS = ("runs",)
PLANNED_COLUMNS = {
    "family": Column("", "name of the family: its comparisons are tested jointly"),
    "comparison": Column("", "a minus b, or that minus the same of two others"),
    "seeds": SEEDS,
    "mean_difference": Column("points", "mean over seeds of the paired difference in test top-1"),
    "low": LOW,
    "high": HIGH,
    "sd": Column("points", "standard deviation of it over seeds"),
    **JOINT,
    "p_joint": Column("", JOINT["p_joint"].description.replace("this table", "its family")),
    "verdict": Column("", "better, worse, not found or untested: of the first, by the joint test"),
}
TABLES = {"planned": PLANNED_COLUMNS}


def said(of: Sequence[str]) -> str:
    """Return a comparison of two or of four variants in words."""
    pairs = [f"{of[place]} minus {of[place + 1]}" for place in range(0, len(of), 2)]
    return pairs[0] if len(pairs) == 1 else " minus ".join(f"({pair})" for pair in pairs)


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return planned.parquet."""
    runs, rows = evidence.tables["runs"], []
    for family, comparisons in (evidence.setting.families if evidence.setting else {}).items():
        values = {}
        for of in comparisons:
            pairs = [by_seed(runs, {of[place]: of[place + 1]})[of[place]] for place in range(0, len(of), 2)]
            values[said(of)] = pairs[0] if len(pairs) == 1 else pairs[0] - pairs[1]
        tested = westfall_young.test(pd.DataFrame(values))
        for comparison, differences in values.items():
            differences = differences.dropna()
            row = {
                "family": family,
                "comparison": comparison,
                "seeds": len(differences),
                **mean_of(differences.to_numpy(), "mean_difference"),
                "sd": differences.std(),
                **tested.loc[comparison].to_dict(),
            }
            rows.append(row | {"verdict": westfall_young.decision(row)})
    return {"planned": pd.DataFrame(rows, columns=list(PLANNED_COLUMNS))}
