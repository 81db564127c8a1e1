"""Claims on trained networks: the shape of their metrics over depth, and their spectra along channels.

In: the evidence. Out: a finding a claim. Networks are those of the study, students are not among them.
"""

import numpy as np
import pandas as pd

from ...spec.tables import MAIN_IMAGE_SET
from ...statistics.evidence import Evidence
from ...statistics.thresholds import FLAT, LEVEL
from ...statistics.u_shape import NOT_U_SHAPED, U_SHAPED
from .finding import CONTRADICTED, NO_CONTROL, SUPPORTED, UNDECIDED, Finding, untestable

# A metric of the claim -> the same with the scale taken out, or None where there is no such form.
SCALE_FREE = {"entropy": "entropy_standardised", "intensity": "intensity_per_rms", "activation_magnitude": None}
BAND = "bandwidth_folded_95"
SPECTRUM = ("amplitude_p", BAND, f"{BAND}_null", f"{BAND}_null_low", f"{BAND}_null_high")


def verdicts_of(evidence: Evidence) -> pd.DataFrame:
    """Return network x metric -> whether it is U-shaped on the main images; None where the test says neither.

    Reads `network`, `probe`, `metric`, `verdict` and `relative_range` of shape.parquet; curves of controls that are
    flat are left out.
    """
    rows = evidence.read("shape", "network", "probe", "metric", "verdict", "relative_range")
    flat = (rows["relative_range"] < FLAT) & rows["network"].isin(evidence.names.controls.values())
    decided = rows["verdict"].isin([U_SHAPED, NOT_U_SHAPED])
    rows = rows[(rows["probe"] == MAIN_IMAGE_SET) & decided & ~flat]
    return rows[["network", "metric"]].assign(u=rows["verdict"] == U_SHAPED)


def counted(found: pd.DataFrame, networks: list[str]) -> str:
    """Return 'cait: entropy yes, intensity no; vit: ...' of the metrics of the claim."""
    own = found[found["metric"].isin(SCALE_FREE)]
    said = (own["metric"] + own["u"].map({True: " yes", False: " no"})).groupby(own["network"]).agg(", ".join)
    return "; ".join(f"{network}: {said[network]}" for network in networks)


def _tested(found: pd.DataFrame, names: tuple[str, ...]) -> list[str]:
    having = set(found.loc[found["metric"].isin(SCALE_FREE), "network"])
    return [name for name in names if name in having]


def _u(found: pd.DataFrame, network: str | None, metrics: list[str]) -> list[bool]:
    return list(found.loc[(found["network"] == network) & found["metric"].isin(metrics), "u"])


def shape(evidence: Evidence) -> Finding:
    """Claim A: U-shaped in all of the paper's metrics, and still so with the scale taken out."""
    found = verdicts_of(evidence)
    networks = _tested(found, evidence.names.ordered)
    if not networks:
        return untestable("the shape of no trained network was tested")
    number = counted(found, networks)
    all_of_them = [u for name in networks for u in _u(found, name, list(SCALE_FREE))]
    free = {name: _u(found, name, [free for free in SCALE_FREE.values() if free]) for name in networks}
    control = "scale taken out, U-shaped: " + "; ".join(
        f"{name} {sum(values)} of {len(values)}" if values else f"{name} {NO_CONTROL}" for name, values in free.items()
    )
    here = "in this network" if len(networks) == 1 else f"in these {len(networks)} networks"
    if not any(all_of_them):
        return Finding(CONTRADICTED, number, control, f"none of these metrics is U-shaped {here}")
    if not all(all_of_them):
        return Finding(UNDECIDED, number, control, f"some of these metrics are U-shaped {here}, others are not")
    if all(values and all(values) for values in free.values()):
        return Finding(SUPPORTED, number, control, f"all are U-shaped {here}, with the scale taken out too")
    why = f"all are U-shaped {here}, but not with the scale taken out, as far as that was measured: a U of scale"
    return Finding(UNDECIDED, number, control, why)


def learned(evidence: Evidence) -> Finding:
    """Claim B: U-shaped in several networks with attention, and in none of their controls."""
    found, names = verdicts_of(evidence), evidence.names
    networks = [name for name in _tested(found, names.ordered) if evidence.with_attention(name) is not False]
    if not networks:
        return untestable("the shape of no trained network with attention was tested")
    number = counted(found, networks)
    controls = {name: _tested(found, (names.controls.get(name, ""),)) for name in networks}
    control = counted(found, [one for own in controls.values() for one in own]) or NO_CONTROL
    without = [name for name in networks if not any(_u(found, name, list(SCALE_FREE)))]
    if without:
        return Finding(CONTRADICTED, number, control, f"not universal: no U in {', '.join(without)}")
    already = []
    for name, own in controls.items():
        hollow = list(found.loc[(found["network"] == name) & found["u"], "metric"])
        already += [one for one in own if all(_u(found, one, [m for m in hollow if m in SCALE_FREE]) or [False])]
    if already:
        return Finding(CONTRADICTED, number, control, f"not learned: {', '.join(already)} has the same U")
    if len(networks) < 2:
        return untestable("universal takes several networks, and here is one", number, control)
    whole = all(all(_u(found, name, list(SCALE_FREE))) for name in networks)
    clean = all(own and not any(_u(found, own[0], list(SCALE_FREE))) for own in controls.values())
    if whole and clean:
        return Finding(SUPPORTED, number, control, f"in these {len(networks)} networks and on these images")
    open_ones = ["not every metric of every network is U-shaped"] * (not whole)
    open_ones += ["a control has a U in some metric, or was not measured"] * (not clean)
    return Finding(UNDECIDED, number, control, "; ".join(open_ones))


