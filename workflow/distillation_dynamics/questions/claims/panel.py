"""The papers' claims one by one, as a table."""

from ...page.html import render
from ...page.panel import PageData, Panel
from . import TITLE
from .finding import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTABLE

BADGES = {SUPPORTED: "yes", CONTRADICTED: "no", UNDECIDED: "open", UNTESTABLE: "none"}


def panels(data: PageData) -> list[Panel]:
    """Return the panel on claims; none where none was looked at."""
    if not data.has("claims"):
        return []
    claims = data.tables["claims"].to_dict("records")
    return [Panel("claims", TITLE, body=render("claims.html.j2", claims=claims, badges=BADGES), place=30)]
