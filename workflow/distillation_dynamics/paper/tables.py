"""The tables of a paper: those of the report, with the columns that a page has room for.

In: the tables of summary and statistics. Out: floats of LaTeX by name, each with n, interval and control in its
caption. Cells are those of the report, so that both say the same. A table without rows is a comment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from ..spec.tables import MAIN_IMAGE_SET, Names
from ..statistics.networks import OWN
from ..statistics.report import accuracy, alignment, claims, dose, networks, published, shape_tables, variants
from .captions import filled
from .latex import LONG, Head, captioned, comment, floating, tabular

Tables = Mapping[str, pd.DataFrame]
# Between a caption and its table: room, and how narrow it is set.
STYLE = r"\vspace{4pt}\footnotesize\setlength{\tabcolsep}{4pt}"


@dataclass(frozen=True)
class Shown:
    """A table: its caption, with names in braces; the columns that are shown, by the report's heads; and its rows."""

    caption: str
    heads: dict[str, Head]
    rows: Callable[[Tables, Names], pd.DataFrame]
    environment: str = "tabular"


def _accuracies(tables: Tables, names: Names) -> pd.DataFrame:
    runs = tables["runs"]
    return accuracy.table(runs[runs["test_top1"].notna()], names)


def _shapes(tables: Tables, names: Names) -> pd.DataFrame:
    shape = tables["shape"]
    return shape_tables.network_table(shape[shape["probe"] == MAIN_IMAGE_SET], names)


def _counts(tables: Tables, names: Names) -> pd.DataFrame:
    shape = tables["shape"]
    tested = shape[shape["probe"] == MAIN_IMAGE_SET]
    return shape_tables.count_table(tested, names) if len(tested) else tested


def _pairs(tables: Tables, names: Names) -> pd.DataFrame:
    found, unmoved = tables["networks"], shape_tables.unmoved_controls(tables["shape"], names)
    own = found[found["kind"] == OWN].to_dict("records")
    return networks.pair_table(networks.beside_controls(found, names, unmoved), own)


def _published(tables: Tables, names: Names) -> pd.DataFrame:
    found = tables["published"]
    return published.run_table(found[found["run"] != ""])


def _claims(tables: Tables, names: Names) -> pd.DataFrame:
    return claims.table(tables["claims"])


