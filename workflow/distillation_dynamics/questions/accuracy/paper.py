"""The table on accuracy of a paper."""

import pandas as pd

from ...paper.numbers import Stated
from ...paper.tables import Shown, Tables
from ...spec.tables import Names
from .answer import table


def _rows(tables: Tables, names: Names) -> pd.DataFrame:
    runs = tables["runs"]
    return table(runs[runs["test_top1"].notna()], names)


TABLES = {
    "accuracy": Shown(
        "Test top-1 of the last epoch ({test_images}): mean and 95 % t interval over seeds of variants ({students}), "
        "of networks one run. Image noise: binomial standard error of one run. Agreement: test images on which the "
        "prediction is the teacher's ({teacher}).",
        {
            "network": "network or variant", "what": "is", "seeds": "seeds",
            "test top-1": "top-1 [%, 95 % interval]", "image noise": "image noise [points]",
            "as the teacher": "agreement [%]",
        },
        "llrrrr",
        _rows,
        place=10,
    ),
}  # fmt: skip
NUMBERS = {"summary": Stated(("network",))}
