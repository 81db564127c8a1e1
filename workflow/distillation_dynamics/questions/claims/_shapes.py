"""Shape of trained Transformers over depth, for claims on a U: results of shape.parquet on the main images.

Networks are those known to have attention. Students are not among them; networks without attention, or for which
attention was not measured, decide nothing.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ...spec.tables import MAIN_IMAGE_SET
from ...statistics.evidence import Evidence
from ...statistics.thresholds import FLAT
from ...statistics.u_shape import NOT_RESOLVED, NOT_U_SHAPED, TESTED, U_SHAPED
from ...words import listed, number, spaced
from ._finding import few, why

# Metric of the claim -> its form without scale, or None if there is none.
SCALE_FREE = {"entropy": "entropy_standardised", "intensity": "intensity_per_rms", "activation_magnitude": None}
DECIDED = {U_SHAPED: True, NOT_U_SHAPED: False}
UNITS = {"bits": "bits", "log": "doublings", "linear": "shares"}
READ = (
    "network",
    "probe",
    "metric",
    "verdict",
    "relative_range",
    "valley",
    "valley_low",
    "valley_high",
    "scale",
    "images",
)


class Shapes(NamedTuple):
    """Rows tested on the main images; `flat`: controls that are flat in all."""

    rows: pd.DataFrame
    flat: set[str]

    def verdicts(self, network: str | None) -> dict[str, str]:
        """Return metric -> verdict of a network."""
        own = self.rows[self.rows["network"] == network]
        return dict(zip(own["metric"], own["verdict"], strict=True))

    def of(self, network: str | None, metrics: tuple[str, ...] = tuple(SCALE_FREE)) -> dict[str, bool | None]:
        """Return metric -> whether a tested network is U-shaped in it, None if undecided."""
        own = self.verdicts(network)
        return {metric: DECIDED.get(own[metric]) for metric in metrics if metric in own}

    def scale_free(self, network: str) -> dict[str, bool | None]:
        """Return the same for the forms without scale."""
        return self.of(network, tuple(filter(None, SCALE_FREE.values())))

    def said(self, networks: list[str]) -> str:
        """Return 'cait: entropy no (-0.02 [-0.03, -0.01] bits), intensity yes ...' with each metric's valley."""
        return "; ".join(
            f"{name}: " + ", ".join(self._said(row) for row in self._paper(name).to_dict("records"))
            for name in networks
            if self.of(name)
        )

    def _paper(self, network: str) -> pd.DataFrame:
        own = self.rows[self.rows["network"] == network]
        return own[own["metric"].isin(list(SCALE_FREE))]

    def _said(self, row: dict) -> str:
        words = {U_SHAPED: "yes", NOT_U_SHAPED: "no"}
        return f"{spaced(row['metric'])} {words.get(row['verdict'], row['verdict'])} ({_valley(row)})"

    def deepest(self, networks: list[str]) -> str:
        """Return the metric and network with the deepest valley, for a sentence: 'valley of ... n images'."""
        return self._at(networks, np.nanargmax)

    def shallowest(self, networks: list[str]) -> str:
        """Return the metric and network with the shallowest valley."""
        return self._at(networks, np.nanargmin)

    def _at(self, networks: list[str], which) -> str:
        rows = pd.concat([self._paper(name) for name in networks])
        if rows["valley"].isna().all():
            return f"{rows['images'].max():.0f} images"
        row = rows.iloc[int(which(rows["valley"].to_numpy(dtype=float)))].to_dict()
        return f"{row['network']}'s {spaced(row['metric'])} {_valley(row)}, {row['images']:.0f} images"

    def open(self, networks: list[str]) -> list[str]:
        """Return 'entropy of vit is undecided', 'intensity of cait was not measured' of the metrics of the claim."""
        found = []
        for name in networks:
            known = self.of(name)
            for metric in SCALE_FREE:
                if metric not in known:
                    found.append(f"{spaced(metric)} of {name} was not measured")
                elif known[metric] is None:
                    found.append(f"{spaced(metric)} of {name} is {self.verdicts(name)[metric]}")
        return found


def _valley(row: dict) -> str:
    ends = f"[{number(row['valley_low'])}, {number(row['valley_high'])}]"
    return f"{number(row['valley'])} {ends} {UNITS.get(row['scale'], row['scale'])}"


def shapes_of(evidence: Evidence) -> Shapes:
    """Return the results of shape.parquet on the main images, without the curves of flat controls."""
    rows = evidence.read("shape", *READ)
    rows = rows[(rows["probe"] == MAIN_IMAGE_SET) & rows["verdict"].isin([*TESTED, NOT_RESOLVED])]
    flat = (rows["relative_range"] < FLAT) & rows["network"].isin(evidence.names.controls.values())
    kept = rows[~flat]
    return Shapes(kept, set(rows.loc[flat, "network"]) - set(kept["network"]))


def transformers(evidence: Evidence, found: Shapes) -> list[str]:
    """Return the trained networks with attention whose shape was tested."""
    return [name for name in evidence.names.ordered if found.of(name) and evidence.with_attention(name)]


def epochs_here(evidence: Evidence, network: str) -> float:
    """Return for how many epochs a network was trained here; infinite for weights from elsewhere (taken as final)."""
    rows = evidence.read("runs", "network", "epochs", "updates")
    rows = rows[(rows["network"] == network) & (rows["updates"] > 0)]
    return float(rows["epochs"].iloc[0]) if len(rows) else float("inf")


def none_tested(evidence: Evidence, found: Shapes) -> str:
    """Return why there is none."""
    unknown = [name for name in evidence.names.ordered if found.of(name) and evidence.with_attention(name) is None]
    if unknown:
        return why("attention unknown", networks=few(unknown), count=len(unknown))
    return why("no Transformer")


def plural_of(networks: list[str]) -> str:
    """Return 'this Transformer', or 'these 3 Transformers'."""
    return "this Transformer" if len(networks) == 1 else f"these {len(networks)} Transformers"


def in_metrics(states: dict[str, bool | None], state: bool | None) -> str:
    """Return the metrics of a network in a state, listed."""
    return listed([spaced(metric) for metric, own in states.items() if own is state])
