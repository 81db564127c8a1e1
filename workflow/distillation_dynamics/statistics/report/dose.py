"""Dose and place: is it where a term aligns, or how much of the loss it has?

In: the frames of dose_and_place.parquet and effects.parquet. Out: Markdown.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from .. import westfall_young
from ..dose import BOTH, PLACE, TOO_FEW, WORDS
from ..thresholds import FEWEST_SEEDS, LIKE_DOSE
from .words import NO_STUDENTS, number, over, with_interval

DOSE_TABLE = {
    "contrast": Column("", ""),
    "objective": Column("", ""),
    "variant less other": Column("", ""),
    "pairs": Column("student-teacher", ""),
    "share of the loss": Column("% in epoch 1, of each", ""),
    "difference": Column("points", ""),
    "seeds": Column("", ""),
    "p": Column("joint sign flips", ""),
    "detectable": Column("points", ""),
    "verdict": Column("", ""),
}
FOUND = (westfall_young.BETTER, westfall_young.WORSE)
# What is decided comes first.
ORDER = (*FOUND, *WORDS.values())


def section(table: pd.DataFrame, effects: pd.DataFrame, baseline: str | None) -> list[str]:
    """Return the paragraphs on dose and place."""
    if baseline is None:
        return [NO_STUDENTS]
    paragraphs = [f"**{answer(table, effects, baseline)}**"]
    mixed = table[table["contrast"] == BOTH]
    if len(mixed):
        paragraphs.append(" ".join(confounded(row) for row in mixed.to_dict("records")))
    if table.empty:
        return paragraphs
    return [
        *paragraphs,
        markdown(contrast_table(table), DOSE_TABLE),
        f"Differences in test top-1 between variants that differ from {baseline} in one term with pairs and in nothing "
        "else, of one objective and the same options, paired by seed. Place: other pairs, as many, at shares of the "
        f"loss within a factor of {LIKE_DOSE:g}, the later less the earlier. Dose: the same pairs, the larger share "
        "less the smaller. Share: mean over the updates of epoch 1 and over seeds; over training it changes. p: all "
        "contrasts of place and of dose in one joint sign-flip test; detectable: what it finds with 80 % power.",
    ]


def contrast_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a contrast of place or dose, as the report shows it."""
    return pd.DataFrame(
        {
            "contrast": " ".join(filter(None, [row["contrast"], row["level"]])),
            "objective": row["objective"] + (f" ({row['options']})" if row["options"] else ""),
            "variant less other": f"{row['variant']} less {row['other']}",
            "pairs": " / ".join(dict.fromkeys([row["pairs"], row["other_pairs"]])),
            "share of the loss": f"{_share(row['share'])}, {_share(row['other_share'])}",
            "difference": with_interval(row["mean_difference"], row["low"], row["high"], "+"),
            "seeds": row["seeds"],
            "p": number(row["p_joint"], ".2g"),
            "detectable": number(row["detectable_effect"]),
            "verdict": row["verdict"],
        }
        for row in table.to_dict("records")
    )


def answer(table: pd.DataFrame, effects: pd.DataFrame, baseline: str) -> str:
    """Return the one-sentence answer: what place and what dose change, what is undecided, or why it is not testable."""
    alone = effects[effects["alone"].astype(bool)]
    if alone.empty:
        return f"Not testable: no variant differs from {baseline} in one term with pairs of blocks alone."
    if alone["share_first"].isna().all():
        return "Not testable: the share of the loss that each term has was not measured."
    tested = table[table["contrast"] != BOTH]
    if tested.empty:
        return (
            f"Not testable: of {len(alone)} variants no two of one objective align other pairs at a like share of the "
            "loss, or the same pairs at another share."
        )
    rows = sorted(tested.to_dict("records"), key=lambda row: ORDER.index(row["verdict"]))
    seeds = over(tested["seeds"])
    return f"Over {seeds}: {'; '.join(_clause(row) for row in rows)}."


def _clause(row: dict) -> str:
    """Return what one contrast says: whether place or dose matters, where, and the numbers."""
    shares = _share(row["share"]), _share(row["other_share"])
    if row["contrast"] == PLACE:
        where = f"{row['pairs']} against {row['other_pairs']}, {_level(row)}{shares[0]} and {shares[1]} % of the loss"
    else:
        where = f"at {row['pairs']}, {shares[0]} against {shares[1]} % of the loss"
    difference = with_interval(row["mean_difference"], row["low"], row["high"], "+")
    numbers = f"({row['objective']}, {where}: {row['variant']} less {row['other']} {difference} points"
    if row["verdict"] in FOUND:
        return f"{row['contrast']} matters {numbers}, p {row['p_joint']:.2g})"
    if row["verdict"] == WORDS[westfall_young.NOT_FOUND]:
        power = f"{row['detectable_effect']:.2g} would be found with 80 % power"
        return f"no effect of {row['contrast']} was found {numbers}; {power})"
    few = f"; a test needs {FEWEST_SEEDS} seeds" if row["verdict"] == TOO_FEW else f", p {row['p_joint']:.2g}"
    return f"undecided whether {row['contrast']} matters {numbers}{few})"


def _level(row: dict) -> str:
    return f"{row['level']} share: " if row["level"] else ""


def confounded(row: dict) -> str:
    """Return a sentence on two variants that share their weight, and neither place nor dose."""
    return (
        f"At one weight ({row['weight']:g}) {row['variant']} ({row['pairs']}) has {_share(row['share'])} % of the loss "
        f"and {row['other']} ({row['other_pairs']}) {_share(row['other_share'])} %: a difference of place and of dose, "
        "which tells of neither."
    )


def _share(share: float) -> str:
    """Return a share in percent with two digits."""
    return f"{100 * share:.2g}"
