"""`report.md` as a whole: the questions that a study can be asked, each a section."""

import pandas as pd

from ...spec.tables import Names
from . import alignment, dose, networks, references, shape, trajectory, variants
from .shape_tables import unmoved_controls


def report(tables: dict[str, pd.DataFrame], names: Names) -> str:
    """Return report.md from the tables of the stage."""
    parts = [
        "# Answers",
        "## Is it U-shaped?",
        *shape.section(tables["shape"], names),
        *references.section(tables["references"], names),
        "## Networks beside each other",
        *networks.section(tables["networks"], names, unmoved_controls(tables["shape"], names)),
        "## Does a variant help?",
        *variants.section(tables["variants"], tables["mcnemar"], names.baseline),
        "## When does a gain arise?",
        *trajectory.section(tables["variants"], names.baseline),
        "## Dose and place",
        *dose.section(tables["dose_and_place"], tables["effects"], names.baseline),
        "## Which layers should be aligned?",
        *alignment.section(tables, names.baseline, names.teacher),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"
