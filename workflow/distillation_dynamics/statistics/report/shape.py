"""Is it U-shaped? The section on shapes over depth: the answer, its controls, and a table of networks.

In: the frame of shape.parquet and who is who. Out: Markdown. Every count says of how many, and a claim stands beside
its control.
"""

from collections.abc import Iterable

import pandas as pd

from ...markdown import markdown
from ...spec.tables import MAIN_IMAGE_SET, Names
from ..shape import ROLES
from ..thresholds import FEWEST_IMAGES, FLAT, LEVEL, MOST_SKEW, ONE_BY_ONE, SMALLEST_DEPTH, SMALLEST_FACTOR
from ..u_shape import EMPTY, NO_INTERIOR, NOT_U_SHAPED, U_SHAPED, UNDECIDED
from .shape_tables import COUNT_TABLE, GRADIENT, count_table, flat_controls, network_section, others, u_shaped
from .shape_words import named, of_null, of_scale, size, why
from .words import listed, plural, spaced, span

NULL = "intensity_permuted"
NULL_SAID = "the null (intensity after permuting channels)"
REMEDIES = "unit_layer_scale", "permuted"


def section(shape: pd.DataFrame, names: Names) -> list[str]:
    """Return the paragraphs on the shape over depth."""
    if shape.empty:
        return ["**Cannot be asked: none of the metrics whose shape is tested was measured.**"]
    main = shape[shape["probe"] == MAIN_IMAGE_SET]
    tested = main[main["p"].notna()]
    if tested.empty:
        return [f"**Cannot be asked: {NO_INTERIOR} or a single image in every network.**"]
    return [
        *answer(tested, names),
        " ".join([*controls(tested, names), *left_out(main)]),
        markdown(count_table(tested, names), COUNT_TABLE),
        *network_section(tested, names),
        *sizes(tested, names),
        *reasons(tested, names),
        f"A network is called {U_SHAPED} where an interior block lies below both ends by more than a factor of "
        f"{SMALLEST_FACTOR:g} (an entropy: by more than its log2, .07 bits; a metric with values not above 0: "
        f"by more than {100 * (SMALLEST_FACTOR - 1):.0f} % of its largest mean): one-sided t tests over images of the "
        "fall and of the rise, of factors both in the typical image (mean logarithm) and in the mean over images, "
        "corrected for skewness (Hall), intersection-union, Bonferroni over blocks, Benjamini-Hochberg over all "
        "networks and image sets and the metrics of one role, controls apart from trained networks, "
        f"p <= {LEVEL:.2f}. It is called {NOT_U_SHAPED} where a test of the opposite reaches {LEVEL:.2f}, and "
        f"{UNDECIDED} where neither does, or where only blocks do whose values are too skewed for so many images "
        f"(-skewness / sqrt(n) above {MOST_SKEW:.2f}, images disagreeing; or fewer than {FEWEST_IMAGES} images). A "
        "negative fall is a rise. Intervals allow for the search for the lowest block. The "
        f"published reading takes a valley of any size that is at least {SMALLEST_DEPTH:.2f} of the curve's linear "
        "range deep. A negative depth says by how much of its range the curve's lower end lies below all interior "
        "blocks. Images speak for their own network only, and students of one seed or teacher are not independent: "
        "their count is no rate. Each network by itself: shape.parquet; where its minimum lies: minimum.parquet.",
        *other_probes(shape, names),
    ]


