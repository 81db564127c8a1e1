"""One training loop for every model of a study, from a 28-pixel student to ImageNet.

In: a student, an objective (which owns whatever it trains beside the student), a teacher that answers a batch (or
None), the images and a recipe. Out: the student, trained in place, and what happened at every step and epoch. timm
makes optimiser, schedule and augmentation. The loop never waits for the device except to write its log.
"""

import copy
import math
import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from . import distributed, models
from .data import Batch, Split
from .errors import StudyError
from .objective import Objective, Outputs
from .resume import States, random_state, set_random_state
from .spec import Recipe
from .training_log import EPOCH_COLUMNS, Log

EVALUATION_BATCH = 256
STEPS_BETWEEN_LOG_WRITES = 50
# Optimisers of torch with a fused kernel: a tenth of a small student's time on a CPU.
FUSED = {"adamw", "adam"}
# Several processes agree this often on whether to save a state: one of them may have been asked to stop.
STEPS_BETWEEN_VOTES = 10
Teacher = Callable[[Batch, Tensor, int], Outputs]


class Task(nn.Module):
    """Everything that trains: the student and the objective's own modules."""

    def __init__(self, student: nn.Module, objective: Objective):
        super().__init__()
        self.student, self.objective = student, objective

    def forward(self, pixels: Tensor, labels: Tensor, answer: Outputs, blocks: list[int], precision: str) -> dict:
        """Return the parts of the loss on one batch: pixels [B, C, H, W], labels [B], the teacher's answer."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = models.run(self.student, pixels, blocks)
        return self.objective(outputs, answer, labels)

    def no_weight_decay(self) -> set[str]:
        """Name the student's parameters that timm exempts from weight decay, as seen from here."""
        names = getattr(self.student, "no_weight_decay", set)()
        return {f"student.{name}" for name in names}


def train(
    student: nn.Module,
    objective: Objective,
    teacher: Teacher | None,
    images: Split,
    validation: Split,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    workers: int = 0,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    states: States | None = None,
) -> Log:
    """Train `student` in place and return the log; `after_epoch` is called with 0 and after every epoch.

    With `states` the training goes on from its last saved state, if there is one, to the same bits on a CPU. Raises
    StudyError when a part of the loss is not finite, naming epoch, step and part, and Interrupted when a signal asked
    for a stop and the state is saved.
    """
    steps = len(images) // recipe.batch_size
    if steps == 0:
        raise StudyError(f"recipe.batch_size: {recipe.batch_size} is more than the {len(images)} training images")
    if recipe.batch_size % distributed.world():
        raise StudyError(
            f"recipe.batch_size: {recipe.batch_size} is no multiple of the {distributed.world()} processes"
        )
    task = Task(student, objective).to(device)
    model = distributed.wrap(task)
    optimizer = make_optimizer(task, recipe)
    schedule = make_schedule(optimizer, recipe, steps)
    blocks = sorted({s for term in objective.terms.values() for s, _ in getattr(term, "pairs", ())})
    log, buffer, begin = Log(objective.weights), [], 0
    state = states.load() if states else None
    if state is None:
        # Dropout and stochastic depth draw from this stream; order and augmentation have streams of their own.
        torch.manual_seed(seed if distributed.rank() == 0 else stream_of(seed, 0))
        _finish_epoch(log, 0, np.nan, np.nan, np.nan, np.nan)
        after_epoch(0)
    else:
        task.load_state_dict(state["task"])
        optimizer.load_state_dict(state["optimizer"])
        begin, log = state["step"], log_from_state(state["log"])
        if len(state["random"]) == distributed.world():
            set_random_state(state["random"][distributed.rank()])
        else:
            torch.manual_seed(stream_of(seed, begin))
    start = time.perf_counter() - log.seconds

    def state_at(step: int) -> dict:
        _write_steps(log, buffer)
        log.seconds = time.perf_counter() - start
        parts = {"task": task.state_dict(), "optimizer": optimizer.state_dict()}
        return {"step": step, "log": log_to_state(log), "random": distributed.collected(random_state()), **parts}

    def save_if_due(step: int) -> None:
        if states is None or step == steps * recipe.epochs or (distributed.world() > 1 and step % STEPS_BETWEEN_VOTES):
            return
        if distributed.anywhere(states.due(), device):
            states.save(step, state_at(step))

    with states.listening() if states else nullcontext():
        for epoch in range(begin // steps, recipe.epochs):
            task.train()
            first = max(begin, epoch * steps)
            batches = images.training(
                recipe.batch_size, recipe.augmentation, seed, epoch, workers, first - epoch * steps
            )
            with closing(batches):
                for step, batch in enumerate(batches, first):
                    if recipe.schedule.step == "update":
                        schedule.step_update(step)
                    pixels = batch.images.to(device, non_blocking=True)
                    labels = batch.labels.to(device, non_blocking=True)
                    answer = Outputs() if teacher is None else teacher(batch, pixels, epoch)
                    if step == 0:
                        log.gflops_per_image = count_gflops(task, pixels, labels, answer, blocks) / len(labels)
                    parts = model(pixels, labels, answer, blocks, recipe.precision)
                    optimizer.zero_grad()
                    parts["loss"].backward()
                    if recipe.clip_gradient_norm is not None:
                        nn.utils.clip_grad_norm_(task.parameters(), recipe.clip_gradient_norm)
                    optimizer.step()
                    rate = optimizer.param_groups[0]["lr"]
                    buffer.append((epoch + 1, step, rate, [parts[name].detach() for name in log.parts]))
                    if len(buffer) == STEPS_BETWEEN_LOG_WRITES:
                        _write_steps(log, buffer)
                    if step + 1 < (epoch + 1) * steps:
                        save_if_due(step + 1)
            _write_steps(log, buffer)
            if recipe.schedule.step == "epoch":
                schedule.step(epoch)
            done = epoch + 1
            result = np.nan, np.nan
            if done == recipe.epochs or done % recipe.validate_every == 0:
                log.validation_logits = predict(student, validation, device, workers)
                result = score(log.validation_logits, validation.labels)
            rows = log.of_epoch(done)
            _finish_epoch(log, done, float(rows[0, 2]), float(rows[:, 3].mean()), *result)
            after_epoch(done)
            save_if_due(done * steps)
        if states is not None:
            states.finish(steps * recipe.epochs, state_at(steps * recipe.epochs))
    log.seconds = time.perf_counter() - start
    return log


def stream_of(seed: int, step: int) -> int:
    """Return the seed of this process's random stream from `step` on, where it cannot be that of one process."""
    return int(np.random.SeedSequence([seed, step, distributed.rank(), distributed.world()]).generate_state(1)[0])


def make_optimizer(task: Task, recipe: Recipe) -> torch.optim.Optimizer:
    """Return timm's optimiser over everything that trains."""
    settings = recipe.optimizer
    return create_optimizer_v2(
        task,
        settings.name,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        eps=settings.eps,
        **({"fused": True} if settings.name in FUSED else {}),
    )


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int):
    """Return timm's learning-rate schedule, stepped per update or (as published) after each epoch."""
    settings = recipe.schedule
    schedule, _ = create_scheduler_v2(
        optimizer,
        settings.name,
        num_epochs=recipe.epochs,
        warmup_epochs=settings.warmup_epochs,
        warmup_lr=settings.warmup_learning_rate,
        min_lr=settings.minimum_learning_rate,
        step_on_epochs=settings.step == "epoch",
        updates_per_epoch=steps,
    )
    return schedule


