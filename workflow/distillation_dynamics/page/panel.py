"""What a panel of the page is: charts with their data, controls that the charts share, words, and printed figures.

A chart names one of the page's tables and the controls that it obeys; the script picks the rows. Everything here is
plain values that become JSON.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from ..files import Column
from ..spec.tables import Names
from ..words import capital, spaced
from .metrics import group_of, name_of

# How charts follow the choice of networks: rows of others go, or fade; by the column OWNER.
HIDE, FADE, OWNER = "hide", "fade", "owner"
# Positive values that span such a factor have a logarithmic axis: on another the smaller ones lie on a line.
WIDE = 10


@dataclass(frozen=True)
class Control:
    """Something to choose: `kind` is choice, slider, measure, toggle, scale or who; `field` the column that is picked.

    `options`: value and label, of a measure also `fields` (name in the chart -> column), unit, what it is, its n,
    `group`, under which it is offered where there are several, and `scale`: the axis that it begins with, `log` or
    `linear`, or `only linear`, where values are not all above 0. A
    toggle that is off empties the columns `clears` or hides the rows whose column `field` is `hides`. A scale switches
    between a logarithmic axis and a linear one, in charts of `charts.lines(switched=True)`.
    """

    kind: str
    name: str
    label: str
    options: tuple[dict[str, Any], ...] = ()
    field: str = ""
    start: Any = None
    clears: tuple[str, ...] = ()
    hides: str = ""


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart of a table: `columns` (field -> head) is what the table behind it and its marks' tips show.

    The head charts.MEASURE is the name and unit of the measure that is chosen. `where`: column -> value that rows must
    have; `needs`: fields without which a row is not shown; `fields`: name in the chart -> column, where no measure is
    chosen; `signals`: parameter of the specification -> control whose value it has.
    """

    title: str
    description: str
    table: str
    spec: dict[str, Any]
    columns: dict[str, str]
    controls: tuple[str, ...] = ()
    follow: str = ""
    where: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ("value",)
    fields: dict[str, str] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Panel:
    """A section of the page: charts, or HTML as its `body`, and the names of printed figures.

    It stands with the section of the report that has its title. `place`: that in the order of reading; the panel of a
    question has the question's.
    """

    id: str
    title: str
    charts: tuple[Chart, ...] = ()
    controls: tuple[Control, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: tuple[str, ...] = ()
    body: Markup | None = None
    place: int = 150


@dataclass(frozen=True)
class PageData:
    """What panels are made of: tables by name with the meaning of their columns, who is in them, study.json, times.

    A table that the study does not have is absent. `made`: study.json, None where it is not there; `hours`: stage ->
    (results, hours); `edges`: which stage reads which; `classes`: what classes are called, in order, if anything.
    """

    names: Names
    tables: Mapping[str, pd.DataFrame]
    columns: Mapping[str, Mapping[str, Column]]
    made: dict[str, Any] | None = None
    hours: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    edges: Sequence[tuple[str, str]] = ()
    classes: Sequence[str] = ()

    def has(self, table: str, *columns: str) -> bool:
        """Whether there is a table with rows, and with a value in each of the columns."""
        there = self.tables.get(table)
        if there is None or there.empty:
            return False
        return all(name in there and there[name].notna().any() for name in columns)

    def meanings(self, table: str, columns: Iterable[str]) -> dict[str, Column]:
        """Return units and meanings of columns, as their table says."""
        known = self.columns.get(table, {})
        return {name: known.get(name, Column("", "")) for name in columns}

    def owned(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the network or variant whose choice decides on a row: of a control, its network."""
        owners = {control: name for name, control in self.names.controls.items()}
        return table.assign(**{OWNER: table["network"].replace(owners)})

    def role(self, name: str) -> str:
        """Return what one in the tables is: network, control or variant."""
        if name in self.names.variants:
            return "variant"
        return "control" if name in self.names.controls.values() else "network"


def epoch_said(epoch: float) -> str:
    """Return an epoch as it is read; weights from elsewhere have none."""
    return "as released" if pd.isna(epoch) else f"{epoch:.0f}"


def measure(
    columns: Mapping[str, Column],
    label: str = "Measure",
    fields: Mapping[str, Mapping[str, str]] | None = None,
    n: Mapping[str, str] | None = None,
    shown: pd.DataFrame | None = None,
) -> Control:
    """Return the choice of the column that is shown as `value`, its half interval beside it.

    `fields`: column -> what else of the chart comes with it (field -> column); `n`: column -> what it rests on.
    `shown`: the table that has them, by whose values each has its axis.
    """
    options = []
    for name, (unit, meaning) in columns.items():
        # Shown as text, where marks of Markdown would stand as they are.
        about = capital(meaning).replace("`", "") or spaced(name)
        beside = {"fields": (fields or {}).get(name, {}), "n": (n or {}).get(name), "group": group_of(name)}
        if shown is not None:
            beside["scale"] = scale_of(shown[name])
        options.append({"value": name, "label": name_of(name), "unit": unit, "about": about, **beside})
    return Control("measure", "measure", label, tuple(options))


def scale_of(values: pd.Series) -> str:
    """Return the axis of values: `log` where they span a factor of WIDE, `only linear` where some are not above 0."""
    known = values[np.isfinite(values.astype(float))]
    if known.empty or known.min() <= 0:
        return "only linear"
    return "log" if known.max() >= WIDE * known.min() else "linear"


def slider(name: str, label: str, values: Sequence[Any], last: bool = True) -> Control:
    """Return a slider over the values of a column of the same name."""
    values = sorted({int(value) for value in values})
    options = tuple({"value": value, "label": str(value)} for value in values)
    return Control("slider", name, label, options, field=name, start=len(values) - 1 if last else 0)


# The switch between a logarithmic axis and a linear one.
SCALE = Control("scale", "scale", "Logarithmic axis")


def choice(name: str, label: str, values: Mapping[str, str], owners: Mapping[str, str] | None = None) -> Control:
    """Return a choice among values (value -> label); with `owners` (value -> network) only of those chosen above."""
    options = [
        {"value": value, "label": said, **({OWNER: owners[value]} if owners else {})} for value, said in values.items()
    ]
    return Control("choice", name, label, tuple(options), field=name)
