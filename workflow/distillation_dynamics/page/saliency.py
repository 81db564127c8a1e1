"""Saliency maps as images that follow the selection of networks."""

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..drawing import overlays
from ..words import spaced
from .html import render
from .leading import left_out, of_leading
from .panel import OWNER, PageData
from .pictures import strip

METHODS = {"gradient": "gradient", "smoothgrad": "SmoothGrad", "integrated_gradients": "integrated gradients"}
IMAGE = "image"
# Images per row.
MOST = 4


def pictures(data: PageData) -> Markup | None:
    """Return the images, one row per network; None if no network has a map."""
    if not data.has("saliency"):
        return None
    table = overlays.final_maps(of_leading(data, data.tables["saliency"], "network"), data.names)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    known = table[table["method"].isin(methods)]
    if known.empty or all(np.isnan(values).all() for values in known["map"]):
        return None
    return _pictures(data, table, methods)


def _pictures(data: PageData, table: pd.DataFrame, methods: list[str]) -> Markup:
    owners = data.owned(table).drop_duplicates("network").set_index("network")[OWNER]
    shown = list(overlays.examples(table, MOST).itertuples(index=False))
    said = ", ".join(METHODS[method] for method in methods)
    # By network, image and method.
    arrays = {(row["network"], row["image"], row["method"]): overlays.as_array(row) for row in table.to_dict("records")}
    heads = []
    for image, label in shown:
        pixels = arrays.get((owners.index[0], image, IMAGE), overlays.NOTHING)
        words = f"image {image}, {overlays.class_said(label, data.classes)}"
        heads.append((strip([_over(pixels, overlays.NOTHING)], words), words))
    rows = []
    for name, owner in owners.items():
        cells = []
        for image, _ in shown:
            own, *found = (arrays.get((name, image, method), overlays.NOTHING) for method in (IMAGE, *methods))
            cells.append(_cell(own, found, f"{spaced(name)}, image {image}: {said}"))
        # The untrained student is always shown.
        rows.append((name, None if name == overlays.UNTRAINED else owner, cells))
    return render(
        "saliency.html.j2",
        methods=said,
        heads=heads,
        rows=rows,
        left_out=left_out(data, "tables/saliency.parquet", "table"),
    )


def _cell(image: np.ndarray, found: list[np.ndarray], said: str) -> Markup:
    if any(np.isnan(one).all() for one in found):
        return Markup("no value")
    nothing = "" if any(one.any() for one in found) else " (exactly zero everywhere)"
    return strip([_over(image, one) for one in found], said + nothing)


def _over(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a map over its image, [rows, columns, 3]; over black if the image is unknown."""
    return overlays.blended(np.nan_to_num(image), values)