@torch.inference_mode()
def predict(network: nn.Module, images: Split, device: torch.device, workers: int = 0) -> np.ndarray:
    """Return logits [N, K] in float32 of all images of a split, in order; the network is left in evaluation mode."""
    network.to(device).eval()
    parts = [
        network(batch.images.to(device, non_blocking=True)).float()
        for batch in images.evaluation(EVALUATION_BATCH, workers)
    ]
    return distributed.joined(torch.cat(parts), len(images)).cpu().numpy()


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose largest logit [N, K] is the label's [N], in percent."""
    return float(100 * np.mean(logits.argmax(axis=1) == labels))


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return top-1 in percent and mean cross-entropy in nats of logits [N, K]."""
    loss = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    return top1(logits, labels), float(loss)


def count_gflops(task: Task, pixels: Tensor, labels: Tensor, answer: Outputs, blocks: list[int]) -> float:
    """Return the operations of one training step on a batch, in 1e9 (2 a multiply-add), the teacher's left out.

    Measured on a copy: weights, buffers, gradients, hooks and random streams stay as they were.
    """
    task = copy.deepcopy(task)
    # The fused attention kernels are not counted on every device; the plain one is.
    with (
        torch.random.fork_rng([pixels.device] if pixels.is_cuda else []),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        task(pixels, labels, answer, blocks, "float32")["loss"].backward()
    return counter.get_total_flops() / 1e9


def log_to_state(log: Log) -> dict:
    """Return a log as tensors and plain values, for a file that is read with `weights_only=True`."""
    logits = None if log.validation_logits is None else torch.from_numpy(log.validation_logits)
    return {**vars(log), "rows": torch.tensor(log.rows, dtype=torch.float64), "validation_logits": logits}


def log_from_state(state: dict) -> Log:
    """Return the log that `log_to_state` was given."""
    logits = state["validation_logits"]
    return Log(
        **state | {"rows": state["rows"].tolist(), "validation_logits": None if logits is None else logits.numpy()}
    )


def _write_steps(log: Log, buffer: list) -> None:
    """Move buffered steps into the log, in one transfer from the device."""
    if not buffer:
        return
    values = torch.stack([torch.stack([value.float() for value in row]) for *_, row in buffer])
    values = distributed.mean(values).cpu().tolist()
    for (epoch, step, rate, _), row in zip(buffer, values, strict=True):
        for name, value in zip(log.parts, row, strict=True):
            if not math.isfinite(value):
                raise StudyError(
                    f"training: {name} became {value} in epoch {epoch}, step {step}; lower "
                    "recipe.optimizer.learning_rate or set recipe.clip_gradient_norm"
                )
        log.add_step(epoch, step, rate, row)
    buffer.clear()


def _finish_epoch(log: Log, epoch: int, rate: float, loss: float, accuracy: float, validation_loss: float) -> None:
    for column, item in zip(EPOCH_COLUMNS, (epoch, rate, loss, accuracy, validation_loss), strict=True):
        log.epochs[column].append(item)
    if epoch > 0 and distributed.rank() == 0:
        print(
            f"epoch {epoch}: learning rate {rate:.3e}, train loss {loss:.4f}, validation top-1 {accuracy:.2f} %",
            file=sys.stderr,
            flush=True,
        )
