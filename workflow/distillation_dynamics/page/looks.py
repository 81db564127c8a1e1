"""Colours and lines of networks and terms on the page, as in the printed figures; lighter on dark backgrounds."""

import colorsys
from typing import Any

import matplotlib as mpl

from ..drawing.style import Style

# Least lightness of a colour that is readable on a dark page.
LIGHTNESS = 0.62
DASHES = {"-": (1, 0), "--": (6, 3), ":": (1.5, 2.5), "-.": (7, 3, 1.5, 3)}


def looks(style: Style) -> dict[str, Any]:
    """Return each network's colours on light and dark pages, and its dashes; and those of `terms`."""
    found = style.looks([*style.names.fixed, *style.names.variants])
    colors = [mpl.colors.to_hex(look["color"]) for look in found.values()]
    terms = {name: mpl.colors.to_hex(color) for name, color in style.terms().items()}
    lines = [look["linestyle"] for look in found.values()]
    return {
        "names": list(found),
        "light": colors,
        "dark": [lightened(color) for color in colors],
        "terms": {
            "names": list(terms),
            "light": list(terms.values()),
            "dark": [lightened(color) for color in terms.values()],
        },
        "dashes": [list(map(float, DASHES[line] if isinstance(line, str) else line[1])) for line in lines],
    }


def lightened(color: str) -> str:
    """Return a colour of the same hue, light enough for a dark page."""
    hue, light, saturation = colorsys.rgb_to_hls(*mpl.colors.to_rgb(color))
    return mpl.colors.to_hex(colorsys.hls_to_rgb(hue, max(light, LIGHTNESS), saturation))
