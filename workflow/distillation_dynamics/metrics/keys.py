"""Key columns of tables: network, checkpoint and block of a row. Imports no torch."""

from typing import Any

import numpy as np

from ..files import Column, whole_numbers

NETWORK = {
    "network": Column("", "name of the network, of its control, or of a student's variant"),
    "seed": Column("", "seed of a student; null for networks"),
    "epoch": Column("epochs", "finished epochs of its training; 0 is untrained, null of weights from elsewhere"),
}
BLOCK = {
    "block": Column("", "0-based number of the block"),
    "block_name": Column("", "the block's name in timm: blocks.3, layers.1, layer2"),
}
# Integer columns that may have missing values: null in the tables.
MAY_BE_MISSING = ("seed", "epoch", "other_seed", "other_epoch")


def filled(name: str, value: Any, count: int) -> Any:
    """Return the column `name` with `count` equal values."""
    return whole_numbers([value] * count) if name in MAY_BE_MISSING else np.full(count, value)
