"""What the teacher says of another image of the batch: its statistics, and nothing of this image."""

from torch import Tensor


def target(values: Tensor, kind: str, seed: int) -> Tensor:
    """Return values [B, ...] of the image half a batch away; repeated views of an image lie next to each other."""
    return values.roll(len(values) // 2, dims=0)
