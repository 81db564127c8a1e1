"""The whole page: summary, panels with the report's text, printed figures, and data for the script."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import Any

from .. import extensions
from ..ranking import MOST
from .html import render
from .leading import leading, u_shaped
from .panel import FADE, HIDE, Chart, PageData, Panel
from .panels import beside, blocks, cost, dynamics, paper, place, provenance, spectra, variants
from .pictures import figure
from .rows import packed

OWN = paper, beside, blocks, cost, dynamics, place, provenance, spectra, variants

# The report's header on the page: its title, and its position among the questions.
STUDY, PLACE_OF_STUDY = "What this study is of", 22
# Variants shown initially on either side of the baseline.
FURTHEST = 2


@dataclass(frozen=True)
class Part:
    """A section of the page: the report's text, a panel, or both; sorted by `place`."""

    id: str
    title: str
    place: int
    section: dict[str, Any] | None = None
    panel: Panel | None = None


def panels(data: PageData) -> list[Panel]:
    """Return the panels with data in a study; those of questions at their questions' positions."""
    asked = {name: question for name, question in extensions.questions().items() if question.panel}
    modules = {name: import_module(f"..questions.{name}.panel", __package__) for name in asked}
    found = [replace(one, place=asked[name].place) for name, module in modules.items() for one in module.panels(data)]
    found += [panel for module in OWN for panel in module.panels(data)]
    if len(data.names.trained) > MOST:
        found = [replace(panel, charts=tuple(map(_of_many, panel.charts))) for panel in found]
    return sorted(found, key=lambda panel: panel.place)


def _of_many(chart: Chart) -> Chart:
    """Return a chart that hides what is not chosen, where faded rows would be many."""
    return replace(chart, follow=HIDE) if chart.follow == FADE else chart


def parts(found: list[Panel], sections: list[dict[str, Any]]) -> list[Part]:
    """Return the parts of the page in reading order: the report's questions, with panels between.

    A panel goes with the report's section of the same title.
    """
    places = {question.title: question.place for question in extensions.questions().values()}
    # Sections that are not questions come last.
    last = max([*places.values(), *(panel.place for panel in found)], default=0) + 1
    by_title = {panel.title: panel for panel in found}
    written = []
    for section in sections:
        title = section["title"] or STUDY
        panel = by_title.pop(title, None)
        place = places.get(title, last) if section["title"] else PLACE_OF_STUDY
        own = slug(title) if section["title"] else "study"
        written.append(Part(panel.id if panel else own, title, place, section, panel))
    written += [Part(panel.id, panel.title, panel.place, panel=panel) for panel in by_title.values()]
    return sorted(written, key=lambda part: part.place)


def head_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return the table describing the study as a section without a title."""
    return {"title": "", "answer": "", "sources": "", "paragraphs": [report["study"]], "methods": []}


def page(
    data: PageData,
    report: dict[str, Any],
    figures: Mapping[str, tuple[str, str]],
    looks: dict[str, Any],
    assets: Mapping[str, str],
) -> str:
    """Return index.html.

    `report`: content of report.json; `figures`: name -> PNG, what it shows; `looks`: see `looks.looks`; `assets`: files
    of `assets/`, with style and scripts, vega.js and glossary.md.
    """
    found = panels(data)
    drawn = {name for panel in found for name in panel.figures}
    for_script = {
        "tables": {name: packed(table) for panel in found for name, table in panel.tables.items()},
        "panels": [
            {"id": panel.id, "charts": list(map(asdict, panel.charts)), "controls": list(map(asdict, panel.controls))}
            for panel in found
            if panel.charts
        ],
        "looks": looks,
        "start": start(data),
    }
    return render(
        "page.html.j2",
        title=report["title"],
        names=data.names,
        most=MOST,
        summary=report["summary"],
        parts=parts(found, [head_of(report), *report["sections"]]),
        figures={name: {"image": figure(path, shows), "shows": shows} for name, (path, shows) in figures.items()},
        other_figures=[name for name in figures if name not in drawn],
        assets=assets,
        # Without its title, which the section has.
        glossary=assets["glossary.md"].partition("\n")[2],
        for_script=for_script,
    )


def start(data: PageData) -> list[str]:
    """Return who is shown initially: all if few; else the teacher, the baseline and the largest differences from it.

    Networks in which a published metric is U-shaped are among them: one asks for the U, and sees it. Of many those in
    which most are.
    """
    names, first = data.names, leading(data)
    shaped = [name for name in u_shaped(data) if name in first]
    if len(names.trained) <= 2 * FURTHEST + 2:
        return list(names.trained)
    if not names.variants:
        return list(dict.fromkeys([*names.trained[: 2 * FURTHEST + 2], *shaped]))
    furthest = list(names.variants[: 2 * FURTHEST + 1])
    if data.has("variants", "mean_difference"):
        ordered = data.tables["variants"].dropna(subset=["mean_difference"]).sort_values("mean_difference")["variant"]
        furthest = [*ordered.head(FURTHEST), *ordered.tail(FURTHEST)]
    chosen = {names.reference, *names.baselines.values(), *furthest, *shaped}
    return [name for name in names.trained if name in chosen]


def slug(title: str) -> str:
    """Return a title as an anchor of the page."""
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")
