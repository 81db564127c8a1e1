"""Text and tables as LaTeX: everything escaped, tables with booktabs rules."""

import re
from collections.abc import Mapping

import pandas as pd

ESCAPED = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
}  # fmt: skip
# A hyphen before a number is its sign, unless it stands between two.
SIGN = re.compile(r"(?<![\w.\])])-(?=\.?\d)")
POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([-+]\d+)\b")
# "<= " once it is escaped.
AT_MOST = rf"{ESCAPED['<']}= "
# The environment of a table that runs over pages.
LONG = "longtable"


def escape(text: str) -> str:
    """Return text that LaTeX sets as it is; what Latin-1 does not hold is named by its code point."""
    return "".join(ESCAPED.get(letter, letter if ord(letter) < 256 else f"[U+{ord(letter):04X}]") for letter in text)


def words(text: str) -> str:
    """Return escaped text whose negative numbers have a minus sign, and powers of ten and "at most" theirs."""
    text = SIGN.sub(r"\(-\)", escape(text)).replace(AT_MOST, r"\(\leq\) ")
    return POWER.sub(lambda found: rf"\({found[1]}\times10^{{{int(found[2])}}}\)", text)


def cell(text: str) -> str:
    """Return the words of a narrow column: a long name may be broken at the ends of its parts."""
    return words(text).replace(r"\_", r"\_\allowbreak{}")


def comment(text: str) -> str:
    """Return text as one line of comment."""
    return f"% {' '.join(text.split())}"


def tabular(table: pd.DataFrame, heads: Mapping[str, str], kinds: str, environment: str = "tabular") -> str:
    """Return the columns of a table that `heads` names, as a tabular with booktabs rules; `kinds` are LaTeX's."""
    # Of a narrow column words are set ragged.
    kinds = kinds.replace("p{", r">{\raggedright\arraybackslash}p{")
    top = [r"\toprule", " & ".join(map(words, heads.values())) + r" \\", r"\midrule"]
    lines = [
        rf"\begin{{{environment}}}{{@{{}}{kinds}@{{}}}}",
        # Of a table that runs over pages the head stands on each of them, what is put before it on the first alone.
        *([*top, r"\endfirsthead", *top, r"\endhead"] if environment == LONG else top),
        *(" & ".join(cell(str(value)) for value in row) + r" \\" for row in table[list(heads)].itertuples(index=False)),
        r"\bottomrule",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines)


def captioned(label: str, caption: str) -> str:
    """Return a caption and the label by which a text refers to it."""
    return rf"\caption{{{words(caption)}}}\label{{{label}}}"


def floating(kind: str, *parts: str) -> str:
    """Return a float of LaTeX (`table` or `figure`, or over both columns with *) of parts below one another."""
    return "\n".join([rf"\begin{{{kind}}}[tp]", r"\centering", *parts, rf"\end{{{kind}}}", ""])
