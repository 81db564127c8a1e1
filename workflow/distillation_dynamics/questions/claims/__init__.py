"""The papers' claims, one by one: what this study says of each, by a number, beside its control.

In: the tables of the study by name. Out: the rows of `claims.parquet`. Each claim is one function, which reads the
columns that it names and nothing else; a table or column that is not there was not measured. A verdict speaks of this
study alone: what a paper says of all networks, one network cannot support, and what the tests leave open is undecided.
"""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from ...files import Column
from ...statistics.evidence import Evidence
from . import entropy, networks, shapes, students
from .finding import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTABLE, Finding

TITLE = "The paper's claims, one by one"
PLACE = 100
DECIDES = "what the table says of each claim"
READS = ("runs", "depth", "shape", "differences", "variants", "effects")
CLAIM_COLUMNS = {
    "claim": Column("", "short name; letters are those of docs/analysis.md"),
    "text": Column("", "what the paper says"),
    "decides": Column("", "what decides it"),
    "verdict": Column("", f"{SUPPORTED}, {CONTRADICTED} (in this study), {UNDECIDED} or {UNTESTABLE}"),
    "number": Column("", "the numbers it rests on, with their n or interval; empty: none"),
    "control": Column("", "the same of its control, or that there was none"),
    "why": Column("", "why this verdict, in words"),
}

TABLES = {"claims": CLAIM_COLUMNS}


class Claim(NamedTuple):
    """A claim, what decides it, and the function that looks at the evidence."""

    claim: str
    text: str
    decides: str
    look: Callable[[Evidence], Finding]


CLAIMS = (
    Claim(
        *("convolution", "Distilling features helps convolutional students and not ViTs"),
        *("effect of feature terms on a student with attention and on one without", students.convolution),
    ),
    Claim(
        *("A", "Entropy and magnitude over depth are U-shaped"),
        *("the test of a valley, of trained networks; more than scale only where its control has none", shapes.shape),
    ),
    Claim(
        *("B", "The U is learned, and universal"),
        *("the same of several networks with attention, and of their controls", shapes.learned),
    ),
    Claim(
        *("C", "Spectra over channels are flat early, low-pass in the middle and flat late"),
        *("each block's spectrum against permuted channels, Holm over blocks", networks.low_pass),
    ),
    Claim(
        *("D", "Late stages of convolutional networks stay low-pass, late ViT blocks do not"),
        *("the last block of networks without and with attention against permuted channels", networks.late),
    ),
    Claim(
        *("E", "Aligning late blocks hurts because the student has too few channels"),
        *("its harm by the width of the student, where the teacher's last block needs more", students.width),
    ),
    Claim(
        *("F last", "Aligning the last blocks hurts"),
        *("paired differences over seeds, at a share of the loss that aligning the first has too", students.last),
    ),
    Claim(
        *("F first", "Aligning the first block is neutral or helps a little"),
        *("paired differences over seeds, at a share of the loss that aligning the last has too", students.first),
    ),
    Claim(
        *("G", "A smaller weight does not repair it"),
        *("aligning the last blocks at several weights, same objective and pairs, paired over seeds", students.weight),
    ),
    Claim(
        *("H", "Longer training does not repair it"),
        *("aligning the last blocks in schedules of different length", students.length),
    ),
    Claim(
        *("I soft", "A student of soft distillation forms the U by itself"),
        *("fall to and rise from the lowest block of its entropy under the teacher's range, over seeds", entropy.own),
    ),
    Claim(
        *("I last", "Aligning the last blocks suppresses the late expansion"),
        *("rise from the lowest block to the last, less that of the baseline, paired over seeds", entropy.expansion),
    ),
    Claim(
        *("I first", "Aligning the first block hinders compression"),
        *("fall from first block to lowest, less that of the baseline, paired over seeds", entropy.compression),
    ),
)


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return claims.parquet."""
    rows = [(*claim[:3], *claim.look(evidence)) for claim in CLAIMS]
    return {"claims": pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))}
