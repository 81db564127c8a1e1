r"""`main.tex`: a small document with the tables, figures, methods and sources of a study.

It compiles as it is (pdflatex, bibtex, pdflatex twice), and shows how to include the parts in a paper.
"""

from collections.abc import Iterable

from .. import extensions
from .latex import words

# LaTeX packages that the parts need.
PACKAGES = ("graphicx", "booktabs", "array", "longtable", "textcomp")
HEAD = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=0.87in]{geometry}
"""
# As many floats on a page as fit, in order, and room for all held back.
FLOATS = r"""\extrafloats{200}
\setcounter{topnumber}{9}
\setcounter{totalnumber}{9}
\renewcommand{\topfraction}{1}
\renewcommand{\textfraction}{0}
\renewcommand{\floatpagefraction}{0.5}"""


def document(title: str, tables: Iterable[str], figures: Iterable[str], cites: bool) -> str:
    """Return main.tex for the tables and figures with these names; `cites`: whether there are sources."""
    inputs = [r"\section{Methods}", *_inputs(["methods"])]
    inputs += [r"\section{Tables}", *_inputs(f"tables/{name}" for name in tables), r"\clearpage"]
    shown = _inputs(f"figures/{name}" for name in in_order(figures))
    inputs += [r"\section{Figures}", *shown, r"\clearpage"] if shown else []
    inputs += [r"\bibliographystyle{plain}", r"\bibliography{references}"] if cites else []
    lines = [
        *(rf"\usepackage{{{package}}}" for package in PACKAGES),
        FLOATS,
        r"\input{numbers}",
        rf"\title{{{words(title)}}}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        *inputs,
        r"\end{document}",
    ]
    return HEAD + "\n".join(lines) + "\n"


def in_order(figures: Iterable[str]) -> list[str]:
    """Return figures in the order of the questions that name them, then the others."""
    asked = [figure for question in extensions.questions().values() for figure in question.figures]
    return sorted(figures, key=lambda name: asked.index(name) if name in asked else len(asked))


def _inputs(names: Iterable[str]) -> list[str]:
    return [rf"\input{{{name}}}" for name in names]
