"""Measures of a network: each file one metric, which sees the images in batches, `Metric`.

A metric's file says what it asks of a network (`REQUIRES`, fields of `outputs.Request`), documents the columns it fills
(`IMAGE_COLUMNS` of scalars.parquet, whose means over images are in depth.parquet; `BLOCK_COLUMNS` of depth.parquet;
`BIN_COLUMNS` of spectrum.parquet; `TABLES` of its own), names the files it keeps of a checkpoint (`FILES`), the one of
the reference network that it reads (`REFERENCE`) and the settings that change what it computes (`OPTIONS`), and defines
`Metric`. The file's name is its entry in the registry. Importing this package costs nothing.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any


def measure(metric: str, features: Iterable[Any], **settings: Any) -> dict[str, list[Any]]:
    """Return the columns of a metric that asks for features alone, without the workflow: name -> an entry a block.

    An entry is [B] of an image's column, a number of a block's, [C] of a bin's. `features` are L blocks [B, C, H, W],
    arrays or tensors, all of one batch; half precision is widened to float32. `settings` are those of
    `spec.measure.Settings`, such as `entropy_bins`. Raises ValueError for another shape, NaN or infinity.
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
