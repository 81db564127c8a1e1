"""Numbers that README and docs quote are those of the committed tables, which a study of the repository made.

A table in a document that quotes is preceded by a comment that names its source and columns:
`<!-- docs/results/default/variants.parquet: variant, mean_difference +.2f, low +.2f -->`. Its first column is the key
of a row. Numbers in the sentences around must stand in one of these tables.
"""

import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from conftest import ROOT

# Document -> the heading of the section that quotes; None: all of it does.
QUOTING = {"docs/default_study.md": "## What it found", "docs/findings.md": None}
# Margins of docs/protocol.md, which a test does not measure.
PLANNED = {".15", ".2"}
COMMENT = re.compile(r"<!-- (?P<source>docs/results/\S+\.parquet): (?P<columns>[^>]+) -->\n\n?(?P<table>(?:\|.*\n)+)")
# Of sentences: numbers with a fraction, which no count, epoch or name of a block has.
NUMBER = re.compile(r"(?<![\w.])[-+]?\d*\.\d+")


def part_of(document):
    """The text of a document, or its section, that quotes results."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if QUOTING[document] is None:
        return text
    start = text.index(QUOTING[document])
    return text[start : text.index("\n## ", start + 1)]


def quoted(document):
    """(source, column and format pairs, rows of cells) of every table that quotes."""
    for found in COMMENT.finditer(part_of(document)):
        columns = [tuple(entry.split()) for entry in found["columns"].split(",")]
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in found["table"].splitlines()]
        yield found["source"], columns, lines[2:]


def said(value, form):
    """A value as a cell says it; `pc` is a share in percent."""
    if isinstance(value, float) and pd.isna(value):
        return "-"
    return f"{100 * value:.0f}" if form == "pc" else f"{value:{form}}"


@pytest.mark.parametrize("document", QUOTING)
def test_every_quoted_table_is_that_of_the_committed_results(document):
    tables = list(quoted(document))
    assert tables
    for source, columns, rows in tables:
        # Studies of before say "less" in the names of comparisons.
        table = pd.read_parquet(ROOT / source).replace(" less ", " minus ", regex=True)
        assert rows, source
        for cells in rows:
            assert len(cells) == len(columns), cells
            key = columns[0][0]
            found = table[table[key].astype(str) == cells[0].strip("*`")]
            expected = [
                [said(row[name], *form) if form else str(row[name]) for name, *form in columns[1:]]
                for row in found.to_dict("records")
            ]
            assert cells[1:] in expected, f"{document}, {source}: {cells} is not among {expected}"


@pytest.mark.parametrize("document", QUOTING)
def test_every_number_in_the_sentences_stands_in_a_quoted_table(document):
    text = part_of(document)
    cells = {cell for _, _, rows in quoted(document) for row in rows for cell in row}
    known = {number.lstrip("+") for cell in cells for number in NUMBER.findall(cell)} | PLANNED
    prose = "\n".join(line for line in COMMENT.sub("", text).splitlines() if not line.startswith("    "))
    unknown = [number for number in NUMBER.findall(re.sub(r"`[^`]*`", "", prose)) if number.lstrip("+") not in known]
    assert unknown == []


def test_numbers_of_the_readme_stand_in_a_table_that_another_document_quotes():
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What it costs")[0]
    cells = {cell for document in QUOTING for _, _, rows in quoted(document) for row in rows for cell in row}
    known = {number.lstrip("+") for cell in cells for number in NUMBER.findall(cell)} | PLANNED
    said = {number.lstrip("+") for number in NUMBER.findall(re.sub(r"`[^`]*`|\([^)]*\)", "", text))}
    assert said and said <= known


def test_margins_are_those_of_the_protocol():
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    assert "**Effects that matter**: .15 points" in text and "rises by at most .2 points an epoch" in text


def test_the_committed_results_say_what_made_them():
    for folder in (ROOT / "docs/results").iterdir():
        if (folder / "study.json").exists():
            study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
            commit, machine = study["commit"]["hash"], study["machine"]
            assert study["commit"]["clean"]
        else:
            text = (folder / "report.md").read_text(encoding="utf-8")
            commit, machine = (re.search(rf"\| {row} \| (.+) \|", text)[1] for row in ("commit", "machine"))
        assert re.fullmatch("[0-9a-f]{40}", commit) and machine
        assert sum(file.stat().st_size for file in folder.iterdir()) < 5e6


def test_the_six_seeds_of_the_earlier_default_are_those_of_the_study_of_twenty():
    rows = pd.read_parquet(ROOT / "docs/results/full/differences.parquet")
    aligned = rows[~rows["variant"].isin(["none", "hard"])]
    values = aligned.groupby("seed")["difference"].mean().to_numpy()
    table = pd.read_parquet(ROOT / "docs/results/full/six_seeds.parquet")
    assert table["mean_difference"].to_numpy() == pytest.approx([values[:6].mean(), values[6:].mean()])
    total, choices = values.sum(), list(combinations(range(20), 6))
    gaps = np.array([abs(values[list(six)].mean() - (total - values[list(six)].sum()) / 14) for six in choices])
    share = (gaps >= gaps[0] - 1e-12).mean()
    assert table["p"].to_numpy() == pytest.approx([share, share])


def test_the_mean_over_teachers_is_that_of_their_differences():
    folder = ROOT / "docs/results/strong_teacher"
    values = pd.read_parquet(folder / "differences.parquet").pivot(index="seed", columns="variant", values="difference")
    table = pd.read_parquet(folder / "teachers.parquet").set_index("variant")
    for variant, row in table.iterrows():
        both = values[[variant, f"{variant}_b"]]
        expected = [row["mean"], row["low_seeds"], row["high_seeds"]]
        assert [both.to_numpy().mean(), *interval(both.mean(axis=1))] == pytest.approx(expected)
        assert list(interval(both.mean())) == pytest.approx([row["low_teachers"], row["high_teachers"]])


def interval(values):
    """The 95 % t interval of a mean."""
    return scipy.stats.t.interval(0.95, len(values) - 1, values.mean(), scipy.stats.sem(values))
