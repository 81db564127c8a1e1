"""Builds the graph of a study."""

from ..study.study import Study
from . import gathered, measured, trained
from .content import Content
from .graph import Graph


def build_graph(study: Study, content: Content, results: str = "results") -> Graph:
    """Return all tasks of a study: networks first, then measurements, then tables, report and figures."""
    graph = Graph(study, content, results)
    trained.add(graph)
    measured.add(graph)
    gathered.add(graph)
    return graph
