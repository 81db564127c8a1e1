"""Renders the report's section on a question from tables made up by a test."""

from distillation_dynamics import extensions
from distillation_dynamics.report import document
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.statistics.evidence import Evidence
from made_up import arms

# A study of one teacher whose baseline is called soft.
SOFT = Names(("cait",), {}, "cait", arms("soft", "last"), {"student": "soft"})


def said(question, names=SOFT, **tables):
    """The paragraphs of a question's section, the answer first."""
    section = _section(question, names, tables)
    return list(filter(None, [section.answer, *section.paragraphs]))


def methods(question, names=SOFT, **tables):
    """What is said of how a question was asked."""
    return " ".join(_section(question, names, tables).methods)


def _section(question, names, tables):
    return document.section(question, extensions.questions()[question], Evidence(tables, names))
