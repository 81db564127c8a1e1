"""Zeros in the teacher's place: what a term does that only makes the student's features small."""

from torch import Tensor


def target(values: Tensor, kind: str, seed: int) -> Tensor:
    """Return zeros in the place of values of any shape."""
    return values.new_zeros(values.shape)
