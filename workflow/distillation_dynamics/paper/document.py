r"""`main.tex`: a small document that puts tables, figures, methods and sources of a study together.

It compiles as it is (pdflatex, bibtex, pdflatex twice), and shows how a paper takes the parts over.
"""

from collections.abc import Iterable

from .latex import words

# What the parts need of LaTeX.
PACKAGES = ("graphicx", "booktabs", "array", "longtable", "textcomp")
HEAD = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=0.87in]{geometry}
"""


def document(title: str, tables: Iterable[str], figures: Iterable[str], cites: bool) -> str:
    """Return main.tex of the tables and figures with these names; `cites`: whether there is a source."""
    inputs = [r"\section{Methods}", *_inputs(["methods"])]
    inputs += [r"\section{Tables}", *_inputs(f"tables/{name}" for name in tables), r"\clearpage"]
    # LaTeX holds only so many floats back.
    shown = [line for name in figures for line in (*_inputs([f"figures/{name}"]), r"\clearpage")]
    inputs += [r"\section{Figures}", *shown] if shown else []
    inputs += [r"\bibliographystyle{plain}", r"\bibliography{references}"] if cites else []
    lines = [
        *(rf"\usepackage{{{package}}}" for package in PACKAGES),
        r"\input{numbers}",
        rf"\title{{{words(title)}}}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        *inputs,
        r"\end{document}",
    ]
    return HEAD + "\n".join(lines) + "\n"


def _inputs(names: Iterable[str]) -> list[str]:
    return [rf"\input{{{name}}}" for name in names]
