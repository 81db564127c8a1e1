"""Whether a term uses the teacher's content: variants compared with the same variant with a null target.

In: test top-1 by seed, the terms of each variant. Out: the rows of `controls.parquet`: a variant and its control differ
only in a term's target (zeros, another image, an untrained network, ...). All of them are one family of joint sign
flips. A permuted teacher is a placebo: the order of its channels is arbitrary.
"""

import pandas as pd

from ...files import Column
from ...spec.training import TEACHER
from ...statistics import terms, westfall_young
from ...statistics.evidence import Evidence
from ...statistics.keys import HIGH, JOINT, LOW, SEEDS
from ...statistics.paired import by_seed, mean_of

TITLE = "Controls: does the teacher's content matter?"
PLACE = 65
SOURCES = ("controls",)
DECIDES = "the same term with zeros, other images and an untrained network instead of the teacher, more seeds"
REQUIRES = ("students",)
READS = ("runs",)
CONTROL_COLUMNS = {
    "variant": Column("", "variant whose terms compare the student with the teacher"),
    "control": Column("", "variant that differs from it in a target alone"),
    "target": Column("", "null target that replaces the teacher there"),
    "term": Column("", "term, or terms, of that target"),
    "seeds": SEEDS,
    "mean_difference": Column("points", "mean over seeds of the paired test top-1 difference, variant minus control"),
    "low": LOW,
    "high": HIGH,
    **JOINT,
    "baseline": Column("", "variant that the control is compared to, too"),
    "control_gain": Column("points", "mean over seeds of the paired difference in test top-1, control minus baseline"),
    "control_low": LOW,
    "control_high": HIGH,
    "verdict": Column("", "better, worse, not found or untested: the variant compared with its control"),
}
TABLES = {"controls": CONTROL_COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return controls.parquet."""
    runs, listed, arms = evidence.tables["runs"], evidence.terms, evidence.names.arms
    pairs = [
        (variant, control)
        for control in listed
        for variant in listed
        if arms[variant].student == arms[control].student and arms[variant].teacher == arms[control].teacher
        if terms.is_control(listed[control], listed[variant])
    ]
    values = {number: by_seed(runs, {one: other})[one] for number, (one, other) in enumerate(pairs)}
    tested = westfall_young.test(pd.DataFrame(values))
    rows = []
    for number, (variant, control) in enumerate(pairs):
        baseline = evidence.names.baseline_of(control)
        gain = by_seed(runs, {control: baseline})[control].dropna()
        of = [term for term in listed[control] if term.target != TEACHER]
        differences = values[number].dropna()
        row = {
            "variant": variant,
            "control": control,
            "target": ", ".join(dict.fromkeys(term.target for term in of)),
            "term": ", ".join(term.name for term in of),
            "seeds": len(differences),
            **mean_of(differences.to_numpy(), "mean_difference"),
            **tested.loc[number].to_dict(),
            "baseline": baseline,
            **mean_of(gain.to_numpy(), "control_gain", "control_"),
        }
        rows.append(row | {"verdict": westfall_young.decision(row)})
    return {"controls": pd.DataFrame(rows, columns=list(CONTROL_COLUMNS))}
