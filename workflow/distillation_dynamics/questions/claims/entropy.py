"""Claims on the entropy of students over depth: its fall to the lowest block, its rise from it, and what changes them.

In: the evidence. Out: a finding a claim. Entropy under the teacher's range follows the scale of the activations, so
that each is looked at once more with the scale taken out; and it must say the same in other bins, of students whose
tokens spread over enough of them.
"""

import numpy as np
import pandas as pd

from ...statistics.bins import PER_BIN, too_few
from ...statistics.evidence import Evidence
from ...words import listed
from ..shape.bins import OTHER_BINS
from .finding import (
    CONTRADICTED,
    NO_CONTROL,
    SUPPORTED,
    UNDECIDED,
    Finding,
    mean_interval,
    mean_with_interval,
    untestable,
)
from .students import FIRST, LAST, NO_VARIANT, aligning

ENTROPY, STANDARDISED = "entropy_fixed_range", "entropy_standardised"
OTHERS = tuple(f"{ENTROPY}_{name}" for name in OTHER_BINS)


def phases(evidence: Evidence, column: str) -> pd.DataFrame:
    """Return, by network and seed, how far a column over depth falls from the first block to the lowest, and rises.

    The lowest is that of the blocks between first and last; `fall` and `rise` in the column's unit.
    """
    rows = evidence.depth(column)
    rows = rows[rows["network"].isin(evidence.names.variants)]
    found = {}
    for key, own in rows.sort_values("block").groupby(["network", "seed"]):
        curve = own[column].to_numpy()
        if len(curve) > 2:
            lowest = curve[1:-1].min()
            found[key] = {"fall": curve[0] - lowest, "rise": curve[-1] - lowest}
    index = pd.MultiIndex.from_tuples(found, names=["network", "seed"])
    return pd.DataFrame(list(found.values()), index=index, columns=["fall", "rise"])


def _unresolved(evidence: Evidence, students: list[str]) -> list[str]:
    """Return those of students in some block of whom tokens spread over too few bins, on average over seeds."""
    rows = evidence.depth(PER_BIN[ENTROPY])
    few = too_few(rows.groupby(["network", "block"])[[PER_BIN[ENTROPY]]].mean(), ENTROPY)
    return [name for name in students if name in set(few[few].index.get_level_values("network"))]


def _too_few(students: list[str]) -> Finding:
    return untestable(f"tokens of {listed(students)} spread over too few bins of their entropy: its bins decide it")


def own(evidence: Evidence) -> Finding:
    """Claim I on the baseline, if it is soft distillation: its entropy falls and rises."""
    listed, parts = evidence.terms, {"cross_entropy", "soft"}
    baselines = [
        one for one in evidence.names.baselines.values() if {term.objective for term in listed.get(one, ())} == parts
    ]
    if not baselines:
        return untestable("the baseline is not soft distillation")
    if few := _unresolved(evidence, baselines):
        return _too_few(few)
    texts: dict[str, list[str]] = {column: [] for column in (ENTROPY, STANDARDISED, *OTHERS)}
    signs: dict[str, list[float]] = {column: [] for column in texts}
    for column in texts:
        every = phases(evidence, column)
        for baseline in baselines:
            found = every[every.index.get_level_values("network") == baseline]
            if column == ENTROPY and len(found) < 2:
                return untestable(
                    f"its entropy is known of {len(found)} students of three blocks or more, and two are needed"
                )
            means = {part: mean_interval(found[part].to_numpy()) for part in ("fall", "rise")} if len(found) else {}
            said = ", ".join(f"{part} {mean_with_interval(*value)} bits" for part, value in means.items())
            texts[column].append(f"{baseline}: {said}, {len(found)} seeds" if column == ENTROPY else said)
            signs[column] += [np.sign(low) if low * high > 0 else 0 for _, low, high in means.values()]
    number, control = ("; ".join(filter(None, texts[column])) for column in (ENTROPY, STANDARDISED))
    return _with_scale_out(signs, number, control, "it falls to an interior block and rises from it")


def _with_scale_out(signs: dict[str, list], number: str, control: str, said_of_it: str) -> Finding:
    """Return the finding on effects that are to be positive, under the teacher's range and with the scale taken out."""
    control = f"standardised: {control or NO_CONTROL}"
    if any(signs[other] and signs[other] != signs[ENTROPY] for other in OTHERS):
        return Finding(UNDECIDED, number, control, "in other bins, as good, an interval lies elsewhere: not resolved")
    if all(sign > 0 for sign in signs[ENTROPY]):
        if signs[STANDARDISED] and all(sign > 0 for sign in signs[STANDARDISED]):
            return Finding(SUPPORTED, number, control, f"{said_of_it}, with the scale taken out too")
        return Finding(UNDECIDED, number, control, f"{said_of_it}, but with the scale taken out this is not certain")
    if any(sign < 0 for sign in signs[ENTROPY]):
        return Finding(CONTRADICTED, number, control, "an interval lies on the other side of 0")
    return Finding(UNDECIDED, number, control, "an interval holds 0")


def _less_than_baseline(evidence: Evidence, place: str, part: str) -> Finding:
    """Return whether aligning a place makes a phase of the entropy smaller than the baseline's, paired over seeds."""
    variants = aligning(evidence, place)
    if not variants:
        return untestable(NO_VARIANT[place])
    few = _unresolved(evidence, [*variants, *map(evidence.names.baseline_of, variants)])
    variants = {
        name: term for name, term in variants.items() if not {name, evidence.names.baseline_of(name)} & set(few)
    }
    if not variants:
        return _too_few(list(dict.fromkeys(few)))
    texts: dict[str, list[str]] = {column: [] for column in (ENTROPY, STANDARDISED, *OTHERS)}
    signs: dict[str, list[float]] = {column: [] for column in texts}
    for column in texts:
        values = phases(evidence, column)[part].unstack("network")
        known = {name: evidence.names.baseline_of(name) for name in variants if name in values}
        for name, baseline in known.items():
            if baseline not in values:
                continue
            pairs = (values[baseline] - values[name]).dropna().to_numpy()
            if len(pairs) > 1:
                mean, low, high = mean_interval(pairs)
                texts[column].append(f"{name} {mean_with_interval(-mean, -high, -low)} bits, {len(pairs)} seeds")
                signs[column].append(np.sign(low) if low * high > 0 else 0)
    if not signs[ENTROPY]:
        return untestable(f"no {part} of the entropy of these variants and the baseline shares two seeds")
    text = f"the {part} is smaller than the baseline's in every such variant"
    number = f"{part}, less the baseline's: {'; '.join(texts[ENTROPY])}"
    smaller, larger = (sum(sign == side for sign in signs[ENTROPY]) for side in (1, -1))
    if smaller and larger:
        control = f"standardised: {'; '.join(texts[STANDARDISED]) or NO_CONTROL}"
        why = f"it is smaller in {smaller} of these variants and larger in {larger}"
        return Finding(UNDECIDED, number, control, why)
    return _with_scale_out(signs, number, "; ".join(texts[STANDARDISED]), text)


def expansion(evidence: Evidence) -> Finding:
    """Claim I on aligning the last blocks."""
    return _less_than_baseline(evidence, LAST, "rise")


def compression(evidence: Evidence) -> Finding:
    """Claim I on aligning the first block."""
    return _less_than_baseline(evidence, FIRST, "fall")
