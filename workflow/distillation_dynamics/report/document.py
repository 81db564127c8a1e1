"""The whole report: a summary of one screen, the answer to each question, and the methods of its tests.

In: the tables of a study. Out: `summary.md`, `report.md`, `methods.md`, and all of it in `report.json`, in Markdown. A
question names its figures, its tables and what would decide it; `answer.md.j2` has the words of its answer, and
`methods.md.j2`, if any, those on its tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from ..extensions import Question
from ..spec.tables import INDEX, REPORT_FILES
from ..statistics.evidence import Evidence
from ..words import listed
from . import head, summary
from .templates import is_template, rendered

PAGE = f"../{INDEX}"


@dataclass(frozen=True)
class Section:
    """A question: `answer` in one sentence, the paragraphs below it, figures and tables, and its methods.

    A section that is not a question has no sources.
    """

    title: str
    answer: str
    paragraphs: tuple[str, ...]
    sources: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """The content of a report: `made` and `study` are the tables at the head of report and methods.

    `left_out`: titles of questions that do not apply.
    """

    title: str
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    made: str
    study: str
    left_out: tuple[str, ...]


def report_of(
    questions: Mapping[str, Question], evidence: Evidence, study: dict[str, Any] | None, notes: Sequence[str]
) -> Report:
    """Return the report; `study`: content of study.json, None if missing; `notes`: remarks on the images.

    A question with an empty answer has no section.
    """
    asked = {name: one for name, one in questions.items() if evidence.names.baselines or not one.requires}
    sections = [section(name, question, evidence) for name, question in asked.items()]
    return Report(
        study["name"] if study else "Study",
        summary.paragraphs(evidence),
        tuple(one for one in sections if one.answer or one.paragraphs),
        head.short(study, evidence.tables["runs"], evidence.tables["cost"]),
        head.table(study, evidence.tables["runs"], evidence.tables["cost"], notes),
        tuple(question.title for name, question in questions.items() if name not in asked),
    )


def section(name: str, question: Question, evidence: Evidence) -> Section:
    """Return the section of a question, with the answer apart from the rest."""
    folder = f"questions/{name}"
    facts = import_module(f"..questions.{name}.answer", __package__).facts(evidence)
    paragraphs = rendered(f"{folder}/answer.md.j2", **facts)
    answered = paragraphs and paragraphs[0].startswith(("**", "- **"))
    answer, rest = (paragraphs[0], paragraphs[1:]) if answered else ("", paragraphs)
    methods = f"{folder}/methods.md.j2"
    how = rendered(methods, **facts) if rest and is_template(methods) else ()
    return Section(question.title, answer, tuple(rest), sources(question), how)


def sources(question: Question) -> str:
    """Return the sources of an answer, and what would decide the question; empty for a question without one."""
    if not question.decides:
        return ""
    figures = f"Figure{'s' * (len(question.figures) > 1)}: {listed(question.figures)}. " if question.figures else ""
    tables = listed([f"{name}.parquet" for name in question.sources])
    named = f"Table{'s' * (len(question.sources) > 1)}: {tables}. " if tables else ""
    return f"{figures}{named}What would decide: {question.decides}."


def texts(report: Report) -> dict[str, str]:
    """Return the files of a report, with links to each other."""
    answers, methods = [report.made], [report.study, "Every number of the report, with its unit: numbers.json."]
    for one in report.sections:
        answers += [f"## {one.title}", one.answer, *one.paragraphs]
        methods += [f"## {one.title}", one.sources, *one.methods] if one.sources or one.methods else []
    if report.left_out:
        answers.append(f"Not asked, since the study has no students: {listed(report.left_out)}.")
    parts = dict(zip(REPORT_FILES, (report.summary, answers, methods), strict=True))
    return {file: _file(report.title, file, paragraphs) for file, paragraphs in parts.items()}


def _file(title: str, name: str, paragraphs: Sequence[str]) -> str:
    links = [f"[{said}]({file})" for file, said in REPORT_FILES.items() if file != name]
    first = [f"# {title}: {REPORT_FILES[name].lower()}", " · ".join([*links, f"[Page]({PAGE})"])]
    return "\n\n".join(part.strip() for part in [*first, *paragraphs] if part) + "\n"


def for_machines(report: Report) -> dict[str, Any]:
    """Return report.json: the files' content, answers and paragraphs in Markdown."""
    return asdict(report)
