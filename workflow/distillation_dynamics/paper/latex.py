"""Text and tables as LaTeX: everything escaped, tables with booktabs rules."""

import re
from collections.abc import Mapping

import pandas as pd

ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
}  # fmt: skip
# A hyphen before a number is a minus sign, unless it is between two numbers.
SIGN = re.compile(r"(?<![\w.\])])-(?=\.?\d)")
POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([-+]\d+)\b")
# "<= " after escaping.
AT_MOST = rf"{ESCAPED['<']}= "
# Environment of a table over several pages.
LONG = "longtable"


def escape(text: str) -> str:
    """Return text that LaTeX prints literally; characters outside Latin-1 are given by code point."""
    return "".join(ESCAPED.get(letter, letter if ord(letter) < 256 else f"[U+{ord(letter):04X}]") for letter in text)


def words(text: str) -> str:
    """Return escaped text with typographic minus signs, powers of ten and "at most"."""
    text = SIGN.sub(r"\(-\)", escape(text)).replace(AT_MOST, r"\(\leq\) ")
    return POWER.sub(lambda found: rf"\({found[1]}\times10^{{{int(found[2])}}}\)", text)


def cell(text: str) -> str:
    """Return the words of a narrow column; long names may break after their parts."""
    return words(text).replace(r"\_", r"\_\allowbreak{}")


def comment(text: str) -> str:
    """Return text as one line of comment."""
    return f"% {' '.join(text.split())}"


def tabular(table: pd.DataFrame, heads: Mapping[str, str], kinds: str, environment: str = "tabular") -> str:
    """Return the columns of a table in `heads` as a tabular with booktabs rules; `kinds` are LaTeX's."""
    # Narrow columns are set ragged right.
    kinds = kinds.replace("p{", r">{\raggedright\arraybackslash}p{")
    top = [r"\toprule", " & ".join(map(words, heads.values())) + r" \\", r"\midrule"]
    lines = [
        rf"\begin{{{environment}}}{{@{{}}{kinds}@{{}}}}",
        # The header of a table over several pages is repeated on each; text before it appears only on the first.
        *([*top, r"\endfirsthead", *top, r"\endhead"] if environment == LONG else top),
        *(" & ".join(cell(str(value)) for value in row) + r" \\" for row in table[list(heads)].itertuples(index=False)),
        r"\bottomrule",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines)


def captioned(label: str, caption: str) -> str:
    """Return a caption with the label for references."""
    return rf"\caption{{{words(caption)}}}\label{{{label}}}"


def floating(kind: str, *parts: str) -> str:
    """Return a LaTeX float (`table` or `figure`, with * over both columns) with parts one below another."""
    return "\n".join([rf"\begin{{{kind}}}[tp]", r"\centering", *parts, rf"\end{{{kind}}}", ""])
