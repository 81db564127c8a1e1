"""The answers in words: `report.md`, three questions, each answered in one sentence before its table.

In: the frames of the statistics tables. Out: Markdown. The word significant appears only where a test over six or more
seeds allows it (`variants.verdict`); every count says of how many, and a claim stands beside its control.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ..files import Column
from ..summary import markdown
from .alignment import ALIGN, AVOID, FEWEST_ROWS, NO_EFFECT, UNKNOWN
from .shape import NO_INTERIOR, ROLES, U_SHAPED
from .variants import FEWEST_SEEDS, LEVEL, seeds_needed

UNTRAINED = "teacher_untrained"
SHAPE_TABLE = {
    "metric": Column("", ""),
    "role": Column("", ""),
    "teacher": Column("", ""),
    "untrained teacher": Column("", ""),
    "students": Column("U-shaped of measured", ""),
    "95 % interval": Column("%", ""),
    "depth, teacher": Column("", ""),
    "depth, students": Column("", ""),
}
VARIANT_TABLE = {
    "variant": Column("", ""),
    "seeds": Column("", ""),
    "difference": Column("points", ""),
    "95 % interval": Column("points", ""),
    "p": Column("sign-flip, Holm", ""),
    "smallest p": Column("Holm", ""),
    "detectable": Column("points", ""),
    "image noise": Column("points", ""),
    "early gain": Column("points", ""),
    "late gain": Column("points", ""),
    "turns at": Column("share of training", ""),
    "verdict": Column("", ""),
}
CHECKPOINT_TABLE = {
    "variant": Column("", ""),
    "pairs of checkpoints": Column("", ""),
    "better, p <= .05": Column("", ""),
    "worse, p <= .05": Column("", ""),
    "undecided": Column("", ""),
}
PAIR_TABLE = {
    "student-teacher": Column("", ""),
    "variants": Column("", ""),
    "CKA": Column("", ""),
    "rank": Column("student / teacher", ""),
    "bandwidth": Column("student / teacher", ""),
    "effect": Column("points", ""),
    "seeds": Column("", ""),
    "recommendation": Column("", ""),
    "evidence": Column("", ""),
}
NEAREST_TABLE = {
    "student block": Column("", ""),
    "most similar teacher block": Column("", ""),
    "CKA": Column("", ""),
    "lowest CKA of the row": Column("", ""),
}


def report(
    shape: pd.DataFrame, variants: pd.DataFrame, checkpoints: pd.DataFrame, alignment: pd.DataFrame, baseline: str
) -> str:
    """Return report.md from the frames of shape, variants, mcnemar and alignment."""
    parts = [
        "# Three questions",
        "## Is it U-shaped?",
        *shape_section(shape),
        "## Does a variant help?",
        *variant_section(variants, checkpoints, baseline),
        "## Which layers should be aligned?",
        *alignment_section(alignment, baseline),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def plural(count: int, noun: str) -> str:
    """Return '1 seed', '2 seeds'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def listed(items: Sequence[str]) -> str:
    """Return 'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def shape_section(shape: pd.DataFrame) -> list[str]:
    """Return the paragraphs on the shape over depth."""
    if shape.empty:
        return ["**Cannot be asked: none of the metrics whose shape is tested was measured (`features.metrics`).**"]
    tested = shape[shape["p"].notna()]
    if tested.empty:
        return [f"**Cannot be asked: {NO_INTERIOR} or a single image in every network.**"]
    return [
        f"**{shape_answer(tested)}**",
        " ".join([*shape_controls(tested), *shape_left_out(shape)]),
        markdown(shape_table(tested), SHAPE_TABLE),
        "A network is called U-shaped where an interior block lies below both ends (paired t over images, "
        "intersection-union, Bonferroni over blocks, Benjamini-Hochberg over all networks and metrics, p <= .05) and "
        "the valley is at least a tenth of the curve's range deep. Images speak for their own network only. The "
        "interval of the students' share is exact binomial and takes them as independent, which those of one seed or "
        "teacher are not. Each network by itself: shape.parquet; where its minimum lies: minimum.parquet.",
    ]


def u_shaped(rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Return the networks (model, seed) that are U-shaped among `rows`."""
    rows = rows[rows["verdict"] == U_SHAPED]
    return set(zip(rows["model"], rows["seed"], strict=True))


