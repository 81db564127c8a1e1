"""Colour and line of every network on the page, those of the printed figures; lighter ones where the page is dark."""

import colorsys
from typing import Any

import matplotlib as mpl

from ..drawing.style import Style
from ..spec.tables import Names

# Of a dark page: the least lightness of a colour that is still told from the ground.
LIGHTNESS = 0.62
DASHES = {"-": (1, 0), "--": (6, 3), ":": (1.5, 2.5), "-.": (7, 3, 1.5, 3)}


def looks(style: Style) -> dict[str, Any]:
    """Return the names of all that is drawn, with colour on a light and on a dark page, and dashes."""
    names: Names = style.names
    found = style.looks([*names.fixed, *names.variants])
    colors = [mpl.colors.to_hex(look["color"]) for look in found.values()]
    return {
        "names": list(found),
        "light": colors,
        "dark": [lightened(color) for color in colors],
        "dashes": [dashes(look["linestyle"]) for look in found.values()],
    }


def lightened(color: str) -> str:
    """Return a colour of the same hue that is light enough for a dark page."""
    hue, light, saturation = colorsys.rgb_to_hls(*mpl.colors.to_rgb(color))
    return mpl.colors.to_hex(colorsys.hls_to_rgb(hue, max(light, LIGHTNESS), saturation))


def dashes(line: Any) -> list[float]:
    """Return a line style of matplotlib as lengths of strokes and gaps."""
    return [float(length) for length in (DASHES[line] if isinstance(line, str) else line[1])]
