"""The page as a whole: head, choice of networks, answers, panels with what the report says, printed figures.

One file. Nothing outside it is asked for: a policy in its head forbids every request, whatever a script would try.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .html import Html, details, joined, of_markdown, tag
from .panel import PageData, Panel, named
from .panels import accuracy, cost, depth, pairs, place, provenance, published, saliency, spectra, training
from .pictures import figure
from .rows import as_json, packed

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
# Sections in the order of reading; a panel that is not named here comes before what it cost.
ORDER = (
    *("accuracy", "variants", "claims", "gain", "terms", "published", "dynamics", "shape", "spectra", "networks"),
    *("map", "alignment", "cka", "saliency"),
)
LAST = "cost", "provenance"
CAN_SHOW = "What this study can show"
# So many variants on either side of the baseline are shown at the start.
FURTHEST = 2


def panels(data: PageData) -> list[Panel]:
    """Return the panels that a study has something for, in the order of reading."""
    modules = accuracy, training, published, depth, spectra, pairs, place, saliency, cost, provenance
    found = {panel.id: panel for module in modules for panel in module.panels(data)}
    middle = [name for name in found if name not in (*ORDER, *LAST)]
    return [found[name] for name in (*ORDER, *middle, *LAST) if name in found]


def page(
    data: PageData, report: dict[str, Any], figures: Mapping[str, str], looks: dict[str, Any], assets: Mapping[str, str]
) -> str:
    """Return index.html.

    `report`: what report.json holds; `figures`: name -> PNG; `looks`: see `looks.looks`; `assets`: page.css, page.js
    and vega.js.
    """
    parts = panels(data)
    said = {section["title"]: section for section in report["sections"]}
    title = report["title"].removesuffix(": report")
    written = {panel.report for panel in parts}
    rest = [name for name in said if name and name not in {*written, CAN_SHOW}]
    drawn = {name for panel in parts for name in panel.figures}
    others = [name for name in figures if name not in drawn]
    links = [("answers", "The answers"), *((panel.id, panel.title) for panel in parts)]
    links += [("others", "Other printed figures")] if others else []
    sections = [*(_section(panel, said, figures) for panel in parts), *(_left(said[name]) for name in rest)]
    body = [
        tag("a", "Skip to the answers", href="#answers", class_="skip"),
        tag("header", tag("h1", f"Study: {title}"), tag("p", tag("strong", "What was asked. "), asked(data))),
        tag("aside", _chooser(data), _contents(links), aria_label="Choice of networks, and contents"),
        tag("main", *_front(said, parts), *sections, _others(others, figures)),
    ]
    for_script = {
        "tables": {name: packed(table) for panel in parts for name, table in panel.tables.items()},
        "panels": [_for_script(panel) for panel in parts if panel.charts],
        "looks": looks,
        "start": start(data),
    }
    head = joined([
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title}: distillation dynamics"),
        tag("style", Html(assets["page.css"])),
    ])  # fmt: skip
    scripts = [
        tag("script", Html(as_json(for_script)), type="application/json", id="page-data"),
        tag("script", Html(assets["vega.js"])),
        tag("script", Html(assets["page.js"])),
    ]
    whole = tag("html", tag("head", head), tag("body", *body, *scripts), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def asked(data: PageData) -> str:
    """Return in a sentence what a study asks: of students and their teacher, or of networks alone."""
    names = data.names
    if names.variants and names.teacher and names.baseline:
        return (
            f"What does distilling the teacher {named(names.teacher)} do inside a student? "
            f"{len(names.variants)} variants of the loss, held against {named(names.baseline)}, and what every network "
            "is like without any student."
        )
    return f"What are {', '.join(map(named, names.ordered))} like inside, block by block, and how alike are they?"


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
    chosen = {names.reference, names.baseline, *furthest}
    return [name for name in names.trained if name in chosen]


def _chooser(data: PageData) -> Html:
    names = data.names

    def boxes(title: str, members: Iterable[str]) -> Html:
        marks = (
            (tag("input", type="checkbox", name="owner", value=name), tag("span"), named(name)) for name in members
        )
        return tag("fieldset", tag("legend", title), *(tag("label", *parts) for parts in marks))

    groups = [boxes(*group) for group in (("Networks", names.ordered), ("Variants", names.variants)) if group[1]]
    ways = ("all", "All"), ("start", "As at the start"), ("none", "None")
    buttons = tag("p", *(tag("button", said, type="button", data_choose=how) for how, said in ways))
    about = (
        "All panels follow. At the start: all of few; of many the teacher, the baseline, and what is furthest from it."
    )
    summary = tag("summary", "Networks and variants shown: ", tag("output", "all", id="chosen"))
    return tag("details", summary, tag("p", about, class_="about"), buttons, *groups, class_="chooser", open=True)


def _contents(links: Iterable[tuple[str, str]]) -> Html:
    items = [tag("li", tag("a", said, href=f"#{name}")) for name, said in links]
    return tag("nav", tag("h2", "Contents"), tag("ol", *items), aria_label="Contents")


def _front(said: dict[str, Any], parts: list[Panel]) -> list[Html]:
    """Return what a reader in a hurry needs: the answers, each with a link, and what the study can show."""
    where = {panel.report: panel.id for panel in parts if panel.report}
    answers = []
    for title, section in said.items():
        if section["answer"]:
            link = tag("a", title, href=f"#{where.get(title, slug(title))}")
            answers.append(tag("div", tag("dt", link), tag("dd", of_markdown([section["answer"]], title))))
    found = [tag("section", tag("h2", "The answers"), tag("dl", *answers, class_="answers"), id="answers")]
    if CAN_SHOW in said:
        body = of_markdown(said[CAN_SHOW]["paragraphs"], CAN_SHOW)
        found.append(tag("section", tag("h2", CAN_SHOW), body, id=slug(CAN_SHOW)))
    if "" in said:
        whole = of_markdown(said[""]["paragraphs"], "What this study is of")
        found.append(tag("section", tag("h2", "What this study is of"), whole, id="study"))
    return found


def slug(title: str) -> str:
    """Return a title as the name of a place of the page."""
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower()).strip("-")


def _section(panel: Panel, said: dict[str, Any], figures: Mapping[str, str]) -> Html:
    section = said.get(panel.report) if panel.report else None
    parts = []
    if section is not None:
        parts += _answer(section)
    if panel.charts:
        parts.append(tag("div", class_="panel", data_panel=panel.id))
    else:
        parts.append(tag("p", panel.about, class_="about"))
    parts.append(panel.body)
    if section is not None and section["paragraphs"] and not panel.body:
        whole = of_markdown(section["paragraphs"], panel.title)
        parts.append(details("What the report says: numbers, controls, tables", whole))
    parts.append(_printed([name for name in panel.figures if name in figures], figures))
    return tag("section", tag("h2", panel.title), *parts, id=panel.id)


def _left(section: dict[str, Any]) -> Html:
    """Return a section of the report that has no panel."""
    body = of_markdown(section["paragraphs"], section["title"])
    return tag("section", tag("h2", section["title"]), *_answer(section), body, id=slug(section["title"]))


def _answer(section: dict[str, Any]) -> list[Html]:
    """Return what a section of the report answers, and where that comes from."""
    said = [of_markdown([section[name]], section["title"]) for name in ("answer", "sources")]
    return [tag("div", part, class_=name) for name, part in zip(("answer", "about"), said, strict=True) if part]


def _printed(names: list[str], figures: Mapping[str, str]) -> Html:
    """Return printed figures that can be folded away; nothing where there are none."""
    if not names:
        return Html("")
    drawn = []
    for name in names:
        said = shows(name)
        drawn.append(tag("figure", figure(figures[name], said), tag("figcaption", tag("b", f"{named(name)}: "), said)))
    return details(f"Printed figure{'s' * (len(names) > 1)}: {', '.join(map(named, names))}", *drawn)


def _others(names: list[str], figures: Mapping[str, str]) -> Html:
    if not names:
        return Html("")
    return tag("section", tag("h2", "Other printed figures"), _printed(names, figures), id="others")


def shows(name: str) -> str:
    """Return what a figure shows: the first sentence of its module."""
    said = (import_module(f"..figures.{name}", __package__).__doc__ or named(name)).split("\n\n")[0]
    return " ".join(said.split())


def _for_script(panel: Panel) -> dict[str, Any]:
    charts, controls = ([asdict(one) for one in parts] for parts in (panel.charts, panel.controls))
    return {"id": panel.id, "charts": charts, "controls": controls}


def read_assets(files: Iterable[str]) -> dict[str, str]:
    """Return script and style of the page by file name."""
    return {Path(file).name: Path(file).read_text(encoding="utf-8") for file in files}
