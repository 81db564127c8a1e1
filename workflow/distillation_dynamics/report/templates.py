"""Text templates: Markdown with values and conditions, which a person can read and edit.

A template is jinja2: {{ value }}, {% if ... %}. An empty line begins a paragraph; other line breaks are layout: lines
of prose are joined by a space (without one before a comma, a full stop or the like), and lines of lists and tables stay
lines. A value that a template names but does not receive is an error.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined

from .. import ranking, words
from ..files import Column
from ..markdown import markdown
from ..statistics import thresholds
from ..statistics.westfall_young import p_said

ROOT = Path(__file__).parents[1]
# Characters that mark the empty lines of a template and the dashes of its lists, since a value may be a dash, too.
PARAGRAPH, ITEM = "\ue000", "\ue001"
# Beginnings of a line of prose that need no space before them; a full stop may also begin a number.
CLOSING = re.compile(r"[,;:)]|\.(?!\d)|\*\*$")


def rendered(template: str, **values: Any) -> tuple[str, ...]:
    """Return the paragraphs of a template, a file below the library's folder, rendered with these values."""
    return paragraphs(_environment().get_template(template).render(values))


def is_template(name: str) -> bool:
    """Return whether a template of this name exists."""
    return (ROOT / name).is_file()


def paragraphs(text: str) -> tuple[str, ...]:
    """Return the paragraphs of a text with PARAGRAPH between them, and ITEM before the items of a list."""
    found = []
    for part in text.split(PARAGRAPH):
        lines: list[str] = []
        for line in filter(None, map(str.strip, part.splitlines())):
            if not lines or line.startswith(("|", ITEM)):
                lines.append(line)
                continue
            # No space between bold marks and their text.
            opened = lines[-1].endswith("**") and lines[-1].count("**") % 2
            lines[-1] += line if opened or CLOSING.match(line) else f" {line}"
        if lines:
            found.append("\n".join(_spaced_once(line) for line in lines))
    return tuple(found)


def _spaced_once(line: str) -> str:
    """Return a line without the template's layout spaces; rows of a table are unchanged."""
    return line if line.startswith("|") else re.sub(f"{ITEM} *", "- ", re.sub(" +", " ", line))


def table(rows: pd.DataFrame, units: Mapping[str, str] = MappingProxyType({}), columns: Sequence[str] = ()) -> str:
    """Return a table as Markdown with units in its header; all `columns` or those given."""
    return markdown(rows, {name: Column(units.get(name, ""), "") for name in columns or rows}) if len(rows) else ""


def percent(share: float, form: str = ".2g") -> str:
    """Return a share as percent, without the sign."""
    return words.number(100 * share, form)


def between(loop: Any) -> str:
    """Return the separator after an item of a list in a sentence: comma, 'and', or nothing."""
    return "" if loop.last else " and" if loop.revindex == 2 else ","


@cache
def _environment() -> Environment:
    # The text is Markdown, which the page escapes.
    environment = Environment(loader=FunctionLoader(_source), undefined=StrictUndefined, autoescape=False)
    named = (words.plural, words.number, words.span, words.spaced, words.over, words.capital)
    environment.filters |= {function.__name__: function for function in (*named, percent, between, table, p_said)}
    environment.filters |= {function.__name__: function for function in (ranking.listed, ranking.top, ranking.more)}
    environment.tests["missing"] = pd.isna
    environment.globals |= {"with_interval": words.with_interval, "thresholds": thresholds}
    return environment


def _source(name: str) -> str:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return "\n".join(re.sub(r"^\s*- ", ITEM, line) if line.strip() else PARAGRAPH for line in lines)
