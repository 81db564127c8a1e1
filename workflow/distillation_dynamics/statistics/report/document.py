"""`report.md` as a whole: the questions that a study can be asked, each a section."""

import pandas as pd

from ...spec.tables import Names
from . import alignment, claims, networks, published, shape, variants
from .shape_tables import unmoved_controls


def report(tables: dict[str, pd.DataFrame], names: Names) -> str:
    """Return report.md from the frames of the statistics by name."""
    parts = [
        "# Answers",
        "## Is it U-shaped?",
        *shape.section(tables["shape"], names),
        "## Networks beside each other",
        *networks.section(tables["networks"], names, unmoved_controls(tables["shape"], names)),
        "## Does a variant help?",
        *variants.section(tables["variants"], tables["mcnemar"], names.baseline),
        "## Which layers should be aligned?",
        *alignment.section(tables["alignment"], names.baseline, names.teacher),
        "## Published beside measured",
        *published.section(tables["published"], tables["published_entropy"], names.baseline),
        "## The paper's claims, one by one",
        *claims.section(tables["claims"]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"
