"""Documents and code keep to docs/style.md: none has a sentence that it replaces, or a word that it avoids."""

import re

from conftest import ROOT

GUIDE = "docs/style.md"
# Findings, plan and default study are records of what was done, and quote it.
RECORDS = ("docs/findings.md", "docs/protocol.md", "docs/default_study.md")
AVOIDED = (
    *(r"\bstands? (beside|here|there|under|at)\b", r"\btold from\b", r"\bheld against\b", r"\banew\b", r"\breckoned\b"),
    *(
        r"\bknown again\b",
        r"\bwithout a network\b",
        r"\bno network is needed\b",
        r"\bsaid to be\b",
        r"\bso many \w+ as\b",
    ),
)
# In code "a job without a network" is a job without a model.
IN_CODE = (
    *(one for one in AVOIDED if "network" not in one),
    *(r"\bof which none\b", r"\b[Ww]hat nobody\b", r"\bis told from\b", r"\ban? (image|row|seed|line|job|block) a\b"),
)
# Figures and what they share are worded in their captions.
FIGURES = {"figures", "drawing"}


def documents():
    """Every document but the guide itself: path -> text with line breaks as spaces, without rows of tables."""
    paths = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - {GUIDE, *RECORDS} | {
        *("README.md", "CONTRIBUTING.md", "resources/glossary.md", "studies/README.md")
    }
    texts = {path: (ROOT / path).read_text(encoding="utf-8").splitlines() for path in sorted(paths)}
    return {path: " ".join(line for line in lines if not line.startswith("|")) for path, lines in texts.items()}


def test_no_document_has_a_sentence_that_the_guide_replaces():
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (ROOT / GUIDE).read_text(encoding="utf-8"), re.MULTILINE)
    before = [row for row in rows if row not in ("before", "---")]
    assert len(before) > 12
    assert [(path, row) for path, text in documents().items() for row in before if row.rstrip(".") in text] == []


def test_no_document_has_a_word_that_the_guide_avoids():
    found = [(path, match) for path, text in documents().items() for one in AVOIDED for match in re.findall(one, text)]
    assert found == []


def test_the_guide_is_a_page_and_linked():
    assert len((ROOT / GUIDE).read_text(encoding="utf-8").splitlines()) < 60
    assert f"({GUIDE})" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_no_code_or_template_has_a_word_that_the_guide_avoids():
    paths = [path for suffix in ("py", "j2", "smk") for path in (ROOT / "workflow").rglob(f"*.{suffix}")]
    texts = {path.relative_to(ROOT): " ".join(path.read_text(encoding="utf-8").split()) for path in paths}
    read = {path: text for path, text in texts.items() if not FIGURES & set(path.parts)}
    assert len(read) > 300
    assert [(path, one) for path, text in read.items() for one in IN_CODE if re.search(one, text)] == []
