"""What can be measured of how a figure reads at the width it is printed at: sizes of its texts, and where they lie."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

SMALLEST = 6.0  # points
# Points that a text may run over the edge, or two texts into each other: boxes are a little larger than what is seen.
SLACK = 0.8


def faults(figure):
    """Return what is wrong with the texts of a figure, a sentence each: small, outside the page, over each other."""
    figure.set_dpi(72)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), figure.get_size_inches() * 72
    texts = list(shown(figure))
    boxes = [Text.get_window_extent(text, renderer) for text in texts]
    found = [
        f"{text.get_text()!r}: {text.get_fontsize():.1f} points" for text in texts if text.get_fontsize() < SMALLEST
    ]
    found += [f"{text.get_text()!r}: smaller numbers" for text in texts if "$" in text.get_text()]
    for text, box in zip(texts, boxes, strict=True):
        if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > width + SLACK or box.y1 > height + SLACK:
            found.append(f"{text.get_text()!r}: outside of the page")
    order = sorted(range(len(texts)), key=lambda number: boxes[number].x0)
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            if boxes[other].x0 > boxes[one].x1:
                break
            if overlap(boxes[one], boxes[other]):
                found.append(f"{texts[one].get_text()!r} over {texts[other].get_text()!r}")
    return found


def overlap(one, other):
    """Whether two boxes share more than the slack in both directions."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > SLACK and down > 2 * SLACK


def shown(figure):
    """Yield the texts that are seen: of visible axes, and of ticks within their limits."""
    hidden, ticks = set(), {}
    for axes in figure.findobj(lambda artist: hasattr(artist, "get_xaxis")):
        if not axes.get_visible():
            hidden |= set(axes.findobj(Text))
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                inside = low - margin <= tick.get_loc() <= high + margin and axes.axison
                ticks |= {id(text): inside for text in (tick.label1, tick.label2)}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in hidden and ticks.get(id(text), True):
            yield text
