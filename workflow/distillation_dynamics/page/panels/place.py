"""Panel: the map of all networks, where nearby blocks represent images similarly."""

from .. import charts
from ..panel import HIDE, OWNER, Chart, Control, PageData, Panel, epoch_said, slider

COLUMNS = {"network": "network", "epoch_said": "epoch", "block_name": "block", "x": "x", "y": "y"}


def panels(data: PageData) -> list[Panel]:
    """Return the panel of the map; none if nothing is compared."""
    if not data.has("map", "x", "y"):
        return []
    table = data.tables["map"]
    shares = table["explained"].dropna()
    said = f" The plane shows {100 * shares.iloc[0]:.0f} % of the squared distances." if len(shares) else ""
    about = (
        f"Every block is a point; a line joins a network's blocks from the first (large) to the last. Nearby points "
        f"represent the same {int(table['images'].max()):,} images similarly.{said} Students: first seed."
    )
    role = table["network"].map(data.role)
    first = table["block"] == table.groupby(["network", "epoch"], dropna=False)["block"].transform("min")
    epoch = table["epoch"].where(role == "variant")
    points = data.owned(table.assign(role=role, first=first, epoch_said=table["epoch"].map(epoch_said), epoch=epoch))
    points = points[[OWNER, "network", "role", "epoch", "epoch_said", "block", "block_name", "first", "x", "y"]]
    size = {"condition": {"test": "datum.first", "value": 130}, "value": 35}
    layers = [
        charts.marks("line", {"order": {"field": "block"}, **charts.DASH}, strokeWidth=1.5, opacity=0.8),
        charts.marks("point", {"size": size}, filled=True),
    ]
    plane, params = charts.plane(points["x"], points["y"], ("x [radians]", "y [radians]"))
    spec = charts.chart(layers, 460, encoding=plane | charts.COLOR, params=params)
    controls = [Control("toggle", "controls", "Controls", field="role", hides="control", start=False)]
    if points["epoch"].notna().any():
        controls.insert(0, slider("epoch", "Epoch", points["epoch"].dropna()))
    names = tuple(control.name for control in controls)
    chart = Chart("Map of blocks", about, "map", spec, COLUMNS, names, HIDE, needs=("x",))
    return [Panel("map", "Map of networks", (chart,), tuple(controls), {"map": points}, figures=("map",), place=42)]
