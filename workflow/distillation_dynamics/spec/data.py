"""The job of the data stage."""

from dataclasses import dataclass

from .base import aside
from .images import Validation


@dataclass(frozen=True)
class DataJob:
    """Split the images of two sources, train and test.

    `content` stands for what is in them. `shape` is (channels, side) where images are decoded into arrays, None where
    they stay in their folders.
    """

    classes: int
    validation: Validation
    content: dict[str, str]
    shape: tuple[int, int] | None
    train: str = aside()
    test: str = aside()
    out: str = aside()
