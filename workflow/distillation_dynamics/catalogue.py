"""Documents all objectives in Markdown: `python -m distillation_dynamics.catalogue`.

Built from the docstring of each objective, the parameters of its `forward`, and measurements of
`benchmarks/objectives.py`. docs/objectives.md holds the output for the project's own objectives.
"""

import json
import re
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from . import extensions
from .extensions import Objective

COSTS = Path(__file__).parents[2] / "benchmarks/objectives.json"
HEAD = """# Objectives

All objectives that a term can use, printed by `make objectives`. The docstring of `objectives/<name>.py` explains each
one, with the origin of its defaults and its published results; its options are in [configuration.md](configuration.md).
To add one: [CONTRIBUTING.md](../CONTRIBUTING.md#an-objective).

s and t are the outputs of student and teacher, tau is a temperature. Features are the patch tokens of the blocks of a
term's pairs, without class, distillation or register tokens. `normalise_target` and `robust` change the target before
the formula applies.

Cost is the processor time of a training step (student and teacher) with cross-entropy and the objective at its defaults
on the last pair of blocks, divided by that with cross-entropy and `soft`. Differences below 2 % are noise.
Measured by `benchmarks/objectives.py`: """
# A number after a period continues the sentence: eq. 3.
SENTENCE_END = re.compile(r"\.(?: (?!\d)|$)|; ")
COLUMNS = "objective", "takes", "formula", "options it shares", "cost", "source"
PREFIXES = "student_", "teacher_"


def page(names: Iterable[str]) -> str:
    """Return the whole page with one table of these objectives."""
    known, costs = extensions.objectives(), json.loads(COSTS.read_text(encoding="utf-8"))
    rows = [_row(name, known[name], costs["ratios"].get(name)) for name in names]
    lines = [f"| {' | '.join(row)} |" for row in [COLUMNS, ["---"] * len(COLUMNS), *rows]]
    return "\n".join([HEAD + costs["setting"] + ".\n", *lines, ""])


def _row(name: str, objective: Objective, cost: float | None) -> tuple[str, ...]:
    module = import_module(f"{__package__}.objectives.{name}")
    parts = dict(_named(paragraph) for paragraph in (module.__doc__ or "").split("\n\n"))
    source = SENTENCE_END.split(parts.get("Source", ""))[0]
    formula = parts.get("Formula", "").replace("|", "\\|")
    shared = ", ".join(f"`{option}`" for option in getattr(module, "SHARED", ()))
    ratio = "" if cost is None else f"{cost:.2f}"
    return f"`{name}`", takes(objective.takes), f"`{formula}`" if formula else "", shared, ratio, source


def takes(names: Iterable[str]) -> str:
    """Return the parameters of a `forward` in words: kinds taken of both networks or of one, and labels."""
    owners: dict[str, list[str]] = {}
    for name in names:
        owner, _, kind = name.partition("_")
        if f"{owner}_" in PREFIXES:
            owners.setdefault(kind, []).append(owner)
        elif name != "pair":
            owners[name] = []
    return ", ".join(f"the {who[0]}'s {kind}" if len(who) == 1 else kind for kind, who in owners.items())


def _named(paragraph: str) -> tuple[str, str]:
    """Return the word before a paragraph's colon, and the rest in one line."""
    name, _, rest = " ".join(paragraph.split()).partition(": ")
    return name, rest


if __name__ == "__main__":
    print(page(extensions.objectives()), end="")
