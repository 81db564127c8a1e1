"""LaTeX table on published numbers."""

import pandas as pd

from ...paper.numbers import Stated
from ...paper.tables import Shown, Tables
from ...spec.tables import Names
from .answer import run_table


def _runs(tables: Tables, names: Names) -> pd.DataFrame:
    found = tables["published"]
    return run_table(found[found["run"] != ""])


TABLES = {
    "published": Shown(
        "Published and measured, differences in top-1 [points]: published to SoftKD (ImageNet-1k, one seed), "
        "measured to {baseline}, with the 95 % interval of the mean and that in which one further seed lies. A "
        "published number of another run is a reference, not a test.",
        {
            "variant": "variant", "published run": "published run", "published (ImageNet)": "published",
            "measured": "measured", "seeds": "seeds", "95 % interval of the mean": "of the mean",
            "of one further seed": "of one seed", "verdict": "verdict",
        },
        "llrrrrrp{0.95in}",
        _runs,
        place=90,
    ),
}  # fmt: skip
NUMBERS = {"published": Stated(("variant", "run"))}
