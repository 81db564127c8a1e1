"""Metrics of a network: one file each, whose class `Metric` receives the images in batches.

A metric's file says what it needs of a network (`REQUIRES`, fields of `outputs.Request`), documents its columns
(`IMAGE_COLUMNS` of scalars.parquet, whose means over images go to depth.parquet; `BLOCK_COLUMNS` of depth.parquet;
`BIN_COLUMNS` of spectrum.parquet; `TABLES` of its own), names the files it keeps per checkpoint (`FILES`), the file of
the reference network it reads (`REFERENCE`) and the settings that change its values (`OPTIONS`), and defines `Metric`.
The file's name is its entry in the registry. Importing this package is cheap.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any


def measure(metric: str, features: Iterable[Any], **settings: Any) -> dict[str, list[Any]]:
    """Return the columns of a metric that needs only features, outside the workflow: name -> one entry per block.

    An entry is [B] of a per-image column, a number of a per-block column, [C] of a per-bin column. `features` are L
    blocks [B, C, H, W], arrays or tensors, all of one batch; half precision is widened to float32. `settings` are those
    of `spec.measure.Settings`, such as `entropy_bins`. Raises ValueError for another shape, NaN or infinity.
    """
    from ..outputs import Outputs
    from ..spec.measure import Settings
    from .blocks import checked

    outputs = Outputs(features={index: checked(block, index) for index, block in enumerate(features)})
    found = import_module(f"{__name__}.{metric}").Metric(Settings(**settings))
    for number in range(found.passes):
        if number:
            found.next_pass()
        found.update(outputs)
    return found.compute()
