"""Vega-Lite specifications of the page's charts, as plain dictionaries.

Widths follow the page. Colours and lines of networks ("looks") are put in by the script, which knows whether the page
is light or dark; so are axes' colours. Data is called `rows`.
"""

from typing import Any

# Put in by the script: domain and range of networks' colours and dashes, their order, and the colour of ink.
COLORS, DASHES, NAMES, INK = "looks.colors", "looks.dashes", "looks.names", "looks.ink"
HEIGHT, STEP = 260, 22
NETWORK = {"field": "network", "type": "nominal", "legend": None}
COLOR = NETWORK | {"scale": COLORS}
DASH = NETWORK | {"scale": DASHES}
# A row a network, in the order of the study.
ROWS = {"field": "network", "type": "nominal", "sort": NAMES, "title": None, "axis": {"labelLimit": 130}}
# Of rows that are not chosen.
FADED = {"condition": {"test": "datum.faded", "value": 0.3}, "value": 1}


def spec(layers: list[dict[str, Any]], height: Any = HEIGHT, **more: Any) -> dict[str, Any]:
    """Return a specification of layers over the same rows, as wide as the page gives it."""
    return {"data": {"name": "rows"}, "width": "container", "height": height, "layer": layers, **more}


def number(field: str, title: str | None, **more: Any) -> dict[str, Any]:
    """Return a quantitative channel whose scale need not hold 0."""
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}, **more}


def whole(field: str, title: str, **more: Any) -> dict[str, Any]:
    """Return the channel of a whole number: ticks at whole numbers alone."""
    return number(field, title, axis={"tickMinStep": 1, "format": "d"}, **more)


def place(field: str, title: str) -> dict[str, Any]:
    """Return a channel of blocks or networks, in the order of the data."""
    return {
        "field": field,
        "type": "nominal",
        "title": title,
        "sort": None,
        "axis": {"labelLimit": 110, "labelAngle": 0},
    }


def tips(**fields: str) -> list[dict[str, Any]]:
    """Return what is shown on hovering: field -> title; text where the name ends in an underscore."""
    return [
        {"field": name.rstrip("_"), "title": title, "type": "nominal"}
        if name.endswith("_")
        else {"field": name, "title": title, "type": "quantitative", "format": ".4~g"}
        for name, title in fields.items()
    ]


def lines(x: dict[str, Any], tooltip: list[dict[str, Any]], nulls: bool = False, **more: Any) -> dict[str, Any]:
    """Return a line a network over x, `value`, with the band `low` to `high`, and its null where `nulls`."""
    y = number("value", None)
    apart = {"detail": {"field": "network"}}
    band = {"mark": {"type": "area", "opacity": 0.14}, "encoding": {"y": number("low", None), "y2": {"field": "high"}}}
    layers = [band]
    if nulls:
        layers += [
            {
                "mark": {"type": "area", "opacity": 0.12, "color": INK},
                "encoding": {"y": number("null_low", None), "y2": {"field": "null_high"}, "color": {"value": INK}}
                | apart,
            },
            {
                "mark": {"type": "line", "strokeDash": [2, 3], "strokeWidth": 1.2, "opacity": 0.9},
                "encoding": {"y": number("null", None)},
            },
            {
                "mark": {"type": "line", "strokeDash": [8, 3, 1, 3], "strokeWidth": 1},
                "encoding": {"y": number("gaussian", None)},
            },
        ]
    layers += [
        {"mark": {"type": "line", "strokeWidth": 2}, "encoding": {"y": y, "strokeDash": DASH}},
        {"mark": {"type": "point", "filled": True, "size": 36}, "encoding": {"y": y, "tooltip": tooltip}},
    ]
    return spec(layers + more.pop("above", []), encoding={"x": x, "color": COLOR}, **more)


def ranges(title: str, tooltip: list[dict[str, Any]], zero: bool = False) -> dict[str, Any]:
    """Return a row a network: `value` of its mean with the interval `low` to `high`, and small marks of each seed.

    The column `kind` tells means from seeds; `zero` draws a line at 0.
    """
    mean, seed = ({"filter": f"datum.kind === '{kind}'"} for kind in ("mean", "seed"))
    y, x = ROWS, number("value", title)
    layers = [{"mark": {"type": "rule", "color": INK, "opacity": 0.6}, "encoding": {"x": {"datum": 0}}}] if zero else []
    layers += [
        {
            "transform": [mean],
            "mark": {"type": "rule", "strokeWidth": 3},
            "encoding": {"y": y, "x": number("low", title), "x2": {"field": "high"}, "color": COLOR, "opacity": FADED},
        },
        {
            "transform": [mean],
            "mark": {"type": "point", "filled": True, "size": 90, "shape": "diamond"},
            "encoding": {"y": y, "x": x, "color": COLOR, "opacity": FADED, "tooltip": tooltip},
        },
        {
            "transform": [seed],
            "mark": {"type": "tick", "thickness": 2, "size": 13},
            "encoding": {"y": y, "x": x, "color": COLOR, "opacity": FADED, "tooltip": tooltip},
        },
    ]
    return spec(layers, {"step": STEP})


def heat(
    x: dict[str, Any], y: dict[str, Any], tooltip: list[dict[str, Any]], mark: str | None = None, digits: str = ".2f"
) -> dict[str, Any]:
    """Return a map of `value` by x and y with the number in each cell; `mark` is a column whose cells get a frame."""
    cell = {"mark": {"type": "rect"}, "encoding": {"color": scale_of("value"), "tooltip": tooltip}}
    said = {
        "mark": {"type": "text", "fontSize": 10},
        "encoding": {
            "text": {"field": "value", "type": "quantitative", "format": digits},
            "color": {"condition": {"test": "datum.value > datum.middle", "value": "#000"}, "value": "#fff"},
        },
    }
    frame = {
        "transform": [{"filter": f"datum.{mark}"}],
        "mark": {"type": "rect", "filled": False, "stroke": "#e4572e", "strokeWidth": 3},
        "encoding": {"tooltip": tooltip},
    }
    layers: list[dict[str, Any]] = [cell, said, *([frame] if mark else [])]
    ends = [{"op": op, "field": "value", "as": op} for op in ("min", "max")]
    # Black on what is bright, white on what is dark.
    middle = {"calculate": "0.6 * datum.max + 0.4 * datum.min", "as": "middle"}
    return spec(layers, {"step": 30}, encoding={"x": x, "y": y}, transform=[{"joinaggregate": ends}, middle])


def scale_of(field: str) -> dict[str, Any]:
    """Return the colour of a heat map: bright is large, readable for the colour-blind."""
    legend = {"title": None, "orient": "top", "gradientLength": 160, "gradientThickness": 10}
    return {"field": field, "type": "quantitative", "scale": {"scheme": "viridis", "zero": False}, "legend": legend}
