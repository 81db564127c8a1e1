"""Images embedded in the page as data addresses: reduced printed figures, and small maps."""

import base64
import io
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

# Pixels: width of a printed figure on the page; side of a map, the largest one kept losslessly, and gap between maps.
WIDTH, SIDE, EXACT, GAP = 1000, 64, 32, 1
QUALITY, QUALITY_OF_MAPS = 62, 80
# Encoding effort, of 6: more saves little.
EFFORT = 2


def figure(path: str | Path, said: str) -> Markup:
    """Return a printed figure (PNG) as an image of the page, at most WIDTH wide; `said`: its alternative text."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    return _image(picture, said, kind="printed", quality=QUALITY)


def strip(maps: list[np.ndarray], said: str) -> Markup:
    """Return maps [rows, columns, 3] in [0, 1] side by side, each at most SIDE pixels high and wide."""
    pictures = [Image.fromarray((np.clip(one, 0, 1) * 255).round().astype(np.uint8)) for one in maps]
    height, width = (min(size, SIDE) for size in maps[0].shape[:2])
    joined = Image.new("RGB", ((width + GAP) * len(maps) - GAP, height), "white")
    for number, picture in enumerate(pictures):
        joined.paste(picture.resize((width, height), Image.Resampling.BOX), (number * (width + GAP), 0))
    exact = {"lossless": True} if max(width, height) <= EXACT else {"quality": QUALITY_OF_MAPS}
    return _image(joined, said, kind="map", **exact)


def _image(picture: Image.Image, said: str, kind: str, **options: object) -> Markup:
    written = io.BytesIO()
    picture.save(written, "WEBP", method=EFFORT, **options)
    address = f"data:image/webp;base64,{base64.b64encode(written.getvalue()).decode()}"
    form = Markup('<img src="{}" alt="{}" width="{}" height="{}" class="{}">')
    return form.format(address, said, *picture.size, kind)
