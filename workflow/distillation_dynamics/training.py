"""One training loop for every model of a study, from a 28-pixel student to ImageNet.

In: a student, an objective (which owns whatever it trains beside the student), a teacher that answers a batch (or
None), the images and a recipe. Out: the student, trained in place, and what happened at every step and epoch. timm
makes optimiser, schedule and augmentation. The loop never waits for the device except to write its log.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from . import models
from .data import Batch, Split
from .errors import StudyError
from .objective import Objective, Outputs
from .study import Recipe
from .training_log import EPOCH_COLUMNS, STEP_COLUMNS, Log

EVALUATION_BATCH = 256
STEPS_BETWEEN_LOG_WRITES = 50
# Optimisers of torch with a fused kernel: a tenth of a small student's time on a CPU.
FUSED = {"adamw", "adam"}
Teacher = Callable[[Batch, Tensor, int], Outputs]


class Task(nn.Module):
    """Everything that trains: the student and the objective's own modules."""

    def __init__(self, student: nn.Module, objective: Objective):
        super().__init__()
        self.student, self.objective = student, objective

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
) -> Log:
    """Train `student` in place and return the log; `after_epoch` is called with 0 and after every epoch.

    Raises StudyError when a part of the loss is not finite, naming epoch, step and part.
    """
    steps = len(images) // recipe.batch_size
    if steps == 0:
        raise StudyError(f"recipe.batch_size: {recipe.batch_size} is more than the {len(images)} training images")
    task = Task(student, objective).to(device)
    optimizer = make_optimizer(task, recipe)
    schedule = make_schedule(optimizer, recipe, steps)
    blocks = sorted({s for term in objective.terms.values() for s, _ in getattr(term, "pairs", ())})
    log, buffer = Log(), []
    start = time.perf_counter()
    # Dropout and stochastic depth draw from this stream; order and augmentation have streams of their own.
    torch.manual_seed(seed)
    _finish_epoch(log, 0, np.nan, np.nan, np.nan, np.nan)
    after_epoch(0)
    for epoch in range(recipe.epochs):
        task.train()
        losses = []
        for step, batch in enumerate(
            images.training(recipe.batch_size, recipe.augmentation, seed, epoch, workers), epoch * steps
        ):
            if recipe.schedule.step == "update":
                schedule.step_update(step)
            pixels = batch.images.to(device, non_blocking=True)
            labels = batch.labels.to(device, non_blocking=True)
            answer = Outputs() if teacher is None else teacher(batch, pixels, epoch)
            if step == 0:
                log.gflops_per_image = count_gflops(task, pixels, labels, answer, blocks) / len(labels)
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                outputs = models.run(student, pixels, blocks)
            parts = objective(outputs, answer, labels)
            optimizer.zero_grad()
            parts["loss"].backward()
            if recipe.clip_gradient_norm is not None:
                nn.utils.clip_grad_norm_(task.parameters(), recipe.clip_gradient_norm)
            optimizer.step()
            buffer.append((step, optimizer.param_groups[0]["lr"], {k: v.detach() for k, v in parts.items()}))
            if len(buffer) == STEPS_BETWEEN_LOG_WRITES or step == (epoch + 1) * steps - 1:
                losses += _write_steps(log, buffer, epoch, objective.weights)
                buffer = []
        if recipe.schedule.step == "epoch":
            schedule.step(epoch)
        done = epoch + 1
        measured = done == recipe.epochs or done % recipe.validate_every == 0
        result = np.nan, np.nan
        if measured:
            log.validation_logits = predict(student, validation, device, workers)
            result = score(log.validation_logits, validation.labels)
        rate = log.steps["learning_rate"][-len(losses) * (1 + len(objective.weights))]
        _finish_epoch(log, done, rate, float(np.mean(losses)), *result)
        after_epoch(done)
    log.seconds = time.perf_counter() - start
    return log


def make_optimizer(task: Task, recipe: Recipe) -> torch.optim.Optimizer:
    """Return timm's optimiser over everything that trains.

    Raises StudyError when timm does not know the optimiser.
    """
    settings = recipe.optimizer
    try:
        return create_optimizer_v2(
            task,
            settings.name,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            eps=settings.eps,
            **({"fused": True} if settings.name in FUSED else {}),
        )
    except (ValueError, AssertionError, TypeError) as error:
        raise StudyError(f"recipe.optimizer: timm cannot make {settings.name!r} ({error})") from error


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
    return torch.cat(parts).cpu().numpy()


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose largest logit [N, K] is the label's [N], in percent."""
    return float(100 * np.mean(logits.argmax(axis=1) == labels))


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return top-1 in percent and mean cross-entropy in nats of logits [N, K]."""
    loss = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    return top1(logits, labels), float(loss)


def count_gflops(task: Task, pixels: Tensor, labels: Tensor, answer: Outputs, blocks: list[int]) -> float:
    """Return the operations of one training step on a batch, in 1e9 (2 a multiply-add), the teacher's left out."""
    state = torch.get_rng_state()
    # The fused attention kernels are not counted on every device; the plain one is.
    with (
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        task.objective(models.run(task.student, pixels, blocks), answer, labels)["loss"].backward()
    task.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    return counter.get_total_flops() / 1e9


def _write_steps(log: Log, buffer: list, epoch: int, weights: dict[str, float]) -> list[float]:
    """Move buffered steps into the log in one transfer; return their losses."""
    names = list(buffer[0][2])
    values = torch.stack([torch.stack([parts[name].float() for name in names]) for *_, parts in buffer]).cpu().numpy()
    for (step, rate, _), row in zip(buffer, values, strict=True):
        for name, value in zip(names, row, strict=True):
            if not np.isfinite(value):
                raise StudyError(
                    f"training: {name} became {value} in epoch {epoch + 1}, step {step}; lower "
                    "recipe.optimizer.learning_rate or set recipe.clip_gradient_norm"
                )
            entry = (
                epoch + 1,
                step,
                rate,
                name,
                float(value),
                1.0 if name == "loss" else float(weights[name]),
            )
            for column, item in zip(STEP_COLUMNS, entry, strict=True):
                log.steps[column].append(item)
    return values[:, names.index("loss")].tolist()


def _finish_epoch(log: Log, epoch: int, rate: float, loss: float, accuracy: float, validation_loss: float) -> None:
    for column, item in zip(EPOCH_COLUMNS, (epoch, rate, loss, accuracy, validation_loss), strict=True):
        log.epochs[column].append(item)
    if epoch > 0:
        print(
            f"epoch {epoch}: learning rate {rate:.3e}, train loss {loss:.4f}, validation top-1 {accuracy:.2f} %",
            file=sys.stderr,
            flush=True,
        )
