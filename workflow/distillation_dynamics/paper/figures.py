"""Figures for a paper: each as it was drawn, at its own width, with its caption in a file that can be taken over.

In: PDFs of the figures stage and their captions. Out: LaTeX. A figure that was drawn as wide as a column stands in
one; a wider one spans the page.
"""

import re

from .latex import captioned, floating

# Points, the unit of a PDF: columns of two-column papers are up to 3.5 inches wide.
COLUMN = 3.5 * 72
BOX = re.compile(rb"/MediaBox\s*\[\s*[-\d.]+\s+[-\d.]+\s+([\d.]+)\s+([\d.]+)\s*\]")


def width_of(pdf: bytes) -> float | None:
    """Return the width of a PDF's first page in points; None where it does not say it in plain words."""
    found = BOX.search(pdf)
    return float(found[1]) if found else None


def figure(name: str, pdf: bytes, caption: str) -> str:
    """Return the float of a figure that lies in `figures/<name>.pdf`, at column width where it was drawn so."""
    width = width_of(pdf)
    narrow = width is not None and width <= COLUMN
    across = "column" if narrow else "text"
    size = rf"width=\{across}width,height=0.8\textheight,keepaspectratio"
    body = rf"\includegraphics[{size}]{{figures/{name}.pdf}}"
    return floating("figure" if narrow else "figure*", body, captioned(f"fig:{name}", caption))
