"""Whether a metric is U-shaped over depth: its fall and rise, a test of both, and the part due to scale."""

import pandas as pd

from ...statistics.evidence import Evidence
from .references import REFERENCE_COLUMNS, references_of
from .shapes import MINIMUM_COLUMNS, SHAPE_COLUMNS, shapes_of

TITLE = "Is it U-shaped?"
PLACE = 30
FIGURES = ("shape", "depth_profiles")
SOURCES = ("shape", "references")
DECIDES = (
    "a fall and a rise beyond the smallest change in a trained network that its control and its scale do not have; for "
    "a kind of network, several of it"
)
READS = ("depth",)
TABLES = {"shape": SHAPE_COLUMNS, "minimum": MINIMUM_COLUMNS, "references": REFERENCE_COLUMNS}


def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Return shape.parquet, minimum.parquet and references.parquet."""
    depth = evidence.tables.get("depth")
    alone = pd.DataFrame(columns=list(REFERENCE_COLUMNS)) if depth is None else references_of(depth)
    shape, minimum = shapes_of(evidence.scalars, alone, evidence.names.controls.values())
    return {"shape": shape, "minimum": minimum, "references": alone}
