"""Random streams: the state of Python's, numpy's and torch's generators, put in while something draws and taken out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class RandomStream:
    """A random stream of one training: the state of all generators, put in while it computes and taken out after.

    `with stream:` draws go on where the last block left off, whatever was drawn between.
    """

    def __init__(self, seed: int):
        with RandomStream.here():
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            self._take()

    @classmethod
    def here(cls) -> "RandomStream":
        """Return the stream that this process draws from now."""
        stream = cls.__new__(cls)
        stream._take()
        return stream

    def _take(self) -> None:
        self.python, self.torch = random.getstate(), torch.get_rng_state()
        self.numpy: Any = np.random.get_state()  # noqa: NPY002
        # Only the GPU in use: asking for the others would take memory of theirs.
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None

    def put_back(self) -> None:
        """Have this process draw from here on."""
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
        """Return the stream that `state` was taken of."""
        stream = cls.__new__(cls)
        version, words, gauss = state["python"]
        name, values, *rest = state["numpy"]
        stream.python = version, tuple(words), gauss
        stream.numpy = (name, np.array(values, dtype=np.uint32), *rest)
        stream.torch, stream.cuda = state["torch"], state["cuda"]
        return stream


@contextmanager
def drawn_from(*key: int) -> Iterator[None]:
    """Draw from a stream that a key names alone, and go on with the process's own afterwards.

    timm's augmentations draw from all generators, and the training process's own stream (dropout) must not notice.
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
