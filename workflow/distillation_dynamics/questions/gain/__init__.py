"""When a variant gains or loses against the baseline during training: validation top-1, paired over seeds.

In: the training curves. Out: the rows of `trajectory.parquet`, and for each variant its mean gain over the first and
last third of training. A third without a validated epoch has no gain: it was not measured, which does not mean there is
none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...files import Column
from ...statistics.evidence import Evidence
from ...statistics.keys import HIGH, LOW, PAIR
from ...statistics.paired import mean_of
from ...statistics.westfall_young import test

TITLE = "When does a gain arise?"
PLACE = 60
FIGURES = ("training_curves",)
SOURCES = ("trajectory", "variants")
DECIDES = "intervals over seeds of the gain in the first and in the last third of training, every epoch validated"
REQUIRES = ("students",)
READS = ("epochs", "variants")
TRAJECTORY_COLUMNS = PAIR | {
    "epoch": Column("epochs", "finished epochs"),
    "fraction": Column("", "epoch over all epochs of the training"),
    "seeds": Column("", "seeds measured in both at this epoch"),
    "gain": Column("points", "mean over seeds of the paired difference in validation top-1"),
    "low": LOW,
    "high": HIGH,
}
THIRDS = {"early": "first", "late": "last"}
GAIN_COLUMNS: dict[str, Column] = {}
for _third, _which in THIRDS.items():
    GAIN_COLUMNS |= {
        f"{_third}_gain": Column(
            "points",
            f"mean over seeds of the gain in validation top-1, over the measured epochs of the {_which} third of "
            "training (without epoch 0); NaN: not measured",
        ),
        f"{_third}_low": Column("points", f"lower end of the 95 % t interval of the gain in the {_which} third"),
        f"{_third}_high": HIGH,
        f"{_third}_seeds": Column("", f"seeds measured in both in the {_which} third"),
        f"{_third}_epochs": Column("epochs", f"epochs of the {_which} third that were validated in both, in any seed"),
        f"{_third}_all": Column("epochs", f"epochs of the {_which} third"),
        f"{_third}_p": Column("", "joint sign-flip p of that gain, over the early and late gains of all variants"),
    }
TABLES = {"trajectory": TRAJECTORY_COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return trajectory.parquet; the gains in thirds of training are columns of variants.parquet."""
    return {"trajectory": trajectory(evidence.tables["epochs"], evidence.names.against)}


def _paired(epochs: pd.DataFrame, against: Mapping[str, str]) -> dict[str, tuple[int, pd.Series]]:
    """Return variant -> the last epoch of it or its baseline; gains by epoch and seed, if both are measured."""
    everyone = list(dict.fromkeys([*against, *against.values()]))
    epochs = epochs[epochs["network"].isin(everyone)]
    last = epochs.groupby("network")["epoch"].max().reindex(everyone, fill_value=0)
    top1 = epochs.pivot(index=["epoch", "seed"], columns="network", values="validation_top1").reindex(columns=everyone)
    return {
        name: (int(last[[name, baseline]].max()), (top1[name] - top1[baseline]).dropna())
        for name, baseline in against.items()
    }


def trajectory(epochs: pd.DataFrame, against: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows of trajectory.parquet: validation top-1 of each variant minus that of its baseline (`against`).

    One row per epoch that was measured in both.
    """
    rows = []
    paired = _paired(epochs, against) if against else {}
    for variant, (last, by_epoch) in paired.items():
        for epoch, gains in by_epoch.groupby(level="epoch"):
            row = {"variant": variant, "baseline": against[variant], "epoch": epoch, "seeds": len(gains)}
            rows.append(row | {"fraction": epoch / last} | mean_of(gains.to_numpy(), "gain"))
    return pd.DataFrame(rows, columns=list(TRAJECTORY_COLUMNS))


def in_third(third: str, epoch: np.ndarray, last: int) -> np.ndarray:
    """Return which epochs [n] are in the first ("early") or last third of a training of `last` epochs; never epoch 0.

    In integers: a third of 6 epochs ends with epoch 2, regardless of rounding of 1 / 3.
    """
    epoch = np.asarray(epoch)
    return (epoch > 0) & (3 * epoch <= last) if third == "early" else 3 * epoch > 2 * last


def gains(epochs: pd.DataFrame, against: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return variant -> the columns of GAIN_COLUMNS; `against`: variant -> its baseline.

    A seed's gain is the mean over the measured epochs of the third. The early and late gains of all variants are one
    family.
    """
    found: dict[str, dict[str, Any]] = {}
    by_seed: dict[tuple[str, str], pd.Series] = {}
    if not against:
        return found
    for variant, (last, paired) in _paired(epochs, against).items():
        found[variant] = {}
        for third in THIRDS:
            own = paired[in_third(third, paired.index.get_level_values("epoch"), last)]
            seeds = own.groupby(level="seed").mean()
            found[variant] |= mean_of(seeds.to_numpy(), f"{third}_gain", f"{third}_") | {
                f"{third}_seeds": len(seeds),
                f"{third}_epochs": own.index.get_level_values("epoch").nunique(),
                f"{third}_all": int(in_third(third, np.arange(1, last + 1), last).sum()),
            }
            by_seed[variant, third] = seeds
    # Those not measured in any seed are left out of the family by `together`.
    p = test(pd.DataFrame(by_seed), effects=False)["p_joint"]
    for variant, third in by_seed:
        found[variant][f"{third}_p"] = float(p[variant, third])
    return found
