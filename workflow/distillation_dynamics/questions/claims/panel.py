"""Panel: the papers' claims as a table."""

from ...page.html import render
from ...page.panel import PageData, Panel
from . import TITLE
from ._finding import CONTRADICTED, NOT_SEEN, NOT_TESTABLE, SUPPORTED
from .answer import verdict_of

BADGES = {SUPPORTED: "yes", CONTRADICTED: "no", NOT_SEEN: "open", NOT_TESTABLE: "none"}


def panels(data: PageData) -> list[Panel]:
    """Return the panel on claims; none without any."""
    if not data.has("claims"):
        return []
    claims = [row | {"said": verdict_of(row)} for row in data.tables["claims"].to_dict("records")]
    return [Panel("claims", TITLE, body=render("claims.html.j2", claims=claims, badges=BADGES))]
