"""The columns that tell whose rows a table holds: of which network, checkpoint and block. Imports no torch."""

from ..files import Column

NETWORK = {
    "network": Column("", "name of the network, of its control, or of a student's variant"),
    "seed": Column("", "seed of a student; -1 for networks"),
    "epoch": Column("epochs", "finished epochs of its training; 0 is untrained, -1 weights from elsewhere"),
}
BLOCK = {
    "block": Column("", "0-based number of the block"),
    "block_name": Column("", "the block's name in timm: blocks.3, layers.1, layer2"),
}
