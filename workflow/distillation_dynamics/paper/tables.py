"""The tables of a paper: those of the report, with the columns that a page has room for.

In: the tables of summary and statistics. Out: floats of LaTeX by name, each with n, interval and control in its
caption. Cells are those of the report, so that both say the same. A table without rows is a comment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from ..questions.accuracy import answer as accuracy
from ..questions.alignment import answer as alignment
from ..questions.claims import answer as claims
from ..questions.dose import answer as dose
from ..questions.networks import OWN
from ..questions.networks import answer as networks
from ..questions.published import answer as published
from ..questions.shape import overview as shape_tables
from ..questions.variants import answer as variants
from ..spec.tables import MAIN_IMAGE_SET, Names
from .captions import filled
from .latex import LONG, captioned, comment, floating, tabular

Tables = Mapping[str, pd.DataFrame]
# Between a caption and its table: room, and how narrow it is set.
STYLE = r"\vspace{4pt}\footnotesize\setlength{\tabcolsep}{4pt}"


@dataclass(frozen=True)
class Shown:
    """A table: its caption, with names in braces; its columns by the report's heads, with their own; and its rows.

    `kinds`: those of the columns, as `tabular` of LaTeX takes them.
    """

    caption: str
    heads: dict[str, str]
    kinds: str
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
            "network": "network or variant", "what": "is", "seeds": "seeds", "test top-1": "top-1 [%]",
            "95 % interval": "95 % interval", "image noise": "image noise [points]", "as the teacher": "agreement [%]",
        },
        "llrrrrr",
        _accuracies,
    ),
    "variants": Shown(
        "Difference to {baseline} in test top-1 [points], paired by seed, last epoch, {test_images}: mean and 95 % t "
        "interval over seeds. p: all variants in one sign-flip test (step-down maximum of |t|); detectable: what it "
        "finds with 80 % power.",
        {
            "variant": "variant", "seeds": "seeds", "difference": "difference", "95 % interval": "95 % interval",
            "p": "joint p", "detectable": "detectable", "verdict": "verdict",
        },
        "lrrrrrp{1.9in}",
        lambda tables, names: variants.variant_table(tables["variants"]),
    ),
    "dose_and_place": Shown(
        "Place and dose: differences in test top-1 [points] between variants that differ from {baseline} in one term "
        "with pairs, paired by seed, with the 95 % t interval. Share: of the loss in epoch 1. p: all contrasts of "
        "place and of dose in one sign-flip test.",
        {
            "contrast": "contrast", "variant less other": "variant less other", "pairs": "pairs",
            "share of the loss": "share [%]", "difference": "difference [95 % interval]", "seeds": "seeds",
            "p": "joint p", "verdict": "verdict",
        },
        "lp{1.2in}p{0.55in}rrrrp{1.1in}",
        lambda tables, names: dose.contrasts(tables["dose_and_place"]),
    ),
    "effects": Shown(
        "What aligning did: difference of each variant to {baseline} in test top-1 [points] with the 95 % t "
        "interval, by the terms that align blocks. Share: of the loss in epoch 1, and over training. Test and p are "
        "those of all variants.",
        {
            "variant": "variant", "objective": "objective", "pairs": "pairs", "share of the loss": "share [%]",
            "effect": "effect [95 % interval]", "seeds": "seeds", "p": "joint p", "verdict": "verdict",
        },
        "lp{0.9in}lrrrrp{1.1in}",
        lambda tables, names: alignment.effect_table(tables["effects"]),
    ),
    "nearest": Shown(
        "The block of the teacher {teacher} most like each block of {baseline} (unbiased linear CKA, last epoch). "
        "Gain: CKA less that of the same student untrained, and that above the other blocks', with 95 % t intervals "
        "over seeds; p: all blocks in one sign-flip test. Likeness does not tell that aligning helps.",
        {
            "student block": "student", "nearest teacher block": "teacher", "CKA": "CKA", "CKA before": "before",
            "gain at the nearest": "gain", "gain above the other blocks'": "above the others'", "seeds": "seeds",
            "p": "joint p", "verdict": "verdict",
        },
        "rrrrrrrrp{1.3in}",
        lambda tables, names: alignment.nearest_table(tables["nearest"]),
    ),
    "shape": Shown(
        "Is it U-shaped? Fall to the lowest inner block and rise from it with 95 % intervals over images ({images}), "
        "last epoch; p: of no such fall and rise, adjusted over metrics and networks. Control: the network's own.",
        {
            "network": "network", "metric": "metric", "verdict": "verdict", "falls by": "falls by",
            "rises by": "rises by", "p": "p", "its verdict": "its control",
        },
        "lp{0.85in}p{0.75in}rrrp{0.75in}",
        _shapes,
    ),
    "shape_counts": Shown(
        "How many networks, controls and students ({students}) are U-shaped, by metric ({images}, last epoch). "
        "Roles: a metric of the claim (paper), scale taken out (control), scale itself, permuted channels (null).",
        {"metric": "metric", "role": "role", "networks": "networks", "controls": "controls", "students": "students"},
        "lllll",
        _counts,
    ),
    "networks": Shown(
        "Networks beside each other: mean best match over blocks by three measures, each beside that of both "
        "networks' controls and what chance gives. No interval, and no test is made.",
        {
            "pair": "pair", "CKA": "CKA", "controls' CKA": "controls'", "mutual neighbours": "neighbours",
            "controls' neighbours": "controls'", "by chance": "by chance", "Procrustes": "Procrustes",
            "controls' Procrustes": "controls'", "shuffled": "shuffled",
        },
        "p{1.2in}rrrrrrrr",
        _pairs,
    ),
    "published": Shown(
        "Published beside measured, differences in top-1 [points]: published to SoftKD (ImageNet-1k, one seed), "
        "measured to {baseline}, with the 95 % interval of the mean and that in which one further seed lies. A "
        "published number of another run is a reference and no test.",
        {
            "variant": "variant", "published run": "published run", "published (ImageNet)": "published",
            "measured": "measured", "seeds": "seeds", "95 % interval of the mean": "of the mean",
            "of one further seed": "of one seed", "verdict": "verdict",
        },
        "llrrrrrp{0.95in}",
        _published,
    ),
    "claims": Shown(
        "The published claims, one by one, as this study's networks, images and recipe bear on them. The numbers and "
        "controls of each are in the table of evidence.",
        {"claim": "claim", "verdict": "verdict", "why": "why"},
        "p{2.3in}p{0.9in}p{2.8in}",
        _claims,
    ),
    "claims_evidence": Shown(
        "What the verdict on each claim rests on: numbers with n and 95 % interval, and the same of the control.",
        {"label": "claim", "number": "number", "control": "control"},
        "p{0.7in}p{2.9in}p{2.5in}",
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
    caption = captioned(f"tab:{name}", filled(shown.caption, said))
    body = tabular(rows, shown.heads, shown.kinds, shown.environment)
    if shown.environment != LONG:
        return floating("table*", caption, STYLE, body)
    # No float: it runs over pages, and where a text has two columns it stands behind \onecolumn.
    begin, _, rest = body.partition("\n")
    return "\n".join([r"{\scriptsize", begin, rf"{caption}\\", rest, "}", ""])
