"""Whether a measure before training predicts the effect of aligning a pair: `python -m
distillation_dynamics.foresight`.

In: folders of two or more finished studies. Out, in the folder of `--out`: `pairs.parquet`, one row per pair that a
study aligned alone, and `foresight.parquet`, one row per predictor; and a summary in a few lines. Imports no torch.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import StudyError
from ..files import write_table
from ..words import listed, plural, with_interval
from . import pairs, ranks

HEADS = "predictor", "sign", "correlation", "minus early", "studies", "pairs", "other than depth"
NOTE = """\
Correlation: Spearman's with the effect in the study left out, its sign from the others; mean over studies and
95 % t interval. Pairs of one study share students and teacher: the unit is the study, few give wide intervals.
Other than depth: studies in which it orders pairs neither as their depth does nor just the other way; in the rest
it is the rule `early`, or its opposite, under another name."""


def gathered(folders: Sequence[Path]) -> pd.DataFrame:
    """Return the pairs of studies; raise StudyError if one is unfinished or given twice, or none can be left out."""
    studies = [pairs.read(folder) for folder in folders]
    names = [study.name for study in studies]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise StudyError(f"{listed(twice)}: is given twice; give each study once")
    if len(studies) < 2:
        raise StudyError(f"{folders[0]}: of one study alone none can be left out; give two or more")
    found = {name: own for study, name in zip(studies, names, strict=True) if len(own := pairs.pairs_of(study))}
    if len(found) < 2:
        raise StudyError(
            f"{listed(names)}: {'none aligns' if not found else f'only {listed(found)} aligns'} a pair of blocks alone "
            "and towards the teacher; give two studies or more that do"
        )
    return pd.concat(found.values(), ignore_index=True)


def said(found: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return the table in words, one line per predictor."""
    rows = [HEADS]
    for row in table.to_dict("records"):
        value = with_interval(row["correlation"], row["low"], row["high"], "+")
        less = with_interval(row["less_early"], row["less_early_low"], row["less_early_high"], "+")
        sign = {1: "+", -1: "-", 0: "none"}[row["sign"]]
        counts = (
            f"{row['tested']} of {row['studies']}",
            str(row["pairs"]),
            f"{row['other_than_depth']} of {row['computed']}",
        )
        rows.append((row["predictor"], sign, value, less, *counts))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    of_each = listed(f"{name} ({count})" for name, count in found["study"].value_counts(sort=False).items())
    return "\n".join([f"{plural(len(found), 'pair')} of {of_each}", *lines, NOTE])


def main(arguments: list[str]) -> str | None:
    """Run on the studies of a command; return the error sentence, None on success."""
    parser = argparse.ArgumentParser(
        prog="python -m distillation_dynamics.foresight", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("studies", type=Path, nargs="+", help="folders of finished studies, results/<study>")
    parser.add_argument("--out", type=Path, required=True, help="folder of pairs.parquet and foresight.parquet")
    given = parser.parse_args(arguments)
    try:
        found = gathered(given.studies)
        table = ranks.table(found)
        if given.out.exists() and not given.out.is_dir():
            raise StudyError(f"--out: {given.out} is a file; name a folder")
        for name, rows, columns in (("pairs", found, pairs.PAIR_COLUMNS), ("foresight", table, ranks.COLUMNS)):
            write_table(given.out / f"{name}.parquet", {column: rows[column] for column in columns}, columns)
    except StudyError as error:
        return f"error: {error}"
    print(f"{said(found, table)}\n{given.out}: pairs.parquet, foresight.parquet")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
