"""Published beside measured: the section that holds a study's variants beside the runs of the papers.

In: the frames of published.parquet and published_entropy.parquet. Out: Markdown. A published number of another student,
teacher or image set is a reference; no sentence tests it.
"""

import pandas as pd

from ...files import Column
from ...markdown import markdown
from ..published import AGREES, BASELINE, DISAGREES, NOT_MEASURED
from .words import NO_STUDENTS, listed, number, plural

TABLE = {
    "variant": Column("", ""),
    "published run": Column("", ""),
    "best": Column("%", ""),
    "last": Column("%", ""),
    "published (ImageNet)": Column("points to SoftKD", ""),
    "measured": Column("points to the baseline", ""),
    "seeds": Column("", ""),
    "95 % interval of the mean": Column("points", ""),
    "of one further seed": Column("points", ""),
    "verdict": Column("", ""),
}
ENTROPY_TABLE = {
    "variant": Column("", ""),
    "published epoch": Column("of 300", ""),
    "epoch": Column("", ""),
    "published change": Column("bits", ""),
    "measured change": Column("bits", ""),
    "95 % interval": Column("bits", ""),
    "seeds": Column("", ""),
    "direction": Column("", ""),
    "rank correlation": Column("", ""),
    "blocks": Column("", ""),
}


def section(found: pd.DataFrame, entropy: pd.DataFrame, baseline: str | None) -> list[str]:
    """Return the paragraphs on published numbers."""
    if baseline is None:
        return [NO_STUDENTS]
    known = found[found["run"] != ""]
    if known.empty:
        return ["**None was published: no variant has the objectives of a published run at the same places.**"]
    return [
        f"**{answer(known)}**",
        *what_differs(known),
        markdown(run_table(known), TABLE),
        "Published numbers are of one seed, of ImageNet-1k (DeiT-Tiny from CaiT-S24), and `best` was chosen on the "
        "images it is reported on. A run counts as the same where the terms of its loss, both networks, the images and "
        "the epochs are; other parts of the recipe are not compared. It agrees where the published difference lies in "
        "the interval in which one further seed lies with 95 %, not in that of the mean.",
        *entropies(entropy),
    ]


def run_table(known: pd.DataFrame) -> pd.DataFrame:
    """Return a row a variant that has a published run, as the report shows it."""
    return pd.DataFrame(
        {
            "variant": row["variant"],
            "published run": row["run"],
            "best": number(row["published_best"]),
            "last": number(row["published_last"]),
            "published (ImageNet)": number(row["published_difference"], "+.2f"),
            "measured": number(row["difference"], "+.2f"),
            "seeds": row["seeds"],
            "95 % interval of the mean": _interval(row["low"], row["high"]),
            "of one further seed": _interval(row["one_low"], row["one_high"]),
            "verdict": row["verdict"],
        }
        for row in known.to_dict("records")
    )


def answer(known: pd.DataFrame) -> str:
    """Return the one-sentence answer on variants with a published run."""
    same = known[known["comparable"] & (known["verdict"] != BASELINE)]
    if same.empty:
        return (
            f"Not comparable: {plural(len(known), 'variant')} {'has' if len(known) == 1 else 'have'} the objectives "
            "of a published run at the same places, and none is the same run; their published differences are a "
            "reference and no test."
        )
    texts = []
    for verdict in (AGREES, DISAGREES, NOT_MEASURED):
        rows = same.loc[same["verdict"] == verdict, "variant"]
        if len(rows):
            texts.append(f"{verdict}: {listed(list(rows))}")
    return f"Of {plural(len(same), 'variant')} that a paper ran too, {'; '.join(texts)}."


def what_differs(known: pd.DataFrame) -> list[str]:
    """Return paragraphs on what keeps variants from being the published run: what all share, then each one's own."""
    parts = {
        # What keeps the baseline from being the published one is mostly what keeps the variant.
        row["variant"]: list(dict.fromkeys(text.removeprefix("baseline: ") for text in row["differs"].split("; ")))
        for row in known.to_dict("records")
        if row["differs"]
    }
    if not parts:
        return []
    common = [text for text in next(iter(parts.values())) if all(text in own for own in parts.values())]
    each = {name: [text for text in own if text not in common] for name, own in parts.items()}
    lines = [f"- {name}: {'; '.join(own)}." for name, own in each.items() if own]
    whole = "All of them" if len(parts) == len(known) else listed(list(parts))
    said = [f"What differs. {whole}: {'; '.join(common)}."] if common else ["What differs:"]
    return [*said, *(["\n".join(lines)] if lines else [])]


def entropies(entropy: pd.DataFrame) -> list[str]:
    """Return paragraphs on the entropy of students over depth beside the published one."""
    if entropy.empty:
        return ["Entropy of students by block beside the published one: not measured."]
    shown = pd.DataFrame(
        {
            "variant": row["variant"],
            "published epoch": row["published_epoch"],
            "epoch": row["epoch"],
            "published change": number(row["published_change"], "+.2f"),
            "measured change": number(row["change"], "+.2f"),
            "95 % interval": _interval(row["low"], row["high"]),
            "seeds": row["seeds"],
            "direction": row["direction"],
            "rank correlation": number(row["correlation"]),
            "blocks": row["blocks"],
        }
        for row in entropy.to_dict("records")
    )
    same, opposite = ((entropy["direction"] == direction).sum() for direction in ("same", "opposite"))
    return [
        "Entropy from the first to the last block of the student, measured under the teacher's range: it changes in "
        f"the published direction in {same} of {plural(len(entropy), 'row')}, in the opposite one in {opposite}; "
        "elsewhere the interval over seeds holds 0 or there is none. Rank correlations are over the blocks of one "
        "mean curve (n = blocks) with the published one at the same relative depth: neighbouring blocks are no "
        "independent evidence, and no test is made.",
        markdown(shown, ENTROPY_TABLE),
    ]


def _interval(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{low:+.2f} to {high:+.2f}"
