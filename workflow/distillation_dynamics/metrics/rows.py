"""Rows for comparing networks: logits, mean and random patch tokens, and sums over all tokens.

In: features and logits of the images of the comparison. Out: one file a checkpoint, `rows.safetensors`, that
`pairs.activations.Activations` reads: `logits` [n, K] (left out without a head), for each block b `pooled<b>` [n, C],
the mean patch token, `tokens<b>` [n k, C], tokens at k random positions of the block's own grid, both float32, and
`gram<b>` [C, C], the sum of x x^T over all patch tokens x, float64. So every pair of networks is compared without
running either again.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from ..files import replacing
from ..outputs import Outputs, asked_for, check_values
from ._moments import Moments, moments
from .accumulator import Accumulator, Measured
from .blocks import extremes, mean_tokens
from .pairs.activations import METADATA

REQUIRES = ("features", "logits")
OPTIONS = ("tokens",)
FILES = ("rows.safetensors",)
IMAGES = "compare"


def tokens_at(block: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return tokens at `places` [b, k] (row x columns + column) of each image of a block [b, C, H, W], [b k, C]."""
    places = places.to(block.device)[:, None].expand(-1, block.shape[1], -1)
    return block.flatten(2).gather(2, places).double().movedim(1, 2).flatten(0, 1)


def token_places(size: int, count: int, positions: np.ndarray) -> torch.Tensor:
    """Return `count` random places [b, k] on a grid of `size` tokens, or all of them, for images at `positions`."""
    # Drawn from the image alone, independent of batches and networks.
    places = [np.random.default_rng([0, int(position)]).permutation(size)[:count] for position in positions]
    return torch.from_numpy(np.stack(places))


class Metric(Accumulator):
    """The rows of a network; has no columns."""

    def begin(self) -> None:
        """Begin with no images."""
        self._parts: dict[str, list[np.ndarray]] = {}
        self._moments: dict[int, Moments] = {}
        self._grids: list[tuple[int, int]] = []
        self._labels: list[int] = []

    def update(self, outputs: Outputs) -> None:
        """Add features of all blocks, logits if any, labels and positions of a batch.

        Raises NotFinite for NaN or infinity.
        """
        seen = len(self._labels)
        self._grids = [(block.shape[2], block.shape[3]) for block in outputs.features.values()]
        self._labels += asked_for(outputs.targets).tolist()
        positions = asked_for(outputs.positions).cpu().numpy()
        places = {size: token_places(size, self.settings.tokens, positions) for size in {h * w for h, w in self._grids}}
        if outputs.logits is not None:
            check_values(outputs.logits, "logits,", seen)
            self._add("logits", outputs.logits)
        for index, block in outputs.features.items():
            extremes(block, index, seen)
            self._add(f"pooled{index:02d}", mean_tokens(block))
            self._add(f"tokens{index:02d}", tokens_at(block, places[block.shape[2] * block.shape[3]]))
            self._moments[index] = moments(block, index).joined(self._moments.get(index))

    def _add(self, name: str, rows: torch.Tensor) -> None:
        self._parts.setdefault(name, []).append(rows.float().cpu().numpy())

    def compute(self) -> Measured:
        """Return no column."""
        return {}

    def save(self, folder: Path) -> None:
        """Write `rows.safetensors`."""
        arrays = {name: np.concatenate(self._parts.pop(name)) for name in list(self._parts)}
        arrays |= {f"gram{index:02d}": of.gram.cpu().numpy() for index, of in self._moments.items()}
        facts = {
            "names": list(self.context.names),
            "labels": self._labels,
            "groups": self.groups_of(len(self._labels)).tolist(),
            "grids": self._grids,
            "block_names": list(self.context.block_names),
            "tokens_per_image": [min(h * w, self.settings.tokens) for h, w in self._grids],
        }
        with replacing(Path(folder) / FILES[0]) as temporary:
            save_file(arrays, temporary, {METADATA: json.dumps(facts)})
