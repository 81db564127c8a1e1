"""Figures for a paper: each as drawn, at its own width, with its caption in an includable file.

In: PDFs of the figures stage and their captions. Out: LaTeX. A figure drawn at column width goes into a column; a wider
one spans the page.
"""

import re

from .latex import captioned, floating

# In points, the unit of PDF: columns of two-column papers are up to 3.5 inches wide.
COLUMN = 3.5 * 72
BOX = re.compile(rb"/MediaBox\s*\[\s*[-\d.]+\s+[-\d.]+\s+([\d.]+)\s+([\d.]+)\s*\]")


def width_of(pdf: bytes) -> float | None:
    """Return the width of a PDF's first page in points; None if it is not given in plain text."""
    found = BOX.search(pdf)
    return float(found[1]) if found else None


def figure(name: str, pdf: bytes, caption: str) -> str:
    """Return the float of the figure `figures/<name>.pdf`, in one column if it was drawn so."""
    width = width_of(pdf)
    narrow = width is not None and width <= COLUMN
    across = "column" if narrow else "text"
    size = rf"width=\{across}width,height=0.8\textheight,keepaspectratio"
    body = rf"\includegraphics[{size}]{{figures/{name}.pdf}}"
    return floating("figure" if narrow else "figure*", body, captioned(f"fig:{name}", caption))
