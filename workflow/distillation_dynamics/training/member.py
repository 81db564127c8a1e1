"""One training among those that see the same batches: a network, its objective, optimiser, random stream and log."""

import math
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from .. import distributed
from ..data.streams import RandomStream
from ..errors import StudyError
from ..objective import Objective
from ..outputs import Outputs, Request
from ..spec.training import Recipe
from .log import EPOCH_COLUMNS, GRADIENT_COLUMNS, Log
from .resume import States, log_from_state, log_to_state
from .trainable import Trainable, count_gflops, make_optimizer, make_schedule

STEPS_BETWEEN_LOG_WRITES = 50
# A count of operations is per image, whatever the batch.
COUNTED_IMAGES = 2
NOTHING = Request()
REMEDY = "lower recipe.optimizer.learning_rate or set recipe.clip_gradient_norm"
NO_SHARE = "what is 0 cannot have a share of the loss; give a number as its weight"


class Member:
    """One training among those that see the same batches.

    `to_teacher` is what it asks of the teacher. `after_epoch` is called with 0 and after every epoch. With `states` the
    training goes on from its last saved state. `failed` is the StudyError that ended it, if one did; `own_seconds` the
    time that went into this member alone (on a CPU; a GPU computes while Python is elsewhere).
    """

    def __init__(
        self,
        student: nn.Module,
        objective: Objective,
        seed: int,
        to_teacher: Request = NOTHING,
        after_epoch: Callable[[int], None] = lambda epoch: None,
        states: States | None = None,
    ):
        self.student, self.objective, self.seed = student, objective, seed
        self.to_teacher, self.after_epoch, self.states = to_teacher, after_epoch, states
        self.request = objective.request
        self.log, self.step = Log(list(objective.terms)), 0
        # Epoch, step and learning rate of an update, and its numbers on the device.
        self.buffer: list[tuple[int, int, float, Tensor]] = []
        self.failed: StudyError | None = None
        self.own_seconds = 0.0

    def begin(self, recipe: Recipe, steps: int, device: torch.device) -> None:
        """Make optimiser and schedule, and take up the last state where there is one."""
        self.trainable = Trainable(self.student, self.objective).to(device)
        # Once: looking them up takes a twentieth of a small student's update.
        self.parameters = [list(part.parameters()) for part in (self.student, self.objective)]
        self.optimizer = make_optimizer(self.trainable, recipe)
        self.schedule = make_schedule(self.optimizer, recipe, steps)
        state = self.states.load() if self.states else None
        if state is None:
            # Dropout and stochastic depth draw from this stream; order and augmentation have streams of their own.
            self.random = RandomStream(self.seed if distributed.rank() == 0 else stream_of(self.seed, 0))
            _finish_epoch(self.log, 0, *[np.nan] * (len(EPOCH_COLUMNS) - 1))
            self.after_epoch(0)
            return
        self.trainable.load_state_dict(state["trainable"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.log = state["step"], log_from_state(state["log"])
        if len(state["random"]) == distributed.world():
            self.random = RandomStream.from_state(state["random"][distributed.rank()])
        else:
            self.random = RandomStream(stream_of(self.seed, self.step))
        self.trainable.train()

    def update(
        self, batch: tuple[Tensor, Tensor], answer: Outputs, epoch: int, recipe: Recipe, size: int | None
    ) -> None:
        """Make one update on a batch (pixels [B, C, H, W], labels [B]), `size` images at a time."""
        pixels, labels = batch
        if recipe.schedule.step == "update":
            self.schedule.step_update(self.step)
        with self.random:
            if self.step == 0:
                few = slice(COUNTED_IMAGES)
                counted = count_gflops(self.trainable, pixels[few], labels[few], answer[few], self.request)
                self.log.gflops_per_image = counted / len(labels[few])
            parts = self._gradients(pixels, labels, answer, recipe.precision, size)
        distributed.average_gradients(self.trainable.parameters())
        norms = self._clip(recipe)
        self.optimizer.step()
        # Now, and not before the next update: with several members theirs would lie there all at once.
        self.optimizer.zero_grad()
        rate = self.optimizer.param_groups[0]["lr"]
        values = torch.stack([parts[name].detach() for name in self.log.terms])
        numbers = [norms, values, parts["weights"], parts["loss"].detach()[None]]
        self.buffer.append((epoch + 1, self.step, rate, torch.cat(numbers)))
        self.step += 1
        if len(self.buffer) == STEPS_BETWEEN_LOG_WRITES:
            self.write_steps()

    def _clip(self, recipe: Recipe) -> Tensor:
        """Clip the gradients; return the norms of the student's and the objective's before, and 1 if it clipped.

        Apart, since one norm of both would make the student's updates smaller in the variants that train projections.
        """
        groups = [[p for p in part if p.grad is not None] for part in self.parameters]
        norms = [nn.utils.get_total_norm([p.grad for p in group if p.grad is not None]) for group in groups]
        limit = math.inf if recipe.clip_gradient_norm is None else recipe.clip_gradient_norm
        totals = [nn.utils.get_total_norm(norms)] * 2 if recipe.clip_jointly else norms
        for group, total in zip(groups, totals, strict=True):
            if group and recipe.clip_gradient_norm is not None:
                nn.utils.clip_grads_with_norm_(group, limit, total)
        own = norms[1] if groups[1] else torch.full_like(norms[0], torch.nan)
        return torch.stack([norms[0], own, (totals[0] > limit).float()])

    def _gradients(self, pixels: Tensor, labels: Tensor, answer: Outputs, precision: str, size: int | None) -> dict:
        """Leave the gradients of one batch, and return the parts of its loss.

        Of a batch in parts the outputs come first, without what their gradients need; the objective sees those of the
        whole batch, so that statistics over the batch stay what they are, and sends its gradients back part by part.
        """
        if size is None or size >= len(labels):
            parts = self.trainable(pixels, labels, answer, self.request, precision)
            parts["loss"].backward()
            return parts
        before = RandomStream.here()
        with torch.no_grad():
            said = [self.trainable.outputs(part, self.request, precision).float() for part in pixels.split(size)]
        whole = Outputs.joined(said).requiring_gradients()
        parts = self.objective(whole, answer, labels)
        parts["loss"].backward()
        before.put_back()
        for number, part in enumerate(pixels.split(size)):
            own = slice(number * size, (number + 1) * size)
            outputs = self.trainable.outputs(part, self.request, precision).float()
            pairs = [
                (o, w.grad[own]) for o, w in zip(outputs.tensors(), whole.tensors(), strict=True) if w.grad is not None
            ]
            tensors, gradients = zip(*pairs, strict=True)
            torch.autograd.backward(tensors, gradients)
        return parts

    def write_steps(self) -> None:
        """Move buffered steps into the log, in one transfer from the device; note where a part is not finite."""
        try:
            _write_steps(self.log, self.buffer)
        except StudyError as error:
            self.failed = error

    def end_epoch(self, epoch: int, result: tuple[float, float]) -> None:
        """Close an epoch (1 is the first) with its validation top-1 and loss (NaN: not validated)."""
        rows = self.log.of_epoch(epoch, "learning_rate", "loss", *GRADIENT_COLUMNS)
        _, loss, *gradients = rows.mean(axis=0).tolist()
        _finish_epoch(self.log, epoch, float(rows[0, 0]), loss, *result, *gradients)
        self.after_epoch(epoch)

    def state(self) -> dict:
        """Return the state before the next update."""
        self.write_steps()
        parts = {"trainable": self.trainable.state_dict(), "optimizer": self.optimizer.state_dict()}
        random = distributed.collected(self.random.state())
        return {"step": self.step, "log": log_to_state(self.log), "random": random, **parts}


def stream_of(seed: int, step: int) -> int:
    """Return the seed of this process's random stream from `step` on, where it cannot be that of one process."""
    return int(np.random.SeedSequence([seed, step, distributed.rank(), distributed.world()]).generate_state(1)[0])


def _write_steps(log: Log, buffer: list) -> None:
    """Move buffered steps into the log, in one transfer from the device."""
    if not buffer:
        return
    values = distributed.mean(torch.stack([row for *_, row in buffer])).cpu().tolist()
    for (epoch, step, rate, _), row in zip(buffer, values, strict=True):
        whole = [epoch, step, rate, *row]
        known = dict(zip(log.columns, whole, strict=True))
        for term in log.terms:
            if known[term] == 0 and not math.isfinite(known[f"weight of {term}"]):
                raise StudyError(f"training: {term} is 0 in epoch {epoch}, step {step}; {NO_SHARE}")
        for name in (*log.terms, "loss"):
            if not math.isfinite(known[name]):
                raise StudyError(f"training: {name} became {known[name]} in epoch {epoch}, step {step}; {REMEDY}")
        log.rows.append(whole)
    buffer.clear()


def _finish_epoch(log: Log, *values: float) -> None:
    """Close an epoch with the values of EPOCH_COLUMNS, and say what it came to."""
    for column, item in zip(EPOCH_COLUMNS, values, strict=True):
        log.epochs[column].append(item)
    epoch, rate, loss, accuracy = values[:4]
    if epoch > 0 and distributed.rank() == 0:
        validated = "" if math.isnan(accuracy) else f", validation top-1 {accuracy:.2f} %"
        print(f"epoch {epoch}: learning rate {rate:.3e}, train loss {loss:.4f}{validated}", file=sys.stderr, flush=True)
