"""The map of all networks: every block a point, near to what arranges images alike."""

from typing import Any

import pandas as pd

from .. import charts
from ..panel import HIDE, OWNER, Chart, Control, PageData, Panel, epoch_said, slider

TIPS = charts.tips(network_="network", block_name_="block", epoch_said_="epoch", x="x", y="y")
COLUMNS = {"network": "network", "epoch_said": "epoch", "block_name": "block", "x": "x", "y": "y"}


def panels(data: PageData) -> list[Panel]:
    """Return the panel of the map; none where nothing is compared."""
    if not data.has("map", "x", "y"):
        return []
    table = data.tables["map"]
    shares = table["explained"].dropna()
    said = f" The plane shows {100 * shares.iloc[0]:.0f} % of the squared distances." if len(shares) else ""
    images = int(table["images"].max())
    about = (
        f"Every block as a point, joined from the first (large) to the last; near points arrange the same {images:,} "
        f"images alike.{said} Of students the first seed."
    )
    role = table["network"].map(data.role)
    first = table["block"] == table.groupby(["network", "epoch"])["block"].transform("min")
    epoch = table["epoch"].where(role == "variant")
    points = data.owned(table.assign(role=role, first=first, epoch_said=table["epoch"].map(epoch_said), epoch=epoch))
    x, y = charts.number("x", "x [radians]"), charts.number("y", "y [radians]")
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.8},
            "encoding": {"order": {"field": "block"}, "strokeDash": charts.DASH},
        },
        {
            "mark": {"type": "point", "filled": True},
            "encoding": {"size": {"condition": {"test": "datum.first", "value": 130}, "value": 35}, "tooltip": TIPS},
        },
    ]
    spec = charts.spec(layers, 380, encoding={"x": x, "y": y, "color": charts.COLOR})
    names, controls = ["controls"], []
    if points["epoch"].notna().any():
        names.append("epoch")
        controls.append(slider("epoch", "Epoch", points["epoch"].dropna()))
    controls.append(Control("toggle", "controls", "Controls", field="role", hides="control", start=False))
    chart = Chart("Map of blocks", about, "map", spec, COLUMNS, tuple(names), HIDE, needs=("x",))
    columns = [OWNER, "network", "role", "epoch", "epoch_said", "block", "block_name", "first", "x", "y"]
    table = pd.DataFrame(points[columns])
    return [Panel("map", "Map of networks", about, (chart,), tuple(controls), {"map": table}, figures=("map",))]
