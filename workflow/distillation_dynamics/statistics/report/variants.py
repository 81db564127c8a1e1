"""Does a variant help? The section on paired differences to the baseline.

In: the frames of variants.parquet and mcnemar.parquet. Out: Markdown. The word significant appears only where a test
over six or more seeds allows it.
"""

import numpy as np
import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..thresholds import FEWEST_SEEDS, LEVEL
from .words import NO_STUDENTS, listed, number, over, plural, with_interval

VARIANT_TABLE = {
    "variant": Column("", ""),
    "seeds": Column("", ""),
    "difference": Column("points", ""),
    "95 % interval": Column("points", ""),
    "p": Column("joint sign flips", ""),
    "smallest p": Column("", ""),
    "detectable": Column("points", ""),
    "image noise": Column("points", ""),
    "verdict": Column("", ""),
    "differs in": Column("", ""),
}
CHECKPOINT_TABLE = {
    "variant": Column("", ""),
    "pairs of checkpoints": Column("", ""),
    "better, p <= .05": Column("", ""),
    "worse, p <= .05": Column("", ""),
    "undecided": Column("", ""),
}


def section(variants: pd.DataFrame, checkpoints: pd.DataFrame, baseline: str | None) -> list[str]:
    """Return the paragraphs on the variants."""
    if baseline is None:
        return [NO_STUDENTS]
    if variants.empty:
        return [f"**There is no variant besides the baseline {baseline}, so there is nothing to compare.**"]
    return [
        f"**{answer(variants, baseline)}**",
        *mixed(variants, baseline),
        *left_out(variants),
        markdown(variant_table(variants), VARIANT_TABLE),
        f"Differences in test top-1 to {baseline}, paired by seed, last epoch; means where there are several seeds. "
        "p: all variants are tested at once, with one random sign a seed for all its differences (step-down maximum of "
        "|t| over all flips, Westfall and Young). It assumes that the differences of variants without an effect are "
        "symmetric about 0, together; where they are strongly skewed it finds too much. Detectable: the effect of this "
        "variant that this test finds with 80 % power, simulated with normal noise of the spread and correlation seen. "
        "Image noise: standard error of one seed's difference that the number of test images causes; the spread "
        "between seeds comes on top.",
        *checkpoint_section(checkpoints),
    ]


def variant_table(variants: pd.DataFrame) -> pd.DataFrame:
    """Return a row a variant: its difference to the baseline with interval, joint p and what the test can find."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "seeds": row["seeds"],
            "difference": number(row["mean_difference"], "+.2f"),
            "95 % interval": "-" if np.isnan(row["low"]) else f"{row['low']:+.2f} to {row['high']:+.2f}",
            "p": number(row["p_joint"], ".2g"),
            "smallest p": number(row["smallest_p"], ".2g"),
            "detectable": number(row["detectable_effect"]),
            "image noise": number(row["evaluation_standard_error"]),
            "verdict": row["verdict"],
            "differs in": row["differs"] or "nothing",
        }
        for row in variants.to_dict("records")
    )


def answer(variants: pd.DataFrame, baseline: str) -> str:
    """Return the one-sentence answer on the variants."""
    compared = variants[variants["seeds"] > 0]
    if compared.empty:
        return f"Nothing can be said: no variant shares a seed with {baseline}."
    best = compared.loc[compared["mean_difference"].idxmax()]
    worst = compared.loc[compared["mean_difference"].idxmin()]
    spread = f"differences to {baseline} run from {worst['mean_difference']:+.2f} ({_named(worst)})"
    spread += f" to {best['mean_difference']:+.2f} points ({_named(best)})"
    if len(compared) == 1:
        only = with_interval(best["mean_difference"], best["low"], best["high"], "+")
        spread = f"{_named(best)} differs from {baseline} by {only} points"
    most = int(compared["seeds"].max())
    if most == 1:
        return f"One seed cannot tell: {spread}, without any interval of training."
    seeds = int(compared["joint_seeds"].max())
    if seeds < FEWEST_SEEDS:
        tested = variants.loc[variants["joint_seeds"] > 0, "smallest_p"]
        smallest = f"the smallest sign-flip p is {tested.min():.2g}" if len(tested) else "no seed is shared by all"
        return f"{seeds or most} seeds cannot tell by a test ({smallest}): {spread}; read the intervals."
    tested = compared[compared["joint_seeds"] > 0]
    of = f"{plural(len(tested), 'variant')} tested over {seeds} seeds (joint sign flips)"
    significant = tested["p_joint"] <= LEVEL
    apart = ~significant & ((tested["low"] > 0) | (tested["high"] < 0))
    found, unclear = (
        [f"{_named(row)} ({row['mean_difference']:+.2f} points)" for row in tested[which].to_dict("records")]
        for which in (significant, apart)
    )
    clauses = []
    if unclear:
        clauses.append(
            f"undecided {'is' if len(unclear) == 1 else 'are'} {listed(unclear)}, whose own 95 % "
            f"interval{'s exclude' if len(unclear) > 1 else ' excludes'} 0 while the test of all does not"
        )
    rest = len(tested) - len(found) - len(unclear)
    if not found:
        return "; ".join([f"No difference to {baseline} was found in {of}: {spread}", *clauses]) + "."
    verb = "differs" if len(found) == 1 else "differ"
    if rest:
        clauses.append(f"in {'the other' if rest == 1 else f'the {rest} others'} no difference was found")
    return "; ".join([f"{listed(found)} {verb} significantly from {baseline}, of {of}", *clauses]) + "."


def _named(row) -> str:
    """Return a variant's name, and that it differs in more than one thing where it does."""
    return row["variant"] + (f", {row['changes']} changes at once" if row["changes"] > 1 else "")


