"""Fills the log of a training: rows of steps, which stay on the device until written, and of epochs."""

import math
import sys
from collections.abc import Collection

import torch

from .. import distributed
from ..errors import StudyError
from .log import EPOCH_COLUMNS, Log

REMEDY = "lower recipe.optimizer.learning_rate or set recipe.clip_gradient_norm"
NO_SHARE = "what is 0 cannot have a share; give a number as its weight"


def write_steps(log: Log, buffer: list, shared: Collection[str] = ()) -> None:
    """Move buffered steps into the log in one device transfer; `shared`: terms whose weight follows from a share."""
    if not buffer:
        return
    values = distributed.mean(torch.stack([row for *_, row in buffer])).cpu().tolist()
    for (epoch, step, rate, computed, _), row in zip(buffer, values, strict=True):
        whole = [epoch, step, rate, *row]
        known = dict(zip(log.columns, whole, strict=True))
        for term in computed.intersection(shared):
            if math.isfinite(known[term]) and not math.isfinite(known[f"weight of {term}"]):
                what = "is 0" if known[term] == 0 else "has no gradient on the student's blocks"
                raise StudyError(f"training: {term} {what} in epoch {epoch}, step {step}; {NO_SHARE}")
        for name in (*(term for term in log.terms if term in computed), "loss"):
            if not math.isfinite(known[name]):
                raise StudyError(f"training: {name} became {known[name]} in epoch {epoch}, step {step}; {REMEDY}")
        log.rows.append(whole)
    buffer.clear()


def finish_epoch(log: Log, *values: float) -> None:
    """Close an epoch with the values of EPOCH_COLUMNS, and print its results."""
    for column, item in zip(EPOCH_COLUMNS, values, strict=True):
        log.epochs[column].append(item)
    epoch, rate, loss, accuracy = values[:4]
    if epoch > 0 and distributed.rank() == 0:
        validated = "" if math.isnan(accuracy) else f", validation top-1 {accuracy:.2f} %"
        print(f"epoch {epoch}: learning rate {rate:.3e}, train loss {loss:.4f}{validated}", file=sys.stderr, flush=True)
