"""Everything of a network that trains, with timm's optimiser and schedule, and the cost of a step."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..networks.blocks import block_names
from ..networks.parts import say
from ..objective import ITSELF, Objective, Said, When
from ..spec.teacher_outputs import Part
from ..spec.training import Recipe

# torch's optimisers with a fused kernel, which saves a tenth of a small student's time on a CPU.
FUSED = {"adamw", "adam"}


@dataclass(frozen=True)
class Seen:
    """A batch as a member sees it: pixels [B, C, H, W], labels [B], targets (labels or class probabilities [B, K]).

    `taught`: its teachers' outputs, by number.
    """

    pixels: Tensor
    labels: Tensor
    targets: Tensor
    taught: Mapping[int, Said]

    def __getitem__(self, images: Any) -> "Seen":
        """Return a part of the batch."""
        return Seen(
            self.pixels[images],
            self.labels[images],
            self.targets[images],
            {number: {part: value[images] for part, value in said.items()} for number, said in self.taught.items()},
        )

    def copied(self) -> "Seen":
        """Return a copy of the batch that shares no memory with it."""
        taught = {number: {part: value.clone() for part, value in said.items()} for number, said in self.taught.items()}
        return Seen(self.pixels.clone(), self.labels.clone(), self.targets.clone(), taught)


class Trainable(nn.Module):
    """Everything that trains: the student and the modules of its objective."""

    def __init__(self, student: nn.Module, objective: Objective):
        super().__init__()
        self.student, self.objective = student, objective

    def forward(self, batch: Seen, when: When, precision: str) -> dict[str, Tensor]:
        """Return the unweighted values of the terms on one batch."""
        said = self.said(batch.pixels, self.objective.asks(when)[ITSELF], precision)
        return self.objective.values({ITSELF: said, **batch.taught}, batch.labels, batch.targets, when)

    def said(self, pixels: Tensor, parts: list[Part], precision: str) -> dict[Part, Tensor]:
        """Return parts of the student's outputs on pixels [B, C, H, W]."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return say(self.student, pixels, parts)

    def by_block(self) -> dict[str, list[nn.Parameter]]:
        """Return the student's trained parameters by block."""
        named = list(self.student.named_parameters())
        return {
            block: [p for name, p in named if name.startswith(f"{block}.") and p.requires_grad]
            for block in block_names(self.student)
        }

    def no_weight_decay(self) -> set[str]:
        """Return the names, within this module, of the parameters that timm exempts from weight decay."""
        names: set[str] = getattr(self.student, "no_weight_decay", set)()
        return {f"student.{name}" for name in names}


def make_optimizer(trainable: Trainable, recipe: Recipe) -> torch.optim.Optimizer:
    """Return timm's optimiser over all trained parameters."""
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


def count_gflops(trainable: Trainable, batch: Seen, when: When) -> float:
    """Return the operations of one training step on a batch in 1e9 (a multiply-add counts 2), without the teacher's.

    Measured on a copy: weights, buffers, gradients, hooks and random streams are unchanged.
    """
    trainable = copy.deepcopy(trainable)
    # Fused attention kernels are not counted on every device; the plain one is.
    with (
        torch.random.fork_rng([batch.pixels.device] if batch.pixels.is_cuda else []),
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):
        sum(trainable(batch, when, "float32").values()).backward()
    return counter.get_total_flops() / 1e9