TABLES = {
    "accuracy": Shown(
        "Test top-1 of the last epoch ({test_images}): mean and 95 % t interval over seeds of variants ({students}), "
        "of networks one run. Image noise: binomial standard error of one run. Agreement: test images on which the "
        "prediction is the teacher's ({teacher}).",
        {
            "network": Head("network or variant"),
            "what": Head("is"),
            "seeds": Head("seeds", "r"),
            "test top-1": Head("top-1 [%]", "r"),
            "95 % interval": Head("95 % interval", "r"),
            "image noise": Head("image noise [points]", "r"),
            "as the teacher": Head("agreement [%]", "r"),
        },
        _accuracies,
    ),
    "variants": Shown(
        "Difference to {baseline} in test top-1 [points], paired by seed, last epoch, {test_images}: mean and 95 % t "
        "interval over seeds. p: all variants in one sign-flip test (step-down maximum of |t|); detectable: what it "
        "finds with 80 % power.",
        {
            "variant": Head("variant"),
            "seeds": Head("seeds", "r"),
            "difference": Head("difference", "r"),
            "95 % interval": Head("95 % interval", "r"),
            "p": Head("joint p", "r"),
            "detectable": Head("detectable", "r"),
            "verdict": Head("verdict", "p{1.9in}"),
        },
        lambda tables, names: variants.variant_table(tables["variants"]),
    ),
    "dose_and_place": Shown(
        "Place and dose: differences in test top-1 [points] between variants that differ from {baseline} in one term "
        "with pairs, paired by seed, with the 95 % t interval. Share: of the loss in epoch 1. p: all contrasts of "
        "place and of dose in one sign-flip test.",
        {
            "contrast": Head("contrast"),
            "variant less other": Head("variant less other", "p{1.2in}"),
            "pairs": Head("pairs", "p{0.55in}"),
            "share of the loss": Head("share [%]", "r"),
            "difference": Head("difference [95 % interval]", "r"),
            "seeds": Head("seeds", "r"),
            "p": Head("joint p", "r"),
            "verdict": Head("verdict", "p{1.1in}"),
        },
        lambda tables, names: dose.contrast_table(tables["dose_and_place"]),
    ),
    "effects": Shown(
        "What aligning did: difference of each variant to {baseline} in test top-1 [points] with the 95 % t "
        "interval, by the terms that align blocks. Share: of the loss in epoch 1, and over training. Test and p are "
        "those of all variants.",
        {
            "variant": Head("variant"),
            "objective": Head("objective", "p{0.9in}"),
            "pairs": Head("pairs"),
            "share of the loss": Head("share [%]", "r"),
            "effect": Head("effect [95 % interval]", "r"),
            "seeds": Head("seeds", "r"),
            "p": Head("joint p", "r"),
            "verdict": Head("verdict", "p{1.1in}"),
        },
        lambda tables, names: alignment.effect_table(tables["effects"]),
    ),
    "nearest": Shown(
        "The block of the teacher {teacher} most like each block of {baseline} (unbiased linear CKA, last epoch). "
        "Gain: CKA less that of the same student untrained, and that above the other blocks', with 95 % t intervals "
        "over seeds; p: all blocks in one sign-flip test. Likeness does not tell that aligning helps.",
        {
            "student block": Head("student", "r"),
            "nearest teacher block": Head("teacher", "r"),
            "CKA": Head("CKA", "r"),
            "CKA before": Head("before", "r"),
            "gain at the nearest": Head("gain", "r"),
            "gain above the other blocks'": Head("above the others'", "r"),
            "seeds": Head("seeds", "r"),
            "p": Head("joint p", "r"),
            "verdict": Head("verdict", "p{1.3in}"),
        },
        lambda tables, names: alignment.nearest_table(tables["nearest"]),
    ),
    "shape": Shown(
        "Is it U-shaped? Fall to the lowest inner block and rise from it with 95 % intervals over images ({images}), "
        "last epoch; p: of no such fall and rise, adjusted over metrics and networks. Control: the network's own.",
        {
            "network": Head("network"),
            "metric": Head("metric", "p{0.85in}"),
            "verdict": Head("verdict", "p{0.75in}"),
            "falls by": Head("falls by", "r"),
            "rises by": Head("rises by", "r"),
            "p": Head("p", "r"),
            "its verdict": Head("its control", "p{0.75in}"),
        },
        _shapes,
    ),
    "shape_counts": Shown(
        "How many networks, controls and students ({students}) are U-shaped, by metric ({images}, last epoch). "
        "Roles: a metric of the claim (paper), scale taken out (control), scale itself, permuted channels (null).",
        {
            "metric": Head("metric"),
            "role": Head("role"),
            "networks": Head("networks"),
            "controls": Head("controls"),
            "students": Head("students"),
        },
        _counts,
    ),
    "networks": Shown(
        "Networks beside each other: mean best match over blocks by three measures, each beside that of both "
        "networks' controls and what chance gives. No interval, and no test is made.",
        {
            "pair": Head("pair", "p{1.2in}"),
            "CKA": Head("CKA", "r"),
            "controls' CKA": Head("controls'", "r"),
            "mutual neighbours": Head("neighbours", "r"),
            "controls' neighbours": Head("controls'", "r"),
            "by chance": Head("by chance", "r"),
            "Procrustes": Head("Procrustes", "r"),
            "controls' Procrustes": Head("controls'", "r"),
            "shuffled": Head("shuffled", "r"),
        },
        _pairs,
    ),
    "published": Shown(
        "Published beside measured, differences in top-1 [points]: published to SoftKD (ImageNet-1k, one seed), "
        "measured to {baseline}, with the 95 % interval of the mean and that in which one further seed lies. A "
        "published number of another run is a reference and no test.",
        {
            "variant": Head("variant"),
            "published run": Head("published run"),
            "published (ImageNet)": Head("published", "r"),
            "measured": Head("measured", "r"),
            "seeds": Head("seeds", "r"),
            "95 % interval of the mean": Head("of the mean", "r"),
            "of one further seed": Head("of one seed", "r"),
            "verdict": Head("verdict", "p{0.95in}"),
        },
        _published,
    ),
    "claims": Shown(
        "The published claims, one by one, as this study's networks, images and recipe bear on them. The numbers and "
        "controls of each are in the table of evidence.",
        {"claim": Head("claim", "p{2.3in}"), "verdict": Head("verdict", "p{0.9in}"), "why": Head("why", "p{2.8in}")},
        _claims,
    ),
    "claims_evidence": Shown(
        "What the verdict on each claim rests on: numbers with n and 95 % interval, and the same of the control.",
        {
            "label": Head("claim", "p{0.7in}"),
            "number": Head("number", "p{2.9in}"),
            "control": Head("control", "p{2.5in}"),
        },
        lambda tables, names: _claims(tables, names).assign(label=tables["claims"]["claim"]),
        LONG,
    ),
}  # fmt: skip


def texts(tables: Tables, names: Names, said: Mapping[str, str]) -> dict[str, str]:
    """Return name -> LaTeX of every table; `said` is what stands for names in captions."""
    found = {}
    for name, shown in TABLES.items():
        rows = shown.rows(tables, names)
        found[name] = _float(name, shown, rows, said) if len(rows) else comment("This study has no rows of it.") + "\n"
    return found


def _float(name: str, shown: Shown, rows: pd.DataFrame, said: Mapping[str, str]) -> str:
    caption, body = captioned(f"tab:{name}", filled(shown.caption, said)), tabular(rows, shown.heads, shown.environment)
    if shown.environment != LONG:
        return floating("table*", caption, STYLE, body)
    # No float: it runs over pages, and where a text has two columns it stands behind \onecolumn.
    begin, _, rest = body.partition("\n")
    return "\n".join([r"{\scriptsize", begin, rf"{caption}\\", rest, "}", ""])
