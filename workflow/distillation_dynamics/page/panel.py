"""A panel of the page: charts with data, controls they share, text, and printed figures.

A chart names a table of the page and its controls; the script selects the rows. Everything is plain values that become
JSON.
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

# How charts follow the selection of networks, by the column OWNER: other rows disappear, or fade.
HIDE, FADE, OWNER = "hide", "fade", "owner"
# Positive values that span this factor get a logarithmic axis; a linear one would squash the smaller values.
WIDE = 10


@dataclass(frozen=True)
class Control:
    """A control: `kind` is choice, slider, measure, toggle, scale or who; `field` is the selected column.

    `options`: value and label; for a measure also `fields` (name in the chart -> column), unit, meaning, n, `group` if
    there are several, and `scale`: the initial axis, `log` or `linear`, or `only linear` if values are not all
    positive. A toggle that is off empties the columns `clears` or hides rows whose `field` is `hides`. A scale switches
    between logarithmic and linear axes, in charts of `charts.lines(switched=True)`.
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
    """A Vega-Lite chart of a table: `columns` (field -> header) are shown in its table and tooltips.

    The header charts.MEASURE is name and unit of the chosen measure. `where`: column -> required value; `needs`: fields
    without which a row is not shown; `fields`: name in the chart -> column, without a choice of measure; `signals`:
    parameter of the specification -> control with its value.
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

    It is shown with the report's section of the same title. `place`: position in reading order; a question's panel has
    the question's position.
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
    """Data for panels: tables by name with the meaning of their columns, names, study.json, times.

    Tables that the study lacks are absent. `made`: study.json, None if missing; `hours`: stage -> (results, hours);
    `edges`: (stage read, reading stage); `classes`: class names in order, if any.
    """

    names: Names
    tables: Mapping[str, pd.DataFrame]
    columns: Mapping[str, Mapping[str, Column]]
    made: dict[str, Any] | None = None
    hours: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    edges: Sequence[tuple[str, str]] = ()
    classes: Sequence[str] = ()

    def has(self, table: str, *columns: str) -> bool:
        """Return whether a table has rows, and a value in each of the columns."""
        there = self.tables.get(table)
        if there is None or there.empty:
            return False
        return all(name in there and there[name].notna().any() for name in columns)

    def meanings(self, table: str, columns: Iterable[str]) -> dict[str, Column]:
        """Return units and meanings of columns from their table."""
        known = self.columns.get(table, {})
        return {name: known.get(name, Column("", "")) for name in columns}

    def owned(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the network or variant whose selection controls each row: for a control, its network."""
        owners = {control: name for name, control in self.names.controls.items()}
        return table.assign(**{OWNER: table["network"].replace(owners)})

    def role(self, name: str) -> str:
        """Return the role of a name in the tables: network, control or variant."""
        if name in self.names.variants:
            return "variant"
        return "control" if name in self.names.controls.values() else "network"


def epoch_said(epoch: float) -> str:
    """Return an epoch for display; weights from elsewhere have none."""
    return "as released" if pd.isna(epoch) else f"{epoch:.0f}"


def measure(
    columns: Mapping[str, Column],
    label: str = "Measure",
    fields: Mapping[str, Mapping[str, str]] | None = None,
    n: Mapping[str, str] | None = None,
    shown: pd.DataFrame | None = None,
) -> Control:
    """Return the choice of the column shown as `value`, with its half interval.

    `fields`: column -> further fields of the chart (field -> column); `n`: column -> its sample size. `shown`: the
    table whose values determine the axis.
    """
    options = []
    for name, (unit, meaning) in columns.items():
        # Plain text, where Markdown marks would be visible.
        about = capital(meaning).replace("`", "") or spaced(name)
        extra = {"fields": (fields or {}).get(name, {}), "n": (n or {}).get(name), "group": group_of(name)}
        if shown is not None:
            extra["scale"] = scale_of(shown[name])
        options.append({"value": name, "label": name_of(name), "unit": unit, "about": about, **extra})
    return Control("measure", "measure", label, tuple(options))


def scale_of(values: pd.Series) -> str:
    """Return the axis of values: `log` if they span a factor of WIDE, `only linear` if some are not positive."""
    known = values[np.isfinite(values.astype(float))]
    if known.empty or known.min() <= 0:
        return "only linear"
    return "log" if known.max() >= WIDE * known.min() else "linear"


def slider(name: str, label: str, values: Sequence[Any], last: bool = True) -> Control:
    """Return a slider over the values of a column of the same name."""
    values = sorted({int(value) for value in values})
    options = tuple({"value": value, "label": str(value)} for value in values)
    return Control("slider", name, label, options, field=name, start=len(values) - 1 if last else 0)


# The switch between logarithmic and linear axes.
SCALE = Control("scale", "scale", "Logarithmic axis")


def choice(name: str, label: str, values: Mapping[str, str], owners: Mapping[str, str] | None = None) -> Control:
    """Return a choice among values (value -> label); `owners` (value -> network) limits them to selected networks."""
    options = [
        {"value": value, "label": said, **({OWNER: owners[value]} if owners else {})} for value, said in values.items()
    ]
    return Control("choice", name, label, tuple(options), field=name)