def shape_answer(tested: pd.DataFrame) -> str:
    """Return the one-sentence answer: counts of trained networks by the paper's metrics, and by the null."""
    trained = tested[tested["model"] != UNTRAINED]
    counts = []
    for metric in (name for name, role in ROLES.items() if role == "paper"):
        rows = trained[trained["metric"] == metric]
        if len(rows):
            counts.append((metric.replace("_", " "), len(u_shaped(rows)), len(rows)))
    if not counts:
        return "None of the paper's metrics was measured in a trained network."
    networks = " trained networks"
    texts = [
        f"{name}{' is U-shaped' if not number else ''} in {k} of {n}{networks if not number else ''}"
        for number, (name, k, n) in enumerate(counts)
    ]
    images = sorted(set(trained["images"]))
    per_network = f"{images[0]}" if len(images) == 1 else f"{images[0]} to {images[-1]}"
    seeds = trained.loc[trained["seed"] >= 0, "seed"].nunique()
    sizes = f"{per_network} images each" + (f", students of {plural(seeds, 'seed')}" if seeds else "")
    null = trained[trained["metric"] == "intensity_permuted"]
    if null.empty:
        control = "the null (intensity after permuting channels) was not measured"
    else:
        k = len(u_shaped(null))
        intensity = next((count for name, count, _ in counts if name == "intensity"), 0)
        name = "the null (intensity after permuting channels)"
        control = f"but so is {name}" if 0 < intensity <= k else f"{name} is"
        control += f" in {k} of {len(null)}"
    text = f"{listed(texts)} ({sizes}); {control}."
    return text[0].upper() + text[1:]


def shape_controls(tested: pd.DataFrame) -> list[str]:
    """Return sentences on the null, the scale-controlled metrics and the untrained teacher."""
    trained, untrained = tested[tested["model"] != UNTRAINED], tested[tested["model"] == UNTRAINED]
    sentences = []
    intensity, null = (u_shaped(trained[trained["metric"] == name]) for name in ("intensity", "intensity_permuted"))
    if intensity and (trained["metric"] == "intensity_permuted").any():
        same = len(intensity & null)
        sentences.append(
            f"Where intensity is U-shaped, its null is too in {same} of {len(intensity)}: a valley that the null has "
            "is one of scale and says nothing about the order of channels."
        )
    controls = [
        f"{metric} {len(u_shaped(rows))} of {len(rows)}"
        for metric, rows in trained[trained["role"] == "control"].groupby("metric", sort=False)
    ]
    sentences.append(
        f"Controls of scale: {', '.join(controls)}." if controls else "No scale-controlled metric was measured."
    )
    paper = untrained[untrained["role"] == "paper"]
    if len(paper):
        found = list(paper.loc[paper["verdict"] == U_SHAPED, "metric"])
        sentences.append(
            f"The untrained teacher is U-shaped in {listed(found)} already: it takes no training."
            if found
            else "The untrained teacher is U-shaped in none of the paper's metrics."
        )
    return sentences


def shape_left_out(shape: pd.DataFrame) -> list[str]:
    """Return sentences on networks without an interior block and images without a value."""
    sentences = []
    short = shape.loc[shape["verdict"] == NO_INTERIOR, ["model", "seed"]].drop_duplicates()
    if len(short):
        sentences.append(f"{plural(len(short), 'network')} with fewer than 3 blocks cannot be tested.")
    missing = shape[shape["images_left_out"] > 0]
    if len(missing):
        sentences.append(
            f"Images without a finite value were left out in {plural(len(missing), 'row')} "
            f"(at most {missing['images_left_out'].max()} of an image set; images_left_out in shape.parquet)."
        )
    return sentences


def shape_table(tested: pd.DataFrame) -> pd.DataFrame:
    """Return a row a metric: verdicts of the teachers, counts of the students."""
    rows = []
    for metric, group in tested.groupby("metric", sort=False):
        students = group[~group["model"].isin(["teacher", UNTRAINED])]
        teacher, untrained = group[group["model"] == "teacher"], group[group["model"] == UNTRAINED]
        k, n = len(u_shaped(students)), len(students)
        interval = depths = "-"
        if n > 1:
            low, high = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
            interval = f"{100 * low:.0f} to {100 * high:.0f}"
        if n:
            depths = " to ".join(dict.fromkeys(f"{students['depth'].agg(end):.2f}" for end in ("min", "max")))
        rows.append(
            {
                "metric": metric,
                "role": group["role"].iloc[0],
                "teacher": teacher["verdict"].iloc[0] if len(teacher) else "-",
                "untrained teacher": untrained["verdict"].iloc[0] if len(untrained) else "-",
                "students": f"{k} of {n}" if n else "-",
                "95 % interval": interval,
                "depth, teacher": with_interval(*teacher[["depth", "depth_low", "depth_high"]].iloc[0])
                if len(teacher)
                else "-",
                "depth, students": depths,
            }
        )
    order = {metric: place for place, metric in enumerate(ROLES)}
    return pd.DataFrame(rows).sort_values("metric", key=lambda names: names.map(order))


