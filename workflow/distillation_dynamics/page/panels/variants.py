"""Panel: the variants, one row each: loss in words, aligned blocks, and share of each term."""

from typing import Any

import pandas as pd

from ... import extensions
from ...ranking import shown
from ...spec.training import TEACHER
from ...words import capital, listed, spaced
from ..html import render
from ..leading import BY_SIZE, leading
from ..panel import PageData, Panel

# Configuration keys of a term shown in other columns, and default values.
SAID = ("objective", "weight", "pairs", "target", "teacher", "reduction")


def panels(data: PageData) -> list[Panel]:
    """Return the table of variants; none without any."""
    if not data.names.variants:
        return []
    known, names, first = extensions.objectives(), data.names, leading(data)
    rows = [row for row in in_words(data) if row["variant"] in first]
    left_out = shown(len(names.variants), "variants", BY_SIZE, "study.json").replace("`", "")
    used = dict.fromkeys(objective for arm in names.arms.values() for _, objective in arm.terms)
    words = {spaced(name): known[name].shows for name in used if name in known}
    body = render("variants.html.j2", rows=rows, heads=_heads(rows), words=words, left_out=left_out)
    return [Panel("the-variants", "The variants of this study", body=body, place=24)]


def in_words(data: PageData) -> list[dict[str, str]]:
    """Return one row per variant: name, loss in words, aligned blocks, and shares of its terms."""
    known = extensions.objectives()
    doses = data.tables["doses"] if data.has("doses", "share") else pd.DataFrame(columns=["variant", "epoch"])
    return [_row(data, name, doses[doses["variant"] == name], known) for name in data.names.variants]


def _row(data: PageData, name: str, doses: pd.DataFrame, known: dict[str, Any]) -> dict[str, str]:
    """Return the entries of a variant; `doses`: those of its terms."""
    arm = data.names.arms[name]
    written = (data.made or {}).get("configuration", {}).get("variants", {}).get(arm.variant, {})
    first = doses[doses["epoch"] == doses["epoch"].min()].set_index("term") if len(doses) else doses
    losses, blocks, targets, shares, pulls = [], [], [], [], []
    # Alignment terms come last.
    for term, objective in sorted(arm.terms, key=lambda one: one[1] in known and known[one[1]].by_block):
        given = written.get(term) if isinstance(written.get(term), dict) else {}
        dose = first.loc[term] if term in first.index else None
        losses.append(_term(spaced(term), objective, given, dose, known))
        if dose is None:
            continue
        if dose["pairs"]:
            blocks += [pair.replace("-", " to ") for pair in dose["pairs"].split(", ")]
            targets.append(given.get("target", TEACHER))
        shares.append(_percent(spaced(term), dose["share"]))
        pulls.append(_percent(spaced(term), dose.get("gradient_share")))
    return {
        "variant": name,
        "student": arm.student,
        "teacher": arm.teacher,
        "loss": " + ".join(losses),
        "blocks": listed(blocks) or "none",
        "target": listed(dict.fromkeys(targets)) or "-",
        "share": ", ".join(filter(None, shares)) or "-",
        "pull": ", ".join(filter(None, pulls)) or "-",
    }


def _term(term: str, objective: str, given: dict[str, Any], dose: Any, known: dict[str, Any]) -> str:
    """Return a term in words: its dose, and the options that differ from its objective's defaults."""
    defaults = {name: option.default for name, option in known[objective].options.items()} if objective in known else {}
    options = [
        f"{spaced(name)} {value}" for name, value in given.items() if name not in SAID and value != defaults.get(name)
    ]
    weight = [] if dose is None else [dose["given"]]
    inside = ", ".join([*weight, *options])
    return f"{term} ({inside})" if inside else term


def _percent(term: str, share: float | None) -> str:
    return "" if share is None or pd.isna(share) else f"{term} {100 * share:.0f}"


def _heads(rows: list[dict[str, str]]) -> dict[str, str]:
    """Return column -> header; students, teachers and targets only if they vary or differ from the default."""
    heads = {
        "variant": "Variant", "student": "Student", "teacher": "Teacher", "loss": "Loss: the sum of",
        "blocks": "Aligned blocks, student to teacher", "target": "Target of the alignment",
        "share": "Share of the loss, first epoch [%]", "pull": "Share of the gradients, first epoch [%]",
    }  # fmt: skip
    same = {name for name in ("student", "teacher") if len({row[name] for row in rows}) < 2}
    if {row["target"] for row in rows} <= {"-", TEACHER}:
        same.add("target")
    empty = {name for name in heads if all(row[name] == "-" for row in rows)}
    return {name: capital(head) for name, head in heads.items() if name not in same | empty}
