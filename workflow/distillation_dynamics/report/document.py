"""The report as a whole: its head, then what each question answers, in their order.

A question names its figures and tables and what would decide it; its answer, numbers and controls are its section's.
`report.md` and `report.json` are written from the same sections, whose paragraphs are Markdown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from ..extensions import Question
from ..statistics.evidence import Evidence
from ..words import listed
from . import head
from .templates import rendered

NO_STUDENTS = "**Cannot be asked: there are no students in this study.**"


@dataclass(frozen=True)
class Section:
    """A part of the report: `answer` in a sentence, where it comes from and what would decide it, and paragraphs.

    The head has no title; what asks nothing has no sources.
    """

    title: str
    answer: str
    sources: str
    paragraphs: tuple[str, ...]


def sections(
    questions: Mapping[str, Question], evidence: Evidence, study: dict[str, Any] | None, notes: Sequence[str]
) -> list[Section]:
    """Return the report; `study` is what study.json holds, None where it is not there; `notes` are on the images.

    A question of which nothing is said has no section.
    """
    first = head.section(study, evidence.tables["runs"], evidence.tables["cost"], notes)
    asked = [(question, said(name, question, evidence)) for name, question in questions.items()]
    return [Section("", "", "", tuple(first)), *(section(*one) for one in asked if one[1])]


def section(question: Question, paragraphs: Sequence[str]) -> Section:
    """Return the section of a question: its title, the answer, where it comes from, what would decide it, the rest."""
    answered = paragraphs[0].startswith(("**", "- **"))
    answer, rest = (paragraphs[0], paragraphs[1:]) if answered else ("", paragraphs)
    return Section(question.title, answer, sources(question), tuple(rest))


def said(name: str, question: Question, evidence: Evidence) -> Sequence[str]:
    """Return the paragraphs of a question, the answer first; that it cannot be asked where students are missing."""
    if question.requires and not evidence.names.baselines:
        return [NO_STUDENTS]
    answer = import_module(f"..questions.{name}.answer", __package__)
    return rendered(f"questions/{name}/answer.md.j2", **answer.facts(evidence))


def sources(question: Question) -> str:
    """Return the line below the answer; empty for what nothing decides."""
    if not question.decides:
        return ""
    figures = f"Figure{'s' * (len(question.figures) > 1)}: {listed(question.figures)}. " if question.figures else ""
    tables = listed([f"{name}.parquet" for name in question.sources])
    return f"{figures}Table{'s' * (len(question.sources) > 1)}: {tables}. What would decide: {question.decides}."


def title_of(study: dict[str, Any] | None) -> str:
    """Return what a report is called."""
    return f"{study['name'] if study else 'Study'}: report"


def report(title: str, parts: list[Section]) -> str:
    """Return report.md."""
    written = [f"# {title}"]
    for part in parts:
        written += [f"## {part.title}" if part.title else "", part.answer, part.sources, *part.paragraphs]
    written.append("The numbers of this report stand in numbers.json too, by table, with their units.")
    return "\n\n".join(part.strip() for part in written if part) + "\n"


def for_machines(title: str, parts: list[Section]) -> dict[str, Any]:
    """Return report.json: the same sections, their answers and paragraphs in Markdown."""
    return {"title": title, "sections": [asdict(part) for part in parts]}