def spectra(evidence: Evidence) -> pd.DataFrame:
    """Return one row a block of a trained network: where its spectrum stands against permuted channels.

    Reads `amplitude_p` (the one test of the whole curve) and `bandwidth_folded_95` with its null of depth.parquet.
    `low`: significantly different after Holm over the blocks of the network, and its bandwidth below the null's mean;
    `like_chance`: its bandwidth is not below the null's 95 % band. `place`: 0 to 1 over depth.
    """
    rows = evidence.depth(*SPECTRUM)
    rows = rows[rows["network"].isin(evidence.names.ordered)].sort_values(["network", "block"])
    parts = []
    for _, own in rows.groupby("network", sort=False):
        below = own[BAND] < own[f"{BAND}_null"]
        low = _low_after_holm(own["amplitude_p"]) & below
        place = own["block"] / max(own["block"].max(), 1)
        parts.append(own.assign(low=low, like_chance=own[BAND] >= own[f"{BAND}_null_low"], place=place))
    return pd.concat(parts) if parts else rows.assign(low=False, like_chance=False, place=0.0)


def _low_after_holm(p: pd.Series) -> np.ndarray:
    """Return which of these p values, one family, are at most LEVEL after Holm."""
    order = np.argsort(p.to_numpy())
    low = np.empty(len(p), dtype=bool)
    low[order] = np.maximum.accumulate(p.to_numpy()[order] * np.arange(len(p), 0, -1)) <= LEVEL
    return low


def _band(row: pd.Series) -> str:
    return (
        f"95 % of the energy in {row[BAND]:.3f} of the frequencies, permuted {row[f'{BAND}_null_low']:.3f} to "
        f"{row[f'{BAND}_null_high']:.3f}, p {row['amplitude_p']:.2g}"
    )


def low_pass(evidence: Evidence) -> Finding:
    """Claim C: a block of the middle third is low-pass, none of the first and last third is."""
    rows = spectra(evidence)
    plain = [name for name in evidence.names.ordered if evidence.with_attention(name) is False]
    rows = rows[~rows["network"].isin(plain)]
    numbers, states = [], []
    for name, own in rows.groupby("network", sort=False):
        middle = own[(own["place"] >= 1 / 3) & (own["place"] <= 2 / 3)]
        if len(own) < 3 or middle.empty:
            continue
        least = middle.loc[(middle[BAND] - middle[f"{BAND}_null"]).idxmin()]
        numbers.append(f"{name} ({len(own)} blocks): block {int(least['block'])} of the middle, {_band(least)}")
        outer = own.drop(middle.index)
        supported = middle["low"].any() and not outer["low"].any()
        states.append(SUPPORTED if supported else CONTRADICTED if middle["like_chance"].all() else UNDECIDED)
    if not states:
        return untestable("no spectrum over depth of a network with attention was tested against permuted channels")
    why = {
        SUPPORTED: "low-pass in the middle alone, in all of these networks",
        CONTRADICTED: "no block of the middle holds its energy in fewer frequencies than permuted channels do",
        UNDECIDED: "neither; p of .05 after Holm over the blocks takes 20 permutations a block",
    }
    verdict = states[0] if len(set(states)) == 1 else UNDECIDED
    return Finding(verdict, "; ".join(numbers), "permuted channels: beside each number", why[verdict])


def late(evidence: Evidence) -> Finding:
    """Claim D: the last block is low-pass in networks without attention and in none with it."""
    rows = spectra(evidence)
    rows = rows[rows["place"] == 1].reset_index(drop=True)
    rows = rows.assign(low=_low_after_holm(rows["amplitude_p"]) & (rows[BAND] < rows[f"{BAND}_null"]))
    kinds = rows["network"].map(evidence.with_attention)
    plain, attending = rows[kinds.eq(False)], rows[kinds.eq(True)]
    number = "; ".join(f"{row['network']}: {_band(row)}" for _, row in rows.iterrows())
    if plain.empty or attending.empty:
        missing = "without" if plain.empty else "with"
        return untestable(f"no network {missing} attention, known to be so, was measured", number)
    control = _accuracy_and_rank(evidence, list(rows["network"]))
    if plain["low"].all() and attending["like_chance"].all():
        return Finding(SUPPORTED, number, control, "in these networks; whether their accuracies are alike: see there")
    if plain["like_chance"].all() or attending["low"].all():
        why = (
            "without attention none is low-pass"
            if plain["like_chance"].all()
            else "with attention all are low-pass too"
        )
        return Finding(CONTRADICTED, number, control, f"in these networks: {why}")
    return Finding(UNDECIDED, number, control, "networks of one kind differ, or are not certain to differ from chance")


def _accuracy_and_rank(evidence: Evidence, networks: list[str]) -> str:
    runs = evidence.read("runs", "network", "test_top1").groupby("network")["test_top1"].mean()
    ranks = evidence.depth("pca_rank_95", "channels").sort_values("block").groupby("network").last()
    texts = []
    for name in networks:
        top1 = runs.get(name, np.nan)
        rank = NO_CONTROL
        if name in ranks.index:
            rank = f"{ranks.loc[name, 'pca_rank_95']:.0f} of {ranks.loc[name, 'channels']:.0f} directions"
        texts.append(f"{name}: top-1 {NO_CONTROL if np.isnan(top1) else f'{top1:.1f} %'}, rank {rank}")
    return "; ".join(texts)
