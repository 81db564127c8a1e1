"""Dumps the features of some measured images, for analyses outside the workflow.

In: features [b, C, H, W] of all blocks. Out: `block<bb>.npy`, one file per block, [images, C, H, W], or [images, C, k]
for k random tokens, the same for all images, written as the images pass; and `meta.json` with the meaning of the axes,
the images and the tokens. Metrics use float32 features, so the type of the dump does not affect them.
"""

from pathlib import Path

import numpy as np
import torch

from ..data.balanced import balanced
from ..files import npy_writer, write_json
from ..outputs import Outputs, asked_for
from .accumulator import Accumulator

REQUIRES = ("features",)
FILES = ("block{block:02d}.npy", "meta.json")
OPTIONS = ("dump_images", "dump_tokens", "dtype")
# By whether all tokens are kept.
GRID_AXES = {True: ["row", "column"], False: ["token"]}


def dumped_tokens(count: int | None, rows: int, columns: int) -> np.ndarray | None:
    """Return the grid positions (row x columns + column) of the `count` tokens to dump; None for all."""
    if count is None or count >= rows * columns:
        return None
    return np.sort(np.random.default_rng([0, rows, columns]).choice(rows * columns, count, replace=False))


class Metric(Accumulator):
    """Dumps features; has no columns."""

    def begin(self) -> None:
        """Choose images and tokens, and open the files."""
        context, settings = self.context, self.settings
        count = min(len(context.positions), settings.dump_images)
        self.kept = balanced(context.labels, count)
        self.tokens = [dumped_tokens(settings.dump_tokens, rows, columns) for _, rows, columns in context.shapes]
        self.shapes = [
            (count, *(shape if tokens is None else (shape[0], len(tokens))))
            for shape, tokens in zip(context.shapes, self.tokens, strict=True)
        ]
        assert context.folder is not None, "what is measured on the main image set alone keeps files"
        self.writers = [
            context.stack.enter_context(npy_writer(context.folder / f"block{block:02d}.npy", shape, settings.dtype))
            for block, shape in enumerate(self.shapes)
        ]

    def update(self, outputs: Outputs) -> None:
        """Write the features of the chosen images of a batch."""
        kept = torch.from_numpy(np.isin(asked_for(outputs.positions).cpu().numpy(), self.context.positions[self.kept]))
        for writer, tokens, block in zip(self.writers, self.tokens, outputs.features.values(), strict=True):
            values = block[kept.to(block.device)]
            writer((values if tokens is None else values.flatten(2)[:, :, tokens]).cpu().numpy())

    def save(self, folder: Path) -> None:
        """Write `meta.json`; the features are on disk once the context's stack is closed."""
        context = self.context
        write_json(
            folder / "meta.json",
            {
                "axes": [["image", "channel", *GRID_AXES[tokens is None]] for tokens in self.tokens],
                "blocks": list(context.block_names),
                "shapes": [list(shape) for shape in self.shapes],
                "grids": [list(shape[1:]) for shape in context.shapes],
                "tokens": [None if tokens is None else tokens.tolist() for tokens in self.tokens],
                "dtype": self.settings.dtype,
                "images": context.positions[self.kept].tolist(),
                "names": [str(context.names[place]) for place in self.kept],
                "labels": context.labels[self.kept].tolist(),
            },
        )
