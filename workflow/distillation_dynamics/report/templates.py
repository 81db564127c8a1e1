"""Templates of text: Markdown with values and conditions, which a person can read and change.

A template is jinja2: {{ value }}, {% if ... %}. An empty line of the template begins a paragraph; all other line breaks
are the template's own: lines of prose are joined by a space (without one before a comma, a full stop or the like), and
lines of lists and tables stay lines. A value that a template names and is not told is an error.
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
# Characters that stand for the empty lines of a template and for the dashes of its lists: a value may be a dash, too.
PARAGRAPH, ITEM = "\ue000", "\ue001"
# What a line of prose may begin with that takes no space before it; a number may begin with a full stop.
CLOSING = re.compile(r"[,;:)]|\.(?!\d)|\*\*$")


def rendered(template: str, **values: Any) -> tuple[str, ...]:
    """Return the paragraphs of a template, a file below the library's folder, with these values."""
    return paragraphs(_environment().get_template(template).render(values))


def is_template(name: str) -> bool:
    """Return whether there is a template of this name."""
    return (ROOT / name).is_file()


def paragraphs(text: str) -> tuple[str, ...]:
    """Return the paragraphs of a text in which PARAGRAPH stands between them, and ITEM before those of a list."""
    found = []
    for part in text.split(PARAGRAPH):
        lines: list[str] = []
        for line in filter(None, map(str.strip, part.splitlines())):
            if not lines or line.startswith(("|", ITEM)):
                lines.append(line)
                continue
            # Nothing stands between bold type and what it begins with.
            opened = lines[-1].endswith("**") and lines[-1].count("**") % 2
            lines[-1] += line if opened or CLOSING.match(line) else f" {line}"
        if lines:
            found.append("\n".join(_spaced_once(line) for line in lines))
    return tuple(found)


def _spaced_once(line: str) -> str:
    """Return a line without what the layout of a template leaves in it; a row of a table is as it was written."""
    return line if line.startswith("|") else re.sub(f"{ITEM} *", "- ", re.sub(" +", " ", line))


def table(rows: pd.DataFrame, units: Mapping[str, str] = MappingProxyType({}), columns: Sequence[str] = ()) -> str:
    """Return a table as Markdown, with units in its header; of its `columns` these, or all."""
    return markdown(rows, {name: Column(units.get(name, ""), "") for name in columns or rows}) if len(rows) else ""


def percent(share: float, form: str = ".2g") -> str:
    """Return a share as a number of percent."""
    return words.number(100 * share, form)


def between(loop: Any) -> str:
    """Return what follows an item of a list in a sentence: a comma, 'and' before the last one, nothing after it."""
    return "" if loop.last else " and" if loop.revindex == 2 else ","


@cache
def _environment() -> Environment:
    # The text is Markdown: the page escapes it.
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
