"""Vega-Lite specifications of the page's charts as plain dictionaries.

Widths follow the page. The script inserts colours and lines of networks ("looks"), since it knows whether the page is
light or dark; so too axis colours and tooltips. The data is called `rows`.
"""

from typing import Any

import pandas as pd

from ..statistics.thresholds import LEAST_RMS_PER_BIN

Spec = dict[str, Any]

# Inserted by the script: colours and dashes of networks, colours of terms, order of networks, and ink colour.
COLORS, DASHES, TERMS = "looks.colors", "looks.dashes", "looks.terms"
NAMES, INK = "looks.names", "looks.ink"
# Also inserted: `log` or `linear` by a panel's switch; name and unit of the chosen measure.
SWITCHED, MEASURE = "scales.y", "measure.title"
HEIGHT, STEP = 260, {"step": 22}
NETWORK = {"field": "network", "type": "nominal", "legend": None}
COLOR: Spec = {"color": NETWORK | {"scale": COLORS}}
DASH: Spec = {"strokeDash": NETWORK | {"scale": DASHES}}
IN_INK: Spec = {"color": {"value": INK}}
# Points of an entropy whose tokens spread over too few bins.
HOLLOW = f"isValid(datum.per_bin) && datum.per_bin < {LEAST_RMS_PER_BIN:g}"
# One row per network in the study's order; unselected ones are faded.
ROWS: Spec = {
    "y": {"field": "network", "type": "nominal", "sort": NAMES, "title": None, "axis": {"labelLimit": 130}},
    "opacity": {"condition": {"test": "datum.faded", "value": 0.3}, "value": 1},
}


def chart(layers: list[Spec], height: Any = HEIGHT, **more: Any) -> Spec:
    """Return a specification of layers over the same rows, as wide as the page allows."""
    return {"data": {"name": "rows"}, "width": "container", "height": height, "layer": layers, **more}


def marks(kind: str, channels: Spec, where: str = "", **look: Any) -> Spec:
    """Return a layer: marks of a kind with their channels and look, for all rows or those where `where` holds."""
    layer = {"mark": {"type": kind, **look}, "encoding": channels}
    return layer | {"transform": [{"filter": where}]} if where else layer


def number(axis: str, field: str, title: str | None = None, /, **more: Any) -> Spec:
    """Return a quantitative channel whose scale need not include 0."""
    return {axis: {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}, **more}}


def between(axis: str, low: str, high: str, title: str | None = None) -> Spec:
    """Return the channels of a mark from one number to another."""
    return number(axis, low, title) | {f"{axis}2": {"field": high}}


def whole(axis: str, field: str, title: str) -> Spec:
    """Return the channel of an integer, with ticks only at integers."""
    return number(axis, field, title, axis={"tickMinStep": 1, "format": "d"})


def plane(x: pd.Series, y: pd.Series, titles: tuple[str, str], margin: float = 0.05) -> tuple[Spec, list[Spec]]:
    """Return channels x and y with equal units, and their parameters: all points fit at any width.

    If the chart is wider or higher than the points, that axis extends beyond them.
    """
    ends = {"x": (x.min(), x.max()), "y": (y.min(), y.max())}
    middles = {axis: float(sum(pair) / 2) for axis, pair in ends.items()}
    spans = {axis: float((pair[1] - pair[0]) * (1 + 2 * margin)) or 1.0 for axis, pair in ends.items()}
    sides = {"x": "width", "y": "height"}
    # Data units per pixel: the larger of both sides' requirements.
    unit = {"name": "unit", "expr": " , ".join(f"{spans[axis]!r} / max({side}, 1)" for axis, side in sides.items())}
    unit["expr"] = f"max({unit['expr']})"
    found = {}
    for title, (axis, side) in zip(titles, sides.items(), strict=True):
        low, high = ({"expr": f"{middles[axis]!r} {sign} unit * {side} / 2"} for sign in "-+")
        scale = {"zero": False, "nice": False, "domainMin": low, "domainMax": high}
        found[axis] = {"field": axis, "type": "quantitative", "title": title, "scale": scale}
    return found, [unit]


def place(axis: str, field: str, title: str) -> Spec:
    """Return a channel of blocks or networks in data order."""
    labels = {"labelLimit": 110, "labelAngle": 0}
    return {axis: {"field": field, "type": "nominal", "title": title, "sort": None, "axis": labels}}


def line_at(axis: str, value: Any, **look: Any) -> Spec:
    """Return a layer with a straight line at a number or the value of an expression."""
    return marks("rule", {axis: {"datum": value, "type": "quantitative"}, **IN_INK}, **look)


