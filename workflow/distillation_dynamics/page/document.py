"""The page as a whole: panels with what the report says, answers in front, printed figures, and data for the script."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any

from .. import extensions
from .html import render
from .panel import PageData, Panel
from .panels import blocks, cost, dynamics, place, provenance, saliency, spectra
from .pictures import figure
from .rows import packed

CAN_SHOW = "What this study can show"
# So many variants on either side of the baseline are shown at the start.
FURTHEST = 2


def panels(data: PageData) -> list[Panel]:
    """Return the panels that a study has something for, those of questions among them, in the order of reading."""
    asked = [name for name, question in extensions.questions().items() if question.panel]
    modules = [import_module(f"..questions.{name}.panel", __package__) for name in asked]
    modules += [dynamics, spectra, blocks, place, saliency, cost, provenance]
    found = [panel for module in modules for panel in module.panels(data)]
    return sorted(found, key=lambda panel: panel.place)


def page(
    data: PageData,
    report: dict[str, Any],
    figures: Mapping[str, tuple[str, str]],
    looks: dict[str, Any],
    assets: Mapping[str, str],
) -> str:
    """Return index.html.

    `report`: what report.json holds; `figures`: name -> PNG, what it shows; `looks`: see `looks.looks`; `assets`:
    page.css, page.js and vega.js.
    """
    found = panels(data)
    sections = {section["title"]: section for section in report["sections"]}
    places = {title: slug(title) for title in sections} | {panel.answer: panel.id for panel in found}
    written = {"", CAN_SHOW, *(panel.answer for panel in found)}
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
        title=report["title"].removesuffix(": report"),
        names=data.names,
        panels=found,
        sections=sections,
        places=places,
        can_show=CAN_SHOW,
        others=[section for title, section in sections.items() if title not in written],
        figures={name: {"image": figure(path, shows), "shows": shows} for name, (path, shows) in figures.items()},
        other_figures=[name for name in figures if name not in drawn],
        assets=assets,
        for_script=for_script,
    )


def start(data: PageData) -> list[str]:
    """Return who is shown at the start: all of few; of many the teacher, the baseline, what differs most from it."""
    names = data.names
    if len(names.trained) <= 2 * FURTHEST + 2:
        return list(names.trained)
    if not names.variants:
        return list(names.trained[: 2 * FURTHEST + 2])
    furthest = list(names.variants[: 2 * FURTHEST + 1])
    if data.has("variants", "mean_difference"):
        ordered = data.tables["variants"].dropna(subset=["mean_difference"]).sort_values("mean_difference")["variant"]
        furthest = [*ordered.head(FURTHEST), *ordered.tail(FURTHEST)]
    chosen = {names.reference, *names.baselines.values(), *furthest}
    return [name for name in names.trained if name in chosen]


def slug(title: str) -> str:
    """Return a title as the name of a place of the page."""
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")
