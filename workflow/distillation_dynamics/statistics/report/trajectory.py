"""When does a gain arise, and does it last? The section on early and late gains during training.

In: the frame of variants.parquet. Out: Markdown. What was not validated is called not measured, never no gain.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..thresholds import LEVEL
from ..trajectory import THIRDS
from .words import NO_STUDENTS, listed, number, over, with_interval

GAIN_TABLE = {
    "variant": Column("", ""),
    "seeds": Column("", ""),
    "early gain": Column("points", ""),
    "early p": Column("joint sign flips", ""),
    "late gain": Column("points", ""),
    "late p": Column("joint sign flips", ""),
    "epochs measured": Column("first, last third", ""),
    "below 0 from": Column("share of training", ""),
}


def section(variants: pd.DataFrame, baseline: str | None) -> list[str]:
    """Return the paragraphs on early and late gains; none where no variant is held beside the baseline."""
    if baseline is None:
        return [NO_STUDENTS]
    if variants.empty:
        return [f"**There is no variant besides the baseline {baseline}, so there is nothing to compare.**"]
    rows = [
        {
            "variant": row["variant"],
            "seeds": over({row["early_seeds"], row["late_seeds"]}),
            "early gain": _gain(row, "early"),
            "early p": number(row["early_p"], ".2g"),
            "late gain": _gain(row, "late"),
            "late p": number(row["late_p"], ".2g"),
            "epochs measured": ", ".join(f"{row[f'{third}_epochs']} of {row[f'{third}_all']}" for third in THIRDS),
            "below 0 from": number(row["turns_at"]),
        }
        for row in variants.to_dict("records")
    ]
    return [
        f"**{answer(variants, baseline)}**",
        *missing(variants),
        markdown(pd.DataFrame(rows), GAIN_TABLE),
        f"Gain over {baseline} in validation top-1, over the validated epochs of the first and of the last third of "
        "training, by seed; with the 95 % t interval of each alone over seeds. p: early and late gains of all variants "
        "in one joint sign-flip test. Below 0: from where on the mean gain stays negative, having been positive; no "
        "test is made of it. Each epoch: trajectory.parquet.",
    ]


def _gain(row: dict, third: str) -> str:
    if pd.isna(row[f"{third}_gain"]):
        return "not measured"
    return with_interval(row[f"{third}_gain"], row[f"{third}_low"], row[f"{third}_high"], "+")


def answer(variants: pd.DataFrame, baseline: str) -> str:
    """Return the answer: who gains early and loses late, and how far that is shown; or that it was not measured."""
    measured = variants[variants["early_gain"].notna() & variants["late_gain"].notna()]
    if measured.empty:
        thirds = [f"the {which}" for third, which in THIRDS.items() if variants[f"{third}_gain"].isna().any()]
        return (
            f"Not measured: whether a variant gains early and loses late. In {listed(thirds)} third of training no "
            f"epoch was validated in a variant and in {baseline} with the same seed."
        )
    turned = measured[(measured["early_gain"] > 0) & (measured["late_gain"] < 0)]
    seeds = over(measured[["early_seeds", "late_seeds"]].to_numpy().ravel())
    few = len(measured) < len(variants)
    of = f"{len(measured)} {'measured variants' if few else 'variants'}" if len(measured) > 1 else "one variant"
    if turned.empty:
        return (
            f"In none of {of} is an early gain over {baseline} followed by a late loss, not even in the mean ({seeds})."
        )
    tested = (turned[[f"{third}_p" for third in THIRDS]] <= LEVEL).all(axis=1)
    apart = ~tested & (turned["early_low"] > 0) & (turned["late_high"] < 0)
    texts = []
    for chosen, said in (
        (tested, "by the joint test"),
        (apart, "by the interval of each alone, not by the joint test"),
        (~tested & ~apart, "in the mean alone: a test or an interval does not exclude 0"),
    ):
        if chosen.any():
            each = [
                f"{row['variant']} (early {_gain(row, 'early')}, late {_gain(row, 'late')} points)"
                for row in turned[chosen].to_dict("records")
            ]
            verbs = "gains early and loses late" if len(each) == 1 else "gain early and lose late"
            texts.append(f"{listed(each)} {verbs} {said}")
    return f"Of {of}, against {baseline} ({seeds}): {'; '.join(texts)}."


def missing(variants: pd.DataFrame) -> list[str]:
    """Return sentences on thirds of training that were not validated, or not at every epoch."""
    texts = []
    for third, which in THIRDS.items():
        none = list(variants.loc[variants[f"{third}_gain"].isna(), "variant"])
        if 0 < len(none) < len(variants):
            texts.append(f"Not measured in the {which} third of training: {listed(none)}.")
        part = variants[variants[f"{third}_gain"].notna() & (variants[f"{third}_epochs"] < variants[f"{third}_all"])]
        if len(part):
            fewest = part.loc[part[f"{third}_epochs"].idxmin()]
            texts.append(
                f"Partly measured: of the {fewest[f'{third}_all']} epochs of the {which} third "
                f"{fewest[f'{third}_epochs']} or more were validated."
            )
    return [" ".join(texts)] if texts else []
