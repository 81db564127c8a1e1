"""The tables of a paper: those of the report, with the columns that a page has room for.

In: the tables of summary and statistics. Out: floats of LaTeX by name, each with n, interval and control in its
caption. Cells are those of the report, so that both say the same. A table without rows is a comment.
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
# Between a caption and its table: room, and how narrow it is set.
STYLE = r"\vspace{4pt}\footnotesize\setlength{\tabcolsep}{4pt}"


@dataclass(frozen=True)
class Shown:
    """A table: its caption, with names in braces; its columns by the report's heads, with their own; and its rows.

    `kinds`: those of the columns, as `tabular` of LaTeX takes them; `place`: that among all tables.
    """

    caption: str
    heads: dict[str, str]
    kinds: str
    rows: Callable[[Tables, Names], pd.DataFrame]
    environment: str = "tabular"
    _: KW_ONLY
    place: int


def parts() -> list[ModuleType]:
    """Return what each question has of a paper, in their order."""
    asked = [name for name, question in extensions.questions().items() if question.paper is not None]
    return [import_module(f"..questions.{name}.paper", __package__) for name in asked]


def known() -> dict[str, Shown]:
    """Return the tables of all questions by name, in their order."""
    found = {table: shown for part in parts() for table, shown in getattr(part, "TABLES", {}).items()}
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def texts(tables: Tables, names: Names, said: Mapping[str, str]) -> dict[str, str]:
    """Return name -> LaTeX of every table; `said` is what stands for names in captions."""
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
    # No float: it runs over pages, and where a text has two columns it stands behind \onecolumn.
    begin, _, rest = body.partition("\n")
    return "\n".join([r"{\scriptsize", begin, rf"{caption}\\", rest, "}", ""])
