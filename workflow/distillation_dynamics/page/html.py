"""Renders the page's HTML from templates with escaping, and converts the report's Markdown."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..ranking import listed
from ..words import spaced

# Bold, code and links in an escaped line of Markdown.
BOLD, CODE = re.compile(r"\*\*(.+?)\*\*", re.DOTALL), re.compile(r"`([^`]+)`")
# Links from the page lead to sites; of links to the project's files only the text is kept.
SITE, FILE = re.compile(r"\[([^\]]+)\]\((https://[^)\s]+)\)"), re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
RULE = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+$")


@cache
def environment() -> Environment:
    """Return the environment of the templates in `templates/`."""
    found = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {"named": spaced, "blocks": blocks, "listed": listed}
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return found


def render(template: str, **values: Any) -> Markup:
    """Return a template of `templates/` rendered with values."""
    return Markup(environment().get_template(template).render(values))


def blocks(paragraphs: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the blocks of Markdown with their kind: table (rows of cells, header first), list (items) or text."""
    for block in (block for part in paragraphs for block in part.strip().split("\n\n") if block.strip()):
        lines = block.strip().splitlines()
        if len(lines) > 1 and RULE.match(lines[1]):
            yield "table", [[inline(cell.strip()) for cell in _inner(line)] for line in [lines[0], *lines[2:]]]
        elif all(line.startswith("- ") for line in lines):
            yield "list", [inline(line[2:]) for line in lines]
        else:
            yield "text", inline(" ".join(lines))


def _inner(line: str) -> list[str]:
    return line.strip().removeprefix("|").removesuffix("|").split("|")


def inline(line: str) -> Markup:
    """Return one line of Markdown as HTML: bold, code and links."""
    linked = FILE.sub(r"\1", SITE.sub(r'<a href="\2">\1</a>', str(escape(line))))
    return Markup(CODE.sub(r"<code>\1</code>", BOLD.sub(r"<strong>\1</strong>", linked)))
