"""Who stands for many networks and variants, in the panels of the page that have no room for all.

Those are panels whose data grow with the square of networks, or with pictures and spectra of each. All other charts
have everyone, and show those who are ticked.
"""

import pandas as pd

from ..ranking import ranked, shown
from ..spec.tables import MAIN_IMAGE_SET
from ..statistics.u_shape import U_SHAPED
from .panel import PageData

BY_SHAPE, BY_SIZE = "those with the most U-shaped metrics", "the largest differences"


def leading(data: PageData) -> tuple[str, ...]:
    """Return all of few networks and variants; of many the reference and the networks U-shaped in most metrics.

    Of many variants the baselines and those that differ most from them. All are in the order of the study.
    """
    names, hollow = data.names, u_shaped(data)
    first = {names.reference: float("inf")}
    networks = pd.Series(names.ordered, dtype=object)
    kept = set(ranked(networks.to_frame(), [first.get(name, hollow.get(name, 0)) for name in networks])[0])
    if names.variants:
        sizes = pd.Series(dtype=float)
        if data.has("variants", "mean_difference"):
            sizes = data.tables["variants"].set_index("variant")["mean_difference"].abs()
        sizes = {**sizes.to_dict(), **dict.fromkeys(names.baselines.values(), float("inf"))}
        variants = pd.Series(names.variants, dtype=object)
        kept |= set(ranked(variants.to_frame(), [sizes.get(name, float("nan")) for name in variants])[0])
    return tuple(name for name in names.trained if name in kept)


def u_shaped(data: PageData) -> dict[str, int]:
    """Return network -> in how many published metrics it is U-shaped over depth at the end of training, if in any."""
    if not data.has("shape", "verdict"):
        return {}
    shape = data.tables["shape"]
    found = shape[(shape["verdict"] == U_SHAPED) & (shape["role"] == "paper") & (shape["probe"] == MAIN_IMAGE_SET)]
    counts = found["network"].value_counts()
    return {name: int(counts[name]) for name in data.names.ordered if name in counts}


def of_leading(data: PageData, table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the rows of a table whose `columns` all name leading ones, or controls of such."""
    first = set(leading(data))
    first |= {control for name, control in data.names.controls.items() if name in first}
    return table[table[list(columns)].isin(first).all(axis=1)]


def left_out(data: PageData, file: str, where: str = "choice", variants: bool = True) -> str:
    """Return the sentences, each after a space, that say who is left out and which file below the study holds all.

    They are text, without the marks of Markdown.
    """
    said = [shown(len(data.names.networks), "networks", BY_SHAPE, file, where)]
    if variants:
        said.append(shown(len(data.names.variants), "variants", BY_SIZE, file, where))
    return "".join(f" {one}" for one in said if one).replace("`", "")
