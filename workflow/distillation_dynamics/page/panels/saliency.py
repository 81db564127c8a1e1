"""Which pixels the logit of an image's class depends on: pictures that follow the choice of networks."""

import numpy as np
import pandas as pd

from ...figures.drawing import overlays
from ..html import Html, tag
from ..panel import PageData, Panel, named
from ..pictures import strip

METHODS = {"gradient": "gradient", "smoothgrad": "SmoothGrad", "integrated_gradients": "integrated gradients"}
IMAGE = "image"
# Images of a row.
MOST = 4
NOTHING = np.full((1, 1), np.nan)


def panels(data: PageData) -> list[Panel]:
    """Return the panel on saliency; none where no network has a map."""
    if not data.has("saliency"):
        return []
    table = overlays.final_maps(data.tables["saliency"], data.names)
    methods = [method for method in METHODS if (table["method"] == method).any()]
    known = table[table["method"].isin(methods)]
    if known.empty or all(np.isnan(values).all() for values in known["map"]):
        return []
    shown = list(overlays.examples(table, MOST).itertuples(index=False))
    about = (
        "How much the logit of an image's own class depends on each pixel, last epoch, lowest seed: largest absolute "
        "attribution over colours, laid over the image. Each map has its own scale: compare places, not sizes. Where "
        "students were measured before training, the untrained student is what structure alone gives. From "
        f"left to right: {', '.join(METHODS[method] for method in methods)}."
    )
    return [
        Panel(
            "saliency", "Saliency", about, body=_pictures(data, table, methods, shown),
            figures=("saliency", "gradient_maps"),
        )
    ]  # fmt: skip


def _pictures(data: PageData, table: pd.DataFrame, methods: list[str], shown: list) -> Html:
    owners = data.owned(table).drop_duplicates("network").set_index("network")["owner"]
    # By network, image and method.
    arrays = {(row["network"], row["image"], row["method"]): overlays.as_array(row) for row in table.to_dict("records")}
    heads = []
    for image, label in shown:
        pixels = arrays.get((owners.index[0], image, IMAGE), NOTHING)
        said = f"image {image}, {overlays.class_said(label, data.classes)}"
        heads.append(tag("th", strip([_over(pixels, NOTHING)], said), tag("br"), said, scope="col"))
    rows = []
    for name in owners.index:
        cells = []
        for image, _ in shown:
            own, *found = (arrays.get((name, image, method), NOTHING) for method in (IMAGE, *methods))
            cells.append(_cell(own, found, f"{named(name)}, image {image}: {', '.join(METHODS[m] for m in methods)}"))
        # Whatever is chosen, the untrained student stays.
        owner = None if name == overlays.UNTRAINED else owners[name]
        rows.append(tag("tr", tag("th", named(name), scope="row"), *cells, data_owner=owner))
    caption = "Saliency of the label's logit, by network and image"
    top = tag("thead", tag("tr", tag("td"), *heads))
    whole = tag("table", tag("caption", caption), top, tag("tbody", *rows), class_="maps")
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(image: np.ndarray, found: list[np.ndarray], said: str) -> Html:
    if any(np.isnan(one).all() for one in found):
        return tag("td", "no value")
    nothing = "" if any(one.any() for one in found) else " (exactly zero everywhere)"
    return tag("td", strip([_over(image, one) for one in found], said + nothing))


def _over(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a map over its image, [rows, columns, 3]; over black where the image is not known."""
    return overlays.blended(np.nan_to_num(image), values)
