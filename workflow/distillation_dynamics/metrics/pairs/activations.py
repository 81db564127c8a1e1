"""A network's outputs on the comparison images: the rows kept by the metric `rows`, read lazily.

In: `rows.safetensors` of a network at one checkpoint. Out: memory-mapped NumPy arrays. Imports no torch.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ...errors import StudyError
from .._linear import of_groups

# The single metadata key: several would be stored in random order.
METADATA = "rows"
TYPES = {"F32": np.float32, "F64": np.float64}


class Activations:
    """The rows of one network: n images, L blocks, block b with C_b channels.

    `names` [n] of the images, in order; `labels` [n] (-1: none); `groups` [n], equal for images of one photograph;
    `grids`: (rows, columns) of patch tokens by block;
    `block_names`; `tokens_per_image` by block. Raises StudyError where the file is missing or damaged.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            # Opening checks the header against the file's length.
            with safe_open(self.path, framework="numpy") as file:
                facts = json.loads(file.metadata()[METADATA])
            with open(self.path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                self._tensors = json.loads(file.read(length))
            self._data = np.memmap(self.path, np.uint8, "r", 8 + length).view(np.ndarray)
        except FileNotFoundError as error:
            raise StudyError(f"{path} does not exist; run snakemake to make it") from error
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise StudyError(
                f"{path} holds no rows of a network ({error}); delete it and run snakemake again"
            ) from error
        self.names: list[str] = facts["names"]
        self.labels = np.array(facts["labels"], dtype=np.int64)
        self.groups = np.array(facts["groups"], dtype=np.int64)
        self.grids = [tuple(grid) for grid in facts["grids"]]
        self.block_names: list[str] = facts["block_names"]
        self.tokens_per_image: list[int] = facts["tokens_per_image"]
        self._known: dict[Any, Any] = {}

    @property
    def image_count(self) -> int:
        """The number of images, n."""
        return len(self.names)

    @property
    def blocks(self) -> int:
        """The number of blocks, L."""
        return len(self.block_names)

    @property
    def logits(self) -> np.ndarray | None:
        """The logits [n, K], float32; None of a network without a head."""
        return self._mapped("logits") if "logits" in self._tensors else None

    def pooled(self, block: int) -> np.ndarray:
        """The mean patch token of every image, [n, C], float32."""
        return self._mapped(f"pooled{block:02d}")

    def photographs(self, block: int) -> np.ndarray:
        """The mean patch token of every photograph, [G, C]: the mean over its images; `pooled` without groups."""
        return of_groups(self.pooled(block), self.groups)

    @property
    def first_images(self) -> np.ndarray:
        """Index of the first image of every photograph, [G], ascending."""
        return np.sort(np.unique(self.groups, return_index=True)[1])

    def tokens(self, block: int) -> np.ndarray:
        """Patch tokens at k random positions of every image, [n k, C], float32, image after image."""
        return self._mapped(f"tokens{block:02d}")

    def gram(self, block: int) -> np.ndarray:
        """Sum of x x^T over all patch tokens x of all images, [C, C], float64."""
        return self._mapped(f"gram{block:02d}")

    def once(self, name: Any, compute: Callable[[], Any]) -> Any:
        """Return `compute()`, cached under `name`, since a network belongs to many pairs."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    def of_blocks(self, name: str, compute: Callable[[int], Any]) -> list[Any]:
        """Return `compute` of each block's number, cached under `name`."""
        return self.once(name, lambda: [compute(block) for block in range(self.blocks)])

    def _mapped(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        return self._data[slice(*tensor["data_offsets"])].view(TYPES[tensor["dtype"]]).reshape(tensor["shape"])


def matched(first: Activations, second: Activations) -> None:
    """Raise StudyError unless both networks' rows are of the same images in the same order."""
    if first.names == second.names:
        return
    both = zip(first.names, second.names, strict=False)
    place = next((i for i, (a, b) in enumerate(both) if a != b), min(first.image_count, second.image_count))
    said = [
        f"{rows.path} has {rows.names[place]}" if place < rows.image_count else f"{rows.path} has no more"
        for rows in (first, second)
    ]
    raise StudyError(
        f"two networks cannot be compared, since their images differ: as image {place} {' and '.join(said)}; "
        "delete both files and run snakemake again"
    )
