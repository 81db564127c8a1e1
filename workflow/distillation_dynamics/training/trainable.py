"""What trains of a network, its optimiser and schedule (timm's), and what a step of it costs."""

import copy
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..networks.answers import run
from ..objective import Objective
from ..outputs import Outputs, Request
from ..spec.training import Recipe

# Optimisers of torch with a fused kernel: a tenth of a small student's time on a CPU.
FUSED = {"adamw", "adam"}


class Trainable(nn.Module):
    """Everything that trains: the student and the objective's own modules."""

    def __init__(self, student: nn.Module, objective: Objective):
        super().__init__()
        self.student, self.objective = student, objective

    def forward(self, pixels: Tensor, labels: Tensor, answer: Outputs, request: Request, precision: str) -> dict:
        """Return the parts of the loss on one batch: pixels [B, C, H, W], labels [B], the teacher's answer."""
        return self.objective(self.outputs(pixels, request, precision), answer, labels)

    def outputs(self, pixels: Tensor, request: Request, precision: str) -> Outputs:
        """Return what the student says of a batch, as far as its objective asks."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return run(self.student, pixels, request)

    def no_weight_decay(self) -> set[str]:
        """Name the student's parameters that timm exempts from weight decay, as seen from here."""
        names: set[str] = getattr(self.student, "no_weight_decay", set)()
        return {f"student.{name}" for name in names}


def make_optimizer(trainable: Trainable, recipe: Recipe) -> torch.optim.Optimizer:
    """Return timm's optimiser over everything that trains."""
    settings = recipe.optimizer
    fused: dict[str, Any] = {"fused": True} if settings.name in FUSED else {}
    return create_optimizer_v2(
        trainable,
        settings.name,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        eps=settings.eps,
        **fused,
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


def count_gflops(trainable: Trainable, pixels: Tensor, labels: Tensor, answer: Outputs, request: Request) -> float:
    """Return the operations of one training step on a batch, in 1e9 (2 a multiply-add), the teacher's left out.

    Measured on a copy: weights, buffers, gradients, hooks and random streams stay as they were.
    """
    trainable = copy.deepcopy(trainable)
    # The fused attention kernels are not counted on every device; the plain one is.
    with (
        torch.random.fork_rng([pixels.device] if pixels.is_cuda else []),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        trainable(pixels, labels, answer, request, "float32")["loss"].backward()
    return counter.get_total_flops() / 1e9