def mixed(variants: pd.DataFrame, baseline: str) -> list[str]:
    """Return a sentence for each variant that differs from the baseline in several things, or in none."""
    texts = [
        f"{row['variant']} differs from {baseline} in {row['changes']} things: {row['differs']}. Its difference is "
        "that of all of them together."
        for row in variants[variants["changes"] > 1].to_dict("records")
    ]
    same = list(variants.loc[variants["changes"] == 0, "variant"])
    return texts + ([f"{listed(same)} and {baseline} have the same terms."] if same else [])


def left_out(variants: pd.DataFrame) -> list[str]:
    """Return a sentence on variants that the joint test leaves out, and on seeds that it does."""
    tested, texts = variants[variants["joint_seeds"] > 0], []
    out = variants[(variants["joint_seeds"] == 0) & (variants["seeds"] > 0)]
    if len(out) and len(tested):
        texts.append(
            f"{listed(list(out['variant']))} {'is' if len(out) == 1 else 'are'} left out of the joint test, which "
            f"needs seeds that all its variants have ({over(out['seeds'])} with the baseline)."
        )
    if (tested["seeds"] > tested["joint_seeds"]).any():
        texts.append(
            f"The test rests on the {tested['joint_seeds'].max()} seeds that its variants share; intervals on all that "
            "a variant shares with the baseline."
        )
    return [" ".join(texts)] if texts else []


def checkpoint_section(checkpoints: pd.DataFrame) -> list[str]:
    """Return the paragraphs on McNemar's test."""
    if checkpoints.empty:
        return []
    rows = []
    for variant, group in checkpoints.groupby("variant", sort=False):
        decided = group["p"] <= LEVEL
        more = group["only_variant_right"] > group["only_baseline_right"]
        rows.append(
            {
                "variant": variant,
                "pairs of checkpoints": len(group),
                "better, p <= .05": int((decided & more).sum()),
                "worse, p <= .05": int((decided & ~more).sum()),
                "undecided": int((~decided).sum()),
            }
        )
    return [
        f"Two fixed checkpoints of the same seed, compared on {checkpoints['images'].iloc[0]:,} test images (McNemar, "
        "one test each, unadjusted). This is no evidence about methods: it says which of two files is better on such "
        "images, not which method would be if trained again.",
        markdown(pd.DataFrame(rows), CHECKPOINT_TABLE),
    ]
