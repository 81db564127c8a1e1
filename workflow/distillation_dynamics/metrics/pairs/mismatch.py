"""Encoding mismatch of two networks: rank and bandwidth of tokens, with channels pooled to the other's number.

In: Gram matrices of all patch tokens. The other's channels are reduced to the first's number by average pooling, as
SpectralKD reduces a teacher's. Source: From Per-Image Low-Rank to Encoding Mismatch (arXiv 2511.15572).
"""

import numpy as np

from ...files import Column
from ..rank import gram_rank, reduced_gram
from ..sep import bandwidth, gram_sep_folded
from .activations import Activations

REQUIRES = ("grams",)
LEVEL = 0.95
PAIR_COLUMNS = {
    "rank_95": Column("", "eigenvalues that hold 95 % of the second moment of the network's tokens"),
    "other_rank_95": Column(
        "", "the same of the other's tokens, their channels pooled to the network's number; NaN where they are fewer"
    ),
    "bandwidth_95": Column("", "share of the channel frequencies, lowest first, that hold 95 % of the energy"),
    "other_bandwidth_95": Column("", "the same of the other's tokens, their channels pooled; NaN where they are fewer"),
}


def compare(first: Activations, second: Activations) -> dict[str, np.ndarray]:
    """Return the columns of PAIR_COLUMNS, [L1, L2]."""
    own = np.array([_facts(first, block, len(first.gram(block))) for block in range(first.blocks)])
    others = np.array(
        [
            [_facts(second, other, len(first.gram(block))) for other in range(second.blocks)]
            for block in range(first.blocks)
        ]
    )
    own = np.broadcast_to(own[:, None], others.shape)
    return {
        "rank_95": own[..., 0],
        "other_rank_95": others[..., 0],
        "bandwidth_95": own[..., 1],
        "other_bandwidth_95": others[..., 1],
    }


def _facts(rows: Activations, block: int, channels: int) -> tuple[float, float]:
    """Return rank and bandwidth of a block's tokens with channels pooled to `channels`; NaN if there are fewer."""
    gram = rows.gram(block)
    if len(gram) < channels:
        return np.nan, np.nan
    return rows.once(("mismatch", block, channels), lambda: _rank_and_bandwidth(reduced_gram(np.array(gram), channels)))


def _rank_and_bandwidth(gram: np.ndarray) -> tuple[float, float]:
    return gram_rank(gram, LEVEL), float(bandwidth(gram_sep_folded(gram), LEVEL))
