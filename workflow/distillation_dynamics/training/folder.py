"""The folder that a training or loading of a network leaves, filled alike by all; its names are in `spec.runs`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_json, write_npy, write_table
from ..spec.runs import LOGITS, RESULT, TRAINING
from .log import EPOCH_COLUMNS, STEP_COLUMNS, Log


def write_run(
    out: Path, logits: Mapping[str, np.ndarray], log: Log | None, result: dict[str, Any], cost: dict[str, Any]
) -> None:
    """Write logits [N, K] by split, steps and epochs of a training (None: none), and what came of it at what cost."""
    for split, values in logits.items():
        write_npy(out / LOGITS.format(split), values)
    if log is not None:
        steps, epochs = TRAINING
        write_table(out / steps, log.steps, STEP_COLUMNS)
        write_table(out / epochs, log.epochs, EPOCH_COLUMNS)
    for name, value in zip(RESULT, (result, cost), strict=True):
        write_json(out / name, value)