def line_at_zero(axis: str) -> Spec:
    """Return a layer with a faint line at 0."""
    return line_at(axis, 0, opacity=0.6)


def lines(
    x: Spec,
    title: str = MEASURE,
    nulls: bool = False,
    above: tuple[Spec, ...] = (),
    switched: bool = False,
    logarithmic: bool = False,
    **more: Any,
) -> Spec:
    """Return a line per network over x: `value`, with the band `low` to `high`, and its null with `nulls`.

    `title`: that of the value axis, which is `logarithmic` or, if `switched`, set by the panel's switch.
    """
    kind = SWITCHED if switched else "log" if logarithmic else "linear"
    scale = {"scale": {"type": kind, "zero": False}}

    def y(field: str) -> Spec:
        return number("y", field, title, **scale)

    layers = [marks("area", y("low") | {"y2": {"field": "high"}}, opacity=0.14)]
    if nulls:
        null_band = y("null_low") | {"y2": {"field": "null_high"}} | IN_INK | {"detail": {"field": "network"}}
        layers += [
            marks("area", null_band, opacity=0.12),
            marks("line", y("null"), strokeDash=[2, 3], strokeWidth=1.2, opacity=0.9),
            marks("line", y("gaussian"), strokeDash=[8, 3, 1, 3], strokeWidth=1),
        ]
    layers += [
        marks("line", y("value") | DASH, strokeWidth=2),
        marks("point", y("value"), filled=True, size=36),
        marks("point", y("value") | {"color": {"value": "white"}}, HOLLOW, filled=True, size=14),
    ]
    return chart([*layers, *above], encoding=x | COLOR, **more)


def ranges(title: str, zero: bool = False) -> Spec:
    """Return a row per network: mean `value` with the interval `low` to `high`, and small marks for seeds.

    The column `kind` distinguishes means and seeds; `zero` draws a line at 0.
    """
    own, mean, seed = ROWS | COLOR, "datum.kind === 'mean'", "datum.kind === 'seed'"
    layers = [
        # Drawn below means and intervals, which many seeds would hide.
        marks("tick", own | number("x", "value", title), seed, thickness=2, size=13, fillOpacity=0.4),
        marks("rule", own | between("x", "low", "high", title), mean, strokeWidth=3),
        marks("point", own | number("x", "value", title), mean, filled=True, size=90, shape="diamond"),
    ]
    return chart([line_at_zero("x"), *layers] if zero else layers, STEP)


def bars(x: Spec, color: Spec = COLOR) -> Spec:
    """Return a bar per network, or several overlapping ones by colour."""
    return chart([marks("bar", ROWS | x | color)], STEP)


def spectrogram() -> Spec:
    """Return a map of `value`, at most 1, with one row per block and one column per frequency `from`..`to`."""
    legend = {"title": "amplitude over the network's largest", "orient": "top", "titleLimit": 300}
    legend |= {"gradientLength": 160, "gradientThickness": 10}
    color = {"field": "value", "type": "quantitative", "legend": legend}
    color["scale"] = {"scheme": "viridis", "type": "sqrt", "domain": [0, 1]}
    x = between("x", "from", "to", "frequency [cycles per channel]") | {"color": color}
    x["x"]["scale"] = {"domain": [0, 0.5], "nice": False}
    return chart([marks("rect", x | place("y", "block", "block"))], {"step": 18})


def heat(x: Spec, y: Spec, framed: str = "") -> Spec:
    """Return a map of `value` by x and y with the number in each cell; `framed`: column of cells with a frame."""
    legend = {"title": MEASURE, "titleLimit": 400, "orient": "top", "gradientLength": 160, "gradientThickness": 10}
    # Bright is large; readable for colour-blind people.
    scale = {"scale": {"scheme": "viridis", "zero": False}, "legend": legend}
    ink = {"condition": {"test": "datum.value > datum.middle", "value": "#000"}, "value": "#fff"}
    text = {"field": "value", "type": "quantitative", "format": ".2f"}
    layers = [
        marks("rect", {"color": {"field": "value", "type": "quantitative", **scale}}),
        marks("text", {"text": text, "color": ink}, fontSize=10),
    ]
    if framed:
        layers.append(marks("rect", {}, f"datum.{framed}", filled=False, stroke="#e4572e", strokeWidth=3))
    ends = [{"op": op, "field": "value", "as": op} for op in ("min", "max")]
    # Black text on bright cells, white on dark ones.
    middle = {"calculate": "0.6 * datum.max + 0.4 * datum.min", "as": "middle"}
    return chart(layers, {"step": 30}, encoding=x | y, transform=[{"joinaggregate": ends}, middle])
