"""Tables of a paper: those of the report, with the columns that fit a page.

In: the tables of summary and statistics. Out: LaTeX floats by name, each with n, interval and control in its caption.
Cells are those of the report, so both agree. A table without rows is a comment.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from importlib import import_module
from types import ModuleType

import pandas as pd

from .. import extensions
from ..spec.tables import Names
from .captions import filled
from .latex import LONG, captioned, comment, floating, tabular

Tables = Mapping[str, pd.DataFrame]
# Space between caption and table, and size of the table.
STYLE = r"\vspace{4pt}\footnotesize\setlength{\tabcolsep}{4pt}"


@dataclass(frozen=True)
class Shown:
    """A table: caption with names in braces; columns by the report's headers, with their own; rows.

    `kinds`: column types for LaTeX's `tabular`; `place`: position among all tables.
    """

    caption: str
    heads: dict[str, str]
    kinds: str
    rows: Callable[[Tables, Names], pd.DataFrame]
    environment: str = "tabular"
    _: KW_ONLY
    place: int


def parts() -> list[ModuleType]:
    """Return each question's part of a paper, in order."""
    asked = [name for name, question in extensions.questions().items() if question.paper is not None]
    return [import_module(f"..questions.{name}.paper", __package__) for name in asked]


def known() -> dict[str, Shown]:
    """Return the tables of all questions by name, in order."""
    found = {table: shown for part in parts() for table, shown in getattr(part, "TABLES", {}).items()}
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def texts(tables: Tables, names: Names, said: Mapping[str, str]) -> dict[str, str]:
    """Return name -> LaTeX of every table; `said`: the names in captions."""
    found = {}
    for name, shown in known().items():
        rows = shown.rows(tables, names)
        found[name] = _float(name, shown, rows, said) if len(rows) else comment("This study has no rows of it.") + "\n"
    return found


def _float(name: str, shown: Shown, rows: pd.DataFrame, said: Mapping[str, str]) -> str:
    caption = captioned(f"tab:{name}", filled(shown.caption, said))
    body = tabular(rows, shown.heads, shown.kinds, shown.environment)
    if shown.environment != LONG:
        return floating("table*", caption, STYLE, body)
    # Not a float: it runs over pages, and in a two-column document it needs \onecolumn.
    begin, _, rest = body.partition("\n")
    return "\n".join([r"{\scriptsize", begin, rf"{caption}\\", rest, "}", ""])
