"""Which pixels the logit of an image's class depends on: pictures that follow the choice of networks."""

import numpy as np
import pandas as pd
from matplotlib import colormaps

from ...figures import maps
from ...spec.tables import Names
from ..html import Html, tag
from ..panel import Panel, Study, named
from ..pictures import strip

METHODS = {"gradient": "gradient", "smoothgrad": "SmoothGrad", "integrated_gradients": "integrated gradients"}
IMAGE = "image"
# Images of a row, and how dark the image below a map is.
MOST, DARK = 4, 0.6
NOTHING = np.full((1, 1), np.nan)


def panels(study: Study) -> list[Panel]:
    """Return the panel on saliency; none where no network has a map."""
    if not study.has("saliency"):
        return []
    table = _final(study.tables["saliency"], study.names)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    known = table[table["method"].isin(methods)]
    if known.empty or all(np.isnan(values).all() for values in known["map"]):
        return []
    shown = list(maps.examples(table, MOST).itertuples(index=False))
    about = (
        "How much the logit of an image's own class depends on each pixel, last epoch, lowest seed: largest absolute "
        "attribution over colours, laid over the image. Each map has its own scale: compare places, not sizes. From "
        f"left to right: {', '.join(METHODS[method] for method in methods)}."
    )
    return [
        Panel(
            "saliency", "Saliency", about, body=_pictures(study, table, methods, shown),
            figures=("saliency", "gradient_maps"),
        )
    ]  # fmt: skip


def _final(table: pd.DataFrame, names: Names) -> pd.DataFrame:
    for column, end in (("epoch", "max"), ("seed", "min")):
        table = table[table[column] == table.groupby("network")[column].transform(end)]
    order = {name: place for place, name in enumerate((*names.fixed, *names.variants))}
    return table.sort_values("network", key=lambda column: column.map(order).fillna(len(order)), kind="stable")


def _pictures(study: Study, table: pd.DataFrame, methods: list[str], shown: list) -> Html:
    owners = study.owned(table).drop_duplicates("network").set_index("network")["owner"]
    # By network, image and method.
    arrays = {(row["network"], row["image"], row["method"]): maps.as_array(row) for row in table.to_dict("records")}
    heads = []
    for image, label in shown:
        pixels = arrays.get((owners.index[0], image, IMAGE), NOTHING)
        said = f"image {image}, {maps.class_said(label)}"
        heads.append(tag("th", strip([grey(pixels)], said), tag("br"), said, scope="col"))
    rows = []
    for name in owners.index:
        cells = []
        for image, _ in shown:
            own, *found = (arrays.get((name, image, method), NOTHING) for method in (IMAGE, *methods))
            cells.append(_cell(own, found, f"{named(name)}, image {image}: {', '.join(METHODS[m] for m in methods)}"))
        rows.append(tag("tr", tag("th", named(name), scope="row"), *cells, data_owner=owners[name]))
    caption = "Saliency of the label's logit, by network and image"
    top = tag("thead", tag("tr", tag("td"), *heads))
    whole = tag("table", tag("caption", caption), top, tag("tbody", *rows), class_="maps")
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(image: np.ndarray, found: list[np.ndarray], said: str) -> Html:
    if any(np.isnan(one).all() for one in found):
        return tag("td", "no value")
    nothing = "" if any(one.any() for one in found) else " (exactly zero everywhere)"
    return tag("td", strip([over(image, one) for one in found], said + nothing))


def grey(image: np.ndarray) -> np.ndarray:
    """Return an intensity image [rows, columns] as colours [rows, columns, 3]."""
    return np.repeat(np.nan_to_num(image)[..., None], 3, axis=-1)


def over(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a map over the image that it is of, the more opaque the larger it is, [rows, columns, 3]."""
    share = maps.share_of_largest(values)
    opaque = 0.92 * np.sqrt(share)[..., None]
    below = DARK * grey(image)
    if below.shape[:2] != values.shape:
        below = np.zeros((*values.shape, 3))
    return opaque * colormaps[maps.COLORS](share)[..., :3] + (1 - opaque) * below