def with_interval(value: float, low: float, high: float, sign: str = "") -> str:
    """Return '0.41 [0.35, 0.47]', or the value alone where there is no interval."""
    text = f"{value:{sign}.2f}"
    return text if np.isnan(low) else f"{text} [{low:{sign}.2f}, {high:{sign}.2f}]"


def number(value: float, form: str = ".2f") -> str:
    """Return a number as text, '-' for NaN."""
    return "-" if np.isnan(value) else f"{value:{form}}"


def variant_section(variants: pd.DataFrame, checkpoints: pd.DataFrame, baseline: str) -> list[str]:
    """Return the paragraphs on the variants."""
    if variants.empty:
        return [f"**There is no variant besides the baseline {baseline}, so there is nothing to compare.**"]
    table = pd.DataFrame(
        {
            "variant": row["variant"],
            "seeds": row["seeds"],
            "difference": number(row["mean_difference"], "+.2f"),
            "95 % interval": "-" if np.isnan(row["low"]) else f"{row['low']:+.2f} to {row['high']:+.2f}",
            "p": number(row["p_holm"], ".2g"),
            "smallest p": number(row["smallest_p_holm"], ".2g"),
            "detectable": number(row["detectable_effect"]),
            "image noise": number(row["evaluation_standard_error"]),
            "early gain": number(row["early_gain"], "+.2f"),
            "late gain": number(row["late_gain"], "+.2f"),
            "turns at": number(row["turns_at"]),
            "verdict": row["verdict"],
        }
        for row in variants.to_dict("records")
    )
    return [
        f"**{variant_answer(variants, baseline)}**",
        turning(variants),
        markdown(table, VARIANT_TABLE),
        f"Differences in test top-1 to {baseline}, paired over seeds, last epoch. Detectable: found with 80 % power by "
        "a paired t test at 5 %. Image noise: standard error of one seed's difference that the number of test images "
        "causes; the spread between seeds comes on top. Gains: validation top-1 over the first and last third of "
        "training.",
        *checkpoint_section(checkpoints),
    ]


def variant_answer(variants: pd.DataFrame, baseline: str) -> str:
    """Return the one-sentence answer on the variants."""
    compared, seeds = len(variants), int(variants["seeds"].max())
    if seeds == 0:
        return f"Nothing can be said: no variant shares a seed with {baseline}."
    best = variants.loc[variants["mean_difference"].idxmax()]
    worst = variants.loc[variants["mean_difference"].idxmin()]
    spread = f"differences to {baseline} run from {worst['mean_difference']:+.2f} ({worst['variant']})"
    spread += f" to {best['mean_difference']:+.2f} points ({best['variant']})"
    if compared == 1:
        only = with_interval(best["mean_difference"], best["low"], best["high"], "+")
        spread = f"{best['variant']} differs from {baseline} by {only} points"
    if seeds == 1:
        return f"One seed cannot tell: {spread}, without any interval of training."
    if seeds < FEWEST_SEEDS:
        return (
            f"{seeds} seeds cannot tell by a test (the smallest sign-flip p is {2.0 ** (1 - seeds):.2g}): {spread}; "
            "read the intervals."
        )
    decided = variants[(variants["p_holm"] <= LEVEL) & (variants["seeds"] >= FEWEST_SEEDS)]
    of = f"of {plural(compared, 'variant')} over {seeds} seeds"
    if len(decided):
        names = [f"{row['variant']} ({row['mean_difference']:+.2f} points)" for row in decided.to_dict("records")]
        verb = "differs" if len(names) == 1 else "differ"
        return (
            f"{listed(names)} {verb} significantly from {baseline} {of} (sign-flip, Holm); "
            f"{len(variants) - len(decided)} do not."
        )
    if variants["smallest_p_holm"].min() > LEVEL:
        return (
            f"{seeds} seeds cannot tell after Holm over {compared} comparisons, which needs {seeds_needed(compared)}: "
            f"{spread}."
        )
    return f"No difference to {baseline} was found {of} (sign-flip, Holm): {spread}."


