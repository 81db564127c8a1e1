"""Every relative link of the documents leads to a file, and every anchor to a heading."""

import re

from conftest import ROOT

DOCUMENTS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("resources/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(path):
    """The anchors of a document's headings, as they are made of them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path):
    """The links of a document that lead nowhere."""
    found = []
    for link in LINK.findall(path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


def test_links_lead_somewhere():
    assert len(DOCUMENTS) > 10
    assert {str(path.relative_to(ROOT)): links for path in DOCUMENTS if (links := broken(path))} == {}


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "a.md"
    page.write_text(
        "# One heading, here\n[a](a.md) [b](b.md) [c](#one-heading-here) [d](#other) [e](https://example.org)"
    )
    assert broken(page) == ["b.md", "#other"]
