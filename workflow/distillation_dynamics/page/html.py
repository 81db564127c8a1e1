"""HTML of the page from templates, which escape all that is not markup yet; and the report's Markdown for them."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..ranking import listed
from ..words import spaced

# Of a line of Markdown that is escaped already: what is bold, what is code, and what is a link.
BOLD, CODE = re.compile(r"\*\*(.+?)\*\*", re.DOTALL), re.compile(r"`([^`]+)`")
# A link leads somewhere from the page where it is to a site; of one to a file of the project the words are left.
SITE, FILE = re.compile(r"\[([^\]]+)\]\((https://[^)\s]+)\)"), re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
RULE = re.compile(r"^\|(?:\s*:?-+:?\s*\|)+$")


@cache
def environment() -> Environment:
    """Return what reads the files of `templates/`."""
    found = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {"named": spaced, "blocks": blocks, "listed": listed}
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return found


def render(template: str, **values: Any) -> Markup:
    """Return what a file of `templates/` says of values."""
    return Markup(environment().get_template(template).render(values))


def blocks(paragraphs: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield the blocks of Markdown with their kind: table (rows of cells, heads first), list (items) or text."""
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
    """Return one line of Markdown: bold, code and links where it says so."""
    linked = FILE.sub(r"\1", SITE.sub(r'<a href="\2">\1</a>', str(escape(line))))
    return Markup(CODE.sub(r"<code>\1</code>", BOLD.sub(r"<strong>\1</strong>", linked)))