def turning(variants: pd.DataFrame) -> str:
    """Return a sentence on gains that turn into losses during training."""
    turned = variants[variants["turns_at"].notna() & (variants["early_gain"] > 0) & (variants["late_gain"] < 0)]
    if turned.empty:
        return "No variant gains in the first third of training, loses in the last and ends below the baseline."
    texts = [f"{row['variant']} ({100 * row['turns_at']:.0f} %)" for row in turned.to_dict("records")]
    return (
        "Mean gain in validation top-1 over the first third of training, and loss over the last: the curve stays below "
        f"the baseline's from this share of training on for {listed(texts)}. No test is made of it; trajectory.parquet "
        "has the intervals."
    )


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


def alignment_section(alignment: pd.DataFrame, baseline: str) -> list[str]:
    """Return the paragraphs on pairs of blocks."""
    tried = alignment[alignment["variants"].fillna("") != ""]
    measured = alignment[alignment["cka"].notna()]
    paragraphs = [f"**{alignment_answer(tried, len(alignment))}**"]
    if len(tried):
        rows = [
            {
                "student-teacher": f"{row['student_block']}-{row['teacher_block']}",
                "variants": row["variants"],
                "CKA": number(row["cka"]),
                "rank": f"{number(row['student_rank'], '.1f')} / {number(row['teacher_rank_reduced'], '.1f')}",
                "bandwidth": f"{number(row['student_bandwidth'])} / {number(row['teacher_bandwidth_reduced'])}",
                "effect": number(row["effect"], "+.2f"),
                "seeds": row["seeds"],
                "recommendation": row["recommendation"],
                "evidence": row["evidence"],
            }
            for row in tried.to_dict("records")
        ]
        paragraphs += [
            markdown(pd.DataFrame(rows), PAIR_TABLE),
            f"Rule: a recommendation needs {FEWEST_SEEDS} or more seeds shared by {baseline} and every variant that "
            "aligns the pair, and a sign-flip p <= .05 after Holm over all sets of variants that align a pair. Where "
            "the seeds could have reached 5 % and the effect is smaller than what they detect with 80 % power: "
            f"{NO_EFFECT}. Everything else: {UNKNOWN}. A variant with several pairs counts only for pairs that none "
            "aligns alone.",
        ]
    if measured.empty:
        return [*paragraphs, "No pair of blocks has a CKA: all rows of a block are alike."]
    rows = []
    for block, group in measured.groupby("student_block"):
        best = group.loc[group["cka"].idxmax()]
        rows.append(
            {
                "student block": block,
                "most similar teacher block": int(best["teacher_block"]),
                "CKA": number(best["cka"]),
                "lowest CKA of the row": number(group["cka"].min()),
            }
        )
    count = int(measured["cka_rows"].min())
    few = (
        f"It rests on {count:,} rows (n < {FEWEST_ROWS:,}): small differences mean nothing."
        if count < FEWEST_ROWS
        else f"It rests on {count:,} rows."
    )
    return [
        *paragraphs,
        f"Before any aligning: unbiased CKA of {baseline} with the teacher, last epoch, mean over seeds. {few} "
        "Similarity describes; it does not tell that aligning helps.",
        markdown(pd.DataFrame(rows), NEAREST_TABLE),
    ]


def alignment_answer(tried: pd.DataFrame, pairs: int) -> str:
    """Return the one-sentence answer on pairs of blocks."""
    if tried.empty:
        return f"Not enough evidence: no variant aligns any of the {plural(pairs, 'pair')} of blocks."
    seeds = sorted(set(tried["seeds"]))
    over = f"over {plural(seeds[0], 'seed')}" if len(seeds) == 1 else f"over {seeds[0]} to {seeds[-1]} seeds"
    texts = []
    for recommendation, phrase in ((ALIGN, "Align"), (AVOID, "Do not align"), (NO_EFFECT, "No effect found at")):
        rows = tried[tried["recommendation"] == recommendation]
        if len(rows):
            names = [f"{s}-{t}" for s, t in zip(rows["student_block"], rows["teacher_block"], strict=True)]
            texts.append(f"{phrase} {listed(names)}")
    unknown = int((tried["recommendation"] == UNKNOWN).sum())
    if not texts:
        return (
            f"Not enough evidence for any pair: {len(tried)} of {plural(pairs, 'pair')} (student-teacher, from 0) "
            f"{'was' if len(tried) == 1 else 'were'} tried, {over}."
        )
    rest = f"; not enough evidence at {unknown}" if unknown else ""
    return f"{'; '.join(texts)}{rest} (student-teacher, from 0; {len(tried)} of {plural(pairs, 'pair')} tried, {over})."
