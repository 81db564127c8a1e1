"""One training among those on the same batches: a network with objective, optimiser, random stream and log."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from .. import distributed
from ..data.streams import RandomStream
from ..errors import StudyError, at_fault, is_memory
from ..objective import ITSELF, Objective, Said, When
from ..spec.teacher_outputs import Part
from ..spec.training import Recipe
from .gradients import Gradients, compared
from .log import EPOCH_COLUMNS, GRADIENT_COLUMNS, Log
from .resume import States, log_from_state, log_to_state
from .teacher import joined
from .trainable import Seen, Trainable, count_gflops, make_optimizer, make_schedule
from .written import finish_epoch, write_steps

STEPS_BETWEEN_LOG_WRITES = 50
# Images for counting operations, which are reported per image.
COUNTED_IMAGES = 2


class Member:
    """One training among those on the same batches.

    `teachers`: the numbers of its teachers among all. `after_epoch` is called with 0 and after every epoch. With
    `states` the training resumes from its last saved state. `gradient_logs`: how many times gradients are logged by
    term and block. `failed`: the StudyError that ended it, if any. `own_seconds`: time spent on this member alone (on a
    CPU; a GPU computes asynchronously).
    """

    def __init__(
        self,
        student: nn.Module,
        objective: Objective,
        seed: int,
        teachers: Sequence[int] = (),
        after_epoch: Callable[[int], None] = lambda epoch: None,
        states: States | None = None,
        gradient_logs: int = 0,
    ):
        self.student, self.objective, self.seed = student, objective, seed
        self.teachers, self.after_epoch, self.states = tuple(teachers), after_epoch, states
        self.gradient_logs = gradient_logs
        self.log, self.step = Log(list(objective.terms)), 0
        # Epoch, step, learning rate and active terms of an update, and its numbers on the device.
        self.buffer: list[tuple[int, int, float, set[str], Tensor]] = []
        self.looked: list[tuple[int, int, Tensor]] = []
        self.failed: StudyError | None = None
        self.own_seconds = 0.0

    def begin(self, recipe: Recipe, steps: int, device: torch.device) -> None:
        """Build optimiser and schedule, and load the last saved state if there is one."""
        self.steps, self.epochs = steps, recipe.epochs
        self.trainable = Trainable(self.student, self.objective).to(device)
        # Cached: looking them up takes a twentieth of a small student's update.
        self.parameters = [list(part.parameters()) for part in (self.student, self.objective)]
        self.blocks = list(self.trainable.by_block().values())
        self.optimizer = make_optimizer(self.trainable, recipe)
        self.schedule = make_schedule(self.optimizer, recipe, steps)
        ema = recipe.ema
        self.average = ModelEmaV3(self.student, ema.decay, use_warmup=ema.warmup) if ema is not None else None
        state = self.states.load() if self.states else None
        if state is None:
            # Stream for dropout and stochastic depth; order and augmentation have their own.
            self.random = RandomStream(self.seed if distributed.rank() == 0 else stream_of(self.seed, 0))
            finish_epoch(self.log, 0, *[np.nan] * (len(EPOCH_COLUMNS) - 1))
            self.after_epoch(0)
            return
        self.trainable.load_state_dict(state["trainable"])
        self.objective.begin()
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        self.step, self.log = state["step"], log_from_state(state["log"])
        if len(state["random"]) == distributed.world():
            self.random = RandomStream.from_state(state["random"][distributed.rank()])
        else:
            self.random = RandomStream(stream_of(self.seed, self.step))
        self.trainable.train()

    @property
    def measured(self) -> nn.Module:
        """The network to validate, keep, test and measure: the student or, if configured, its weight average."""
        return self.student if self.average is None else self.average.module

    @property
    def when(self) -> When:
        """The next update."""
        return When(self.step, self.steps, self.epochs)

    def asks(self) -> dict[int, list[Part]]:
        """Return what its next update needs of teachers, by their numbers among all."""
        return {self.teachers[who]: parts for who, parts in self.objective.asks(self.when).items() if who != ITSELF}

    def update(
        self, batch: tuple[Tensor, Tensor, Tensor], said: Sequence[Said], recipe: Recipe, size: int | None
    ) -> None:
        """Make one update on a batch, `size` images at a time; errors are kept in `failed`.

        The batch has pixels [B, C, H, W], labels [B], targets (labels or class probabilities [B, K]), and the teachers'
        outputs that `asks` names. Out of memory concerns all members and is raised.
        """
        seen = Seen(*batch, {number: said[teacher] for number, teacher in enumerate(self.teachers)})
        if self.step == 0:
            self._try(lambda: self._count(seen))
            # Nearly all errors occur here, before the processes first wait for each other.
            if distributed.anywhere(self.failed is not None, seen.labels.device):
                self.failed = self.failed or StudyError("training: failed in another process, whose log has the reason")
                return
        self._try(lambda: self._update(seen, recipe, size))
        if self.failed is not None and distributed.world() > 1:
            # The other processes would wait for this one forever.
            raise self.failed

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            if is_memory(error):
                raise
            self.failed = at_fault(error)

    def _count(self, seen: Seen) -> None:
        """Count the operations of an update, on a few images and a copy of the objective."""
        few = seen[:COUNTED_IMAGES].copied()
        with self.random:
            self.log.gflops_per_image = count_gflops(self.trainable, few, self.when) / len(few.labels)

    def _update(self, seen: Seen, recipe: Recipe, size: int | None) -> None:
        when = self.when
        if recipe.schedule.step == "update":
            self.schedule.step_update(self.step)
        with self.random:
            if size is None or size >= len(seen.pixels):
                values, parts = self._whole(seen, when, recipe.precision)
            else:
                values, parts = self._in_parts(seen, when, recipe.precision, size)
        distributed.average_gradients(self.trainable.parameters())
        norms = self._clip(recipe)
        self.optimizer.step()
        # Freed now, not before the next update: otherwise those of all members would exist at once.
        self.optimizer.zero_grad()
        rate = self.optimizer.param_groups[0]["lr"]
        numbers = [norms, *(parts[name].detach()[None] for name in self.log.terms), parts["weights"]]
        epoch = 1 + self.step // self.steps
        row = torch.cat([*numbers, parts["loss"].detach()[None]])
        self.buffer.append((epoch, self.step, rate, set(values), row))
        self.step += 1
        if self.average is not None:
            self.average.update(self.student, self.step)
        if len(self.buffer) == STEPS_BETWEEN_LOG_WRITES:
            self.write_steps()

    def _clip(self, recipe: Recipe) -> Tensor:
        """Clip the gradients; return the norms of student and objective before clipping, and 1 if it clipped.

        Separately by default: a joint norm would shrink the student's updates in variants that train projections.
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

    def _whole(self, seen: Seen, when: When, precision: str) -> tuple[dict, dict]:
        """Compute the gradients of one batch; return the terms' values and the parts of the loss."""
        values = self.trainable(seen, when, precision)

        def gradients() -> list[Gradients]:
            return [self._gradients([value], [None]) for value in values.values()]

        parts = self.objective.weighed(values, when, self._look(values, when, gradients))
        parts["loss"].backward()
        return values, parts

    def _in_parts(self, seen: Seen, when: When, precision: str, size: int) -> tuple[dict, dict]:
        """Do what `_whole` does, `size` images at a time.

        First, all outputs are computed without a graph. The objective sees those of the whole batch, so that batch
        statistics are unchanged, and its gradients are then propagated part by part.
        """
        before, asked = RandomStream.here(), self.objective.asks(when)[ITSELF]
        some = [slice(start, start + size) for start in range(0, len(seen.pixels), size)]

        def said(images: slice) -> dict[Part, Tensor]:
            outputs = self.trainable.said(seen.pixels[images], asked, precision)
            return {part: value.float() for part, value in outputs.items()}

        def sent_back(sent: Sequence[Gradients], images: slice) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
            outputs = list(said(images).values())
            for gradients in sent:
                pairs = [(o, g[images]) for o, g in zip(outputs, gradients, strict=True) if g is not None]
                yield [o for o, _ in pairs], [g for _, g in pairs]

        with torch.no_grad():
            whole = {part: value.requires_grad_() for part, value in joined([said(images) for images in some]).items()}
        leaves = list(whole.values())
        values = self.objective.values({ITSELF: whole, **seen.taught}, seen.labels, seen.targets, when)
        # Random draws of the objective count: the next update continues from its stream, not from where the passes
        # ended.
        after = RandomStream.here()

        def gradients() -> list[Gradients]:
            options: dict[str, Any] = {"retain_graph": True, "allow_unused": True}
            sent = [torch.autograd.grad(value, leaves, **options) for value in values.values()]
            before.put_back()
            found = [[self._gradients(*pair) for pair in sent_back(sent, images)] for images in some]
            return [_summed(term) for term in zip(*found, strict=True)]

        parts = self.objective.weighed(values, when, self._look(values, when, gradients))
        parts["loss"].backward()
        before.put_back()
        for images in some:
            for outputs, own in sent_back([[leaf.grad for leaf in leaves]], images):
                torch.autograd.backward(outputs, own)
        after.put_back()
        return values, parts

    def _gradients(self, outputs: list[Tensor], own: Sequence[Tensor | None]) -> Gradients:
        """Return gradients of outputs by the parameters of all blocks, given the outputs' own gradients (None: 1)."""
        parameters = [p for block in self.blocks for p in block]
        if not outputs:
            return [None] * len(parameters)
        return torch.autograd.grad(outputs, parameters, own, retain_graph=True, allow_unused=True)

    def _look(self, values: dict[str, Tensor], when: When, gradients: Callable[[], list[Gradients]]) -> Tensor | None:
        """Log the terms' gradients if due; return their norms [terms] if weights depend on them."""
        objective, (total, logs) = self.objective, (self.steps * self.epochs, self.gradient_logs)
        finds = objective.by_gradient and objective.calibrates(when)
        due = self.step * logs // total > (self.step - 1) * logs // total
        if not finds and not due:
            return None
        specs = [objective.specs[name] for name in values]
        task = [(spec.weight or 1.0) if spec.teacher is None else 0.0 for spec in specs]
        found = compared(gradients(), task, self.blocks)
        if due:
            table = found.new_full((len(objective.specs), *found.shape[1:]), torch.nan)
            table[[name in values for name in objective.specs]] = found
            self.looked.append((1 + self.step // self.steps, self.step, table))
        return found[..., 0].norm(dim=1) if finds else None

    def write_steps(self) -> None:
        """Move buffered steps into the log in one transfer; record if a part is not finite."""
        self.log.gradients += [(epoch, step, table.cpu().tolist()) for epoch, step, table in self.looked]
        self.looked.clear()
        try:
            shared = [spec.name for spec in self.objective.specs.values() if spec.weight is None]
            write_steps(self.log, self.buffer, shared)
        except StudyError as error:
            self.failed = error

    def end_epoch(self, epoch: int, result: tuple[float, float]) -> None:
        """Close an epoch (the first is 1) with validation top-1 and loss (NaN: not validated)."""
        rows = self.log.of_epoch(epoch, "learning_rate", "loss", *GRADIENT_COLUMNS)
        _, loss, *gradients = rows.mean(axis=0).tolist()
        finish_epoch(self.log, epoch, float(rows[0, 0]), loss, *result, *gradients)
        self.objective.end_epoch()
        self.after_epoch(epoch)

    def state(self) -> dict:
        """Return the state before the next update."""
        self.write_steps()
        parts = {"trainable": self.trainable.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.average is not None:
            parts["average"] = self.average.module.state_dict()
        random = distributed.collected(self.random.state())
        return {"step": self.step, "log": log_to_state(self.log), "random": random, **parts}


def stream_of(seed: int, step: int) -> int:
    """Return the seed of this process's random stream from `step` on, if several processes train."""
    return int(np.random.SeedSequence([seed, step, distributed.rank(), distributed.world()]).generate_state(1)[0])


def _summed(parts: Sequence[Gradients]) -> Gradients:
    """Return the sum of gradients by the same parameters; None for those that none reaches."""
    there = [[gradient for gradient in column if gradient is not None] for column in zip(*parts, strict=True)]
    return [torch.stack(column).sum(dim=0) if column else None for column in there]