def trained_of(tested: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Return the rows of all that is no control."""
    return tested[tested["network"].isin(names.trained)]


def answer(tested: pd.DataFrame, names: Names) -> list[str]:
    """Return the answer: each network by itself where they are few, and counts of all where there are several."""
    trained = trained_of(tested, names)
    if not (trained["role"] == "paper").any():
        return ["**None of the paper's metrics was measured in a trained network.**"]
    networks = [name for name in names.ordered if (trained["network"] == name).any()]
    flat = flat_controls(tested, names)
    each = [of_network(tested, name, names, flat) for name in networks] if len(networks) <= ONE_BY_ONE else []
    if trained["network"].isin(names.variants).any():
        return [f"**{counts(trained)}**", *["\n".join(f"- {sentence}." for sentence in each)] * bool(each)]
    if len(networks) == 1:
        return [f"**{each[0]} ({span(trained['images'], ',')} images).**"]
    if each:
        return ["\n".join(f"- **{sentence}.**" for sentence in each), counts(trained)]
    return [f"**{counts(trained)}**"]


def of_network(tested: pd.DataFrame, network: str, names: Names, flat: dict[str, list[str]]) -> str:
    """Return a sentence on one network: by which metrics it is U-shaped, its null and its control."""
    rows = tested[tested["network"] == network]
    paper = rows[rows["role"] == "paper"]
    if paper.empty:
        return f"{network} has none of the paper's metrics"
    hollow, rest = (list(paper.loc[paper["verdict"] == verdict, "metric"]) for verdict in (U_SHAPED, NOT_U_SHAPED))
    if not hollow:
        return f"{network} is " + "; ".join([not_in(rest)] * bool(rest) + unsettled(paper))
    text = f"{network} is U-shaped in {listed([*map(spaced, hollow)])}"
    text += f", and not in {' or in '.join(map(spaced, rest))}" if rest else ""
    text = "; ".join([text, *unsettled(paper)])
    if "intensity" in hollow:
        null = rows[rows["metric"] == NULL]
        text += f"; {NULL_SAID} {of_the_null(null)}"
    control = names.controls.get(network)
    beside = tested[(tested["network"] == control) & tested["metric"].isin(hollow)]
    if control is None or beside.empty:
        return f"{text}; no control was measured"
    if set(hollow) - {GRADIENT} <= set(flat.get(control, [])):
        return f"{text}; {control} is flat over depth and so no control"
    too = list(beside.loc[beside["verdict"] == U_SHAPED, "metric"])
    found = [f"so in {listed([*map(spaced, too)])} too"] * bool(too) + unsettled(beside)
    return f"{text}; {control} is " + (", ".join(found) if found else "so in none of these")


def of_the_null(null: pd.DataFrame) -> str:
    """Return what the verdict on the null of one network is, '`the null` is U-shaped too'."""
    if null.empty:
        return "was not measured"
    verdict = null["verdict"].iloc[0]
    return {U_SHAPED: "is U-shaped too", NOT_U_SHAPED: "is not"}.get(verdict, f"is {verdict}")


def unsettled(rows: pd.DataFrame) -> list[str]:
    """Return 'undecided in a and b', 'flat in c', of rows of which neither a U nor none was found."""
    found = {verdict: list(rows.loc[rows["verdict"] == verdict, "metric"]) for verdict in (UNDECIDED, EMPTY)}
    return [f"{verdict} in {listed([*map(spaced, metrics)])}" for verdict, metrics in found.items() if metrics]


def sizes(tested: pd.DataFrame, names: Names) -> list[str]:
    """Return how far each network's U falls and rises by each of the paper's metrics, and how much of it is scale."""
    lines = []
    for network in names.ordered:
        rows = tested[(tested["network"] == network) & (tested["role"] == "paper") & (tested["verdict"] == U_SHAPED)]
        for row in rows.to_dict("records"):
            parts = [size(row), of_scale(row), of_null(row)]
            lines.append(f"- {named(row['metric'])} of {network} {'; '.join(filter(None, parts))}.")
    return ["\n".join(lines)] if lines else []


def reasons(tested: pd.DataFrame, names: Names) -> list[str]:
    """Return why metrics of networks are undecided or read otherwise than published; how often students are."""
    paper = tested[tested["role"] == "paper"]
    lines = [
        f"- {named(row['metric'])} of {row['network']} is {row['verdict']}: {text}."
        for row in paper[paper["network"].isin(names.fixed)].to_dict("records")
        if (text := why(row))
    ]
    students = paper[paper["network"].isin(names.variants)]
    undecided = students[students["verdict"] == UNDECIDED]
    if len(undecided):
        skewed = int((undecided["p_skewed"] <= LEVEL).sum())
        lines.append(
            f"- Of students {len(undecided)} of {len(students)} curves are {UNDECIDED}: {skewed} too skewed for so "
            f"many images (or with fewer than {FEWEST_IMAGES}), {len(undecided) - skewed} neither surely more nor "
            "surely less than the smallest change."
        )
    return ["\n".join(lines)] if lines else []


def not_in(metrics: list[str]) -> str:
    """Return 'not U-shaped in a', 'U-shaped in none of a and b'."""
    names = listed([*map(spaced, metrics)])
    return f"U-shaped in none of {names}" if len(metrics) > 1 else f"not U-shaped in {names}"


def counts(trained: pd.DataFrame) -> str:
    """Return a sentence that counts trained networks by the paper's metrics, and by the null."""
    found = []
    for metric in (name for name, role in ROLES.items() if role == "paper"):
        rows = trained[trained["metric"] == metric]
        if len(rows):
            found.append((spaced(metric), len(u_shaped(rows)), len(rows), others(rows)))
    networks = " trained networks"
    texts = [
        f"{name}{' is U-shaped' if not place else ''} in {k} of {n}{networks if not place else ''}{rest}"
        for place, (name, k, n, rest) in enumerate(found)
    ]
    seeds = trained.loc[trained["seed"] >= 0, "seed"].nunique()
    sizes = f"{span(trained['images'], ',')} images each" + (f", students of {plural(seeds, 'seed')}" if seeds else "")
    null = trained[trained["metric"] == NULL]
    if null.empty:
        control = f"{NULL_SAID} was not measured"
    else:
        k = len(u_shaped(null))
        intensity = next((count for name, count, *_ in found if name == "intensity"), 0)
        control = f"but so is {NULL_SAID}" if 0 < intensity <= k else f"{NULL_SAID} is"
        control += f" in {k} of {len(null)}{others(null)}"
    text = f"{listed(texts)} ({sizes}); {control}."
    return text[0].upper() + text[1:]


def controls(tested: pd.DataFrame, names: Names) -> list[str]:
    """Return sentences on the null, the scale-controlled metrics and the networks' controls."""
    trained = trained_of(tested, names)
    sentences = []
    intensity, null = (u_shaped(trained[trained["metric"] == name]) for name in ("intensity", NULL))
    if intensity and (trained["metric"] == NULL).any():
        same = len(intensity & null)
        sentences.append(
            f"Where intensity is U-shaped, its null is too in {same} of {len(intensity)}: a valley that the null has "
            "is one of scale and says nothing about the order of channels."
        )
    for role, heading, without in (
        ("control", "U-shaped with scale or constant term taken out", "No scale-controlled metric was measured."),
        ("scale", "U-shaped in scale itself", "No measure of scale was taken."),
    ):
        counted = [
            f"{spaced(metric)} {len(u_shaped(rows))} of {len(rows)}{others(rows)}"
            for metric, rows in trained[trained["role"] == role].groupby("metric", sort=False)
        ]
        sentences.append(f"{heading}: {', '.join(counted)}." if counted else without)
    flat = flat_controls(tested, names)
    for network, control in names.controls.items():
        paper = tested[(tested["network"] == control) & (tested["role"] == "paper")]
        still = flat.get(control, [])
        if still:
            sentences.append(
                f"{control} is flat over depth in {listed([*map(spaced, still)])} (relative range below {FLAT:g}), as "
                f"where every block is close to the identity: of these it is no control of {network}.{remedy(control)}"
            )
        paper = paper[~paper["metric"].isin(still)]
        found = list(map(spaced, paper.loc[paper["verdict"] == U_SHAPED, "metric"]))
        if found:
            sentences.append(f"{control} is U-shaped in {listed(found)} already: it takes no training of {network}.")
        rest = list(paper.loc[paper["verdict"] == NOT_U_SHAPED, "metric"]) if not found else []
        rest = [not_in(rest)] * bool(rest) + unsettled(paper)
        if rest:
            sentences.append(f"{control} is {'; '.join(rest)}.")
    return sentences


def remedy(control: str) -> str:
    """Return which other kinds of control to set, if there are any that this one is not."""
    kinds = [f"`control: {kind}`" for kind in REMEDIES if not control.endswith(f"_{kind}")]
    only = " The first needs a LayerScale." * (len(kinds) == len(REMEDIES))
    return f" Set {' or '.join(kinds)} for it.{only}"


def left_out(shape: pd.DataFrame) -> list[str]:
    """Return sentences on networks without an interior block and images without a value."""
    sentences = []
    short = shape.loc[shape["verdict"] == NO_INTERIOR, ["network", "seed"]].drop_duplicates()
    if len(short):
        sentences.append(f"{plural(len(short), 'network')} with fewer than 3 blocks cannot be tested.")
    missing = shape[shape["images_left_out"] > 0]
    if len(missing):
        sentences.append(
            f"Images without a finite value were left out in {plural(len(missing), 'row')} "
            f"(at most {missing['images_left_out'].max()} of an image set; images_left_out in shape.parquet)."
        )
    return sentences


def other_probes(shape: pd.DataFrame, names: Names) -> Iterable[str]:
    """Yield a paragraph for each further image set: a shape may depend on the images."""
    for probe, rows in shape[shape["probe"] != MAIN_IMAGE_SET].groupby("probe", sort=False):
        trained = trained_of(rows[rows["p"].notna()], names)
        trained = trained[trained["role"].isin(["paper", "null"])]
        if (trained["role"] == "paper").any():
            yield f"On the image set {probe}: {counts(trained)}"
        else:
            yield f"On the image set {probe} no trained network could be tested."
