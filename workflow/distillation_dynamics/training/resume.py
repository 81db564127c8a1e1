"""States of an unfinished training: saved every few minutes and on SIGTERM, loaded by the next attempt.

They are in a hidden folder next to the training's output. A file is the SHA-256 of its payload, a newline and the
payload (a torch file of tensors and plain values, read with `weights_only=True`). Its name is its key: that of the
training, with the content of its inputs and package versions. A state of another key is never used, and is deleted only
when another training has finished.
"""

import hashlib
import io
import pickle
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .. import distributed
from ..errors import Interrupted
from ..files import replacing, sha256
from .log import Log

KEPT = 2
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """A request to stop, by SIGTERM or SIGINT."""

    def __init__(self):
        self.asked: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Turn the signals into a request while the block runs."""

        def note(number: int, frame: Any) -> None:
            self.asked = number

        before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end_if_asked(self, step: int) -> None:
        """Raise Interrupted if any process was asked to stop; all processes call this after saving their states."""
        signals = [number for number in distributed.collected(self.asked) if number is not None]
        if signals:
            name = signal.Signals(signals[0]).name
            raise Interrupted(f"stopped by {name} before update {step}; run the same command again to resume there")


class States:
    """The last two states of a training in `folder`, saved `minutes` apart."""

    def __init__(self, folder: str | Path, key: str, minutes: float):
        self.folder, self.key, self.minutes = Path(folder), key, minutes
        self.written = time.monotonic()
        self.kept: dict[str, str] = {}

    def due(self) -> bool:
        """Return whether a state is due."""
        return time.monotonic() - self.written >= 60 * self.minutes

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state before update `step`, whole or not at all, and delete all but the last two.

        With several processes the first one writes. Raises StudyError if the disk is full.
        """
        if distributed.rank() == 0:
            self._write(step, state)
        self.written = time.monotonic()

    def _write(self, step: int, state: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save({"state": state, "kept": self.kept}, buffer)
        payload = buffer.getvalue()
        path = self.folder / f"{self.key}-{step:09d}.state"
        with replacing(path) as temporary, open(temporary, "wb") as file:
            file.write(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
        for old in self._paths()[KEPT:]:
            old.unlink()

    def load(self) -> dict[str, Any] | None:
        """Return the newest valid state of this training, or None; report on stderr states that are damaged or of
        another key.
        """
        others = [path for path in self.folder.glob("*.state") if not path.name.startswith(f"{self.key}-")]
        for path in sorted(others):
            _say(f"{path}: is of another configuration, input or code and is not used; delete it if it is of no use")
        for path in self._paths():
            digest, _, payload = path.read_bytes().partition(b"\n")
            if hashlib.sha256(payload).hexdigest().encode() != digest:
                _say(f"{path}: is damaged and is not used; the state before it is, if there is one")
                continue
            try:
                content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
            except (RuntimeError, pickle.UnpicklingError) as error:
                _say(f"{path}: cannot be read ({error}); the state before it is used, if there is one")
                continue
            kept = content["kept"]
            if lost := [name for name, digest in kept.items() if not self._is_whole(name, digest)]:
                _say(f"{self.beside / lost[0]}: is missing or damaged, so that {path} is not used")
                continue
            self.kept = kept
            _say(f"going on from {path}")
            return content["state"]
        return None

    @property
    def beside(self) -> Path:
        """Folder of files that belong to the saved states, such as weights of finished epochs."""
        return self.folder / self.key

    def keep(self, name: str) -> None:
        """Make a file written into `beside` part of all later states."""
        self.kept[name] = sha256(self.beside / name)

    def finish(self, step: int, state: dict[str, Any]) -> None:
        """Write the last state, and delete all others, including those of other keys.

        The last one stays: if a job is stopped after its training ended, Snakemake deletes the job's outputs.
        """
        self.save(step, state)
        if distributed.rank() > 0:
            return
        newest = self._paths()[0]
        for path in self.folder.iterdir():
            if path.is_dir() and path != self.beside:
                shutil.rmtree(path)
            elif path.is_file() and path != newest:
                path.unlink()

    def _is_whole(self, name: str, digest: str) -> bool:
        path = self.beside / name
        return path.is_file() and sha256(path) == digest

    def _paths(self) -> list[Path]:
        """This training's states, newest first."""
        return sorted((path for path in self.folder.glob(f"{self.key}-*.state") if path.is_file()), reverse=True)


def _say(sentence: str) -> None:
    if distributed.rank() == 0:
        print(f"resume: {sentence}", file=sys.stderr, flush=True)


def log_to_state(log: Log) -> dict:
    """Return a log as tensors and plain values, for a file that is read with `weights_only=True`."""
    logits = None if log.validation_logits is None else torch.from_numpy(log.validation_logits)
    return {**vars(log), "rows": torch.tensor(log.rows, dtype=torch.float64), "validation_logits": logits}


def log_from_state(state: dict) -> Log:
    """Return the log from the output of `log_to_state`."""
    logits = state["validation_logits"]
    return Log(
        **state | {"rows": state["rows"].tolist(), "validation_logits": None if logits is None else logits.numpy()}
    )
