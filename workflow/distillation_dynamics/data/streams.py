"""Random streams: the state of Python's, numpy's and torch's generators, swapped in while something draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class RandomStream:
    """A training's random stream: the state of all generators, active inside `with`.

    Draws inside `with stream:` continue where the last block ended, whatever was drawn in between.
    """

    def __init__(self, seed: int):
        with RandomStream.here():
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            self._take()

    @classmethod
    def here(cls) -> "RandomStream":
        """Return the stream this process draws from now."""
        stream = cls.__new__(cls)
        stream._take()
        return stream

    def _take(self) -> None:
        self.python, self.torch = random.getstate(), torch.get_rng_state()
        self.numpy: Any = np.random.get_state()  # noqa: NPY002
        # Only the GPU in use: querying others would allocate memory there.
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None

    def put_back(self) -> None:
        """Make this process draw from the stream."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.torch)
        if self.cuda is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.cuda)

    def __enter__(self) -> None:
        self.outside = RandomStream.here()
        self.put_back()

    def __exit__(self, *exception) -> None:
        self._take()
        self.outside.put_back()

    def state(self) -> dict[str, Any]:
        """Return the stream as tensors and plain values, for a file that is read with `weights_only=True`."""
        name, words, *rest = self.numpy
        numpy = [name, words.tolist(), *rest]
        return {"python": self.python, "numpy": numpy, "torch": self.torch, "cuda": self.cuda}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "RandomStream":
        """Return the stream from the output of `state`."""
        stream = cls.__new__(cls)
        version, words, gauss = state["python"]
        name, values, *rest = state["numpy"]
        stream.python = version, tuple(words), gauss
        stream.numpy = (name, np.array(values, dtype=np.uint32), *rest)
        stream.torch, stream.cuda = state["torch"], state["cuda"]
        return stream


@contextmanager
def drawn_from(*key: int) -> Iterator[None]:
    """Draw from a stream determined by a key, and continue with the process's own stream afterwards.

    timm's augmentations use all generators, and must not affect the training process's own stream (dropout).
    """
    outside = RandomStream.here()
    words = np.random.SeedSequence(key).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002
    torch.manual_seed(int(words[2]))
    try:
        yield
    finally:
        outside.put_back()
