"""HTML as text: tags whose attributes and text are escaped, tables for readers of screens, Markdown of the report.

What is given as `str` is text and is escaped; what is `Html` is written as it is.
"""

import html
import re
from collections.abc import Iterable, Sequence

# Elements without content.
EMPTY = {"br", "img", "input", "meta"}
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
RULE = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+$")


class Html(str):
    """Text that is HTML already."""


def text(value: object) -> Html:
    """Return a value as HTML text."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Return parts after each other."""
    return Html(between.join(text(part) for part in parts))


def tag(name: str, /, *parts: object, **attributes: object) -> Html:
    """Return an element; attributes that are None are left out, `class_` is class and `data_x` is data-x."""
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{html.escape(str(value))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{given}>" + ("" if name in EMPTY else f"{joined(parts)}</{name}>"))


def table(heads: Sequence[object], rows: Iterable[Sequence[object]], caption: str, units: Sequence[str] = ()) -> Html:
    """Return a table that scrolls by itself where it is wide; `units` stand below the heads, the first cell is a head.

    The script makes it sortable, and searchable where it is long.
    """
    units = [f"[{unit}]" if unit else "" for unit in units] or [""] * len(heads)
    top = joined(
        tag("th", head, *([tag("span", f" {unit}", class_="unit")] if unit else []), scope="col")
        for head, unit in zip(heads, units, strict=True)
    )
    body = joined(
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows if len(row)
    )
    kind = "data" if len(heads) > 2 else "data pair"
    whole = tag("table", tag("caption", caption), tag("thead", tag("tr", top)), tag("tbody", body), class_=kind)
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def details(summary: str, /, *parts: object, **attributes: object) -> Html:
    """Return parts that can be folded away; open where there is no script, which closes them."""
    return tag("details", tag("summary", summary), *parts, **({"open": True, "class_": "folded"} | attributes))


def of_markdown(paragraphs: Iterable[str], caption: str) -> Html:
    """Return paragraphs of the report's Markdown (tables, lists and bold text) as HTML; `caption` names its tables."""
    return joined(
        _block(block, caption) for part in paragraphs for block in part.strip().split("\n\n") if block.strip()
    )


def _block(block: str, caption: str) -> Html:
    lines = block.strip().splitlines()
    if len(lines) > 1 and RULE.match(lines[1]):
        heads, *rows = [_cells(line) for line in [lines[0], *lines[2:]]]
        return table([inline(head) for head in heads], [[inline(cell) for cell in row] for row in rows], caption)
    if all(line.startswith("- ") for line in lines):
        return tag("ul", *(tag("li", inline(line[2:])) for line in lines))
    return tag("p", inline(" ".join(lines)))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def inline(said: str) -> Html:
    """Return one line of Markdown: bold where it says so."""
    return Html(BOLD.sub(r"<strong>\1</strong>", html.escape(said)))
