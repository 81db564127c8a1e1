"""One training loop for every network of a study, from a 28-pixel student to ImageNet, and for several at once.

In: members (a network with an objective, which owns everything else that trains), teachers, images and a recipe. Out:
the members, trained in place, each with a log of every step and epoch. All members see the same batches, which are read
and passed to the teachers once. Each has its own optimiser, random streams and saved states, so that on a CPU it ends
with the same bits as if trained alone. Optimiser, schedule and augmentation are timm's. The loop waits for the device
only to write its log.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from .. import distributed
from ..data.split import Batch, Split
from ..data.transfer import sent
from ..errors import StudyError, is_memory
from ..networks.blocks import classes_of
from ..objective import Said
from ..spec.teacher_outputs import Part, ordered
from ..spec.training import Recipe
from .evaluation import predict, score
from .member import Member
from .mixing import mixed
from .resume import Stop
from .written import REMEDY

# Interval in updates at which several processes agree on saving their states, since one may have been asked to stop.
STEPS_BETWEEN_VOTES = 10
# Returns the teachers' outputs that all members need, for a batch (its images on the device) in an epoch.
Teacher = Callable[[Batch, Tensor, int, list[Part]], Said]


def train(
    members: list[Member],
    teachers: Sequence[Teacher],
    images: Split,
    validation: Split,
    recipe: Recipe,
    device: torch.device,
    workers: int = 0,
    images_at_a_time: int | None = None,
) -> None:
    """Train all members in place; a member that fails says why in `failed`, and the others continue.

    With saved states the trainings resume, with the same bits on a CPU; members at different steps catch up.
    `images_at_a_time` limits the memory of a process. Raises StudyError if a batch cannot be formed or exceeds the
    memory, and Interrupted after a stop signal once all states are saved.
    """
    steps = len(images) // recipe.batch_size
    if steps == 0:
        raise StudyError(f"recipe.batch_size: {recipe.batch_size} is more than the {len(images)} training images")
    if recipe.batch_size % distributed.world():
        raise StudyError(
            f"recipe.batch_size: {recipe.batch_size} is not a multiple of the {distributed.world()} processes"
        )
    if recipe.mixing is not None and recipe.batch_size % (2 * distributed.world()):
        raise StudyError(
            f"recipe.batch_size: {recipe.batch_size} is not a multiple of {2 * distributed.world()}, because each "
            "process mixes its images in pairs"
        )
    modules = (module for member in members for module in member.student.modules())
    if images_at_a_time is not None and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules):
        raise StudyError(
            "compute.students.images_at_a_time (or compute.networks'): the network normalises over the images of a "
            "batch (BatchNorm), which parts of it would change; leave it out"
        )
    total, (seed,) = steps * recipe.epochs, {member.seed for member in members}
    for member in members:
        member.begin(recipe, steps, device)
    begin = min(member.step for member in members)
    saving = {member: member.states for member in members if member.states}
    stop = Stop()

    def active(step: int) -> list[Member]:
        return [member for member in members if member.step == step and member.failed is None]

    def save_if_due(step: int) -> None:
        if not saving or step == total or (distributed.world() > 1 and step % STEPS_BETWEEN_VOTES):
            return
        if distributed.anywhere(stop.asked is not None or any(states.due() for states in saving.values()), device):
            for member in active(step):
                if member in saving:
                    state = member.state()
                    if member.failed is None:
                        saving[member].save(step, state)
            stop.end_if_asked(step)

    epochs = range(begin // steps, recipe.epochs)
    batches = images.training(recipe.batch_size, recipe.augmentation, seed, epochs, workers, begin % steps, device)
    with stop.listening() if saving else nullcontext(), closing(batches), _memory(images_at_a_time, len(members)):
        shared = Clock(members)
        for step, batch in enumerate(batches, begin):
            epoch, due = step // steps, active(step)
            if not any(member.failed is None and member.step < total for member in members):
                break
            if step % steps == 0:
                for member in due:
                    member.trainable.train()
            pixels = batch.images
            targets = labels = sent(batch.labels, device)
            if recipe.mixing is not None:
                # First, since teachers answer for the views that students see.
                classes = classes_of(members[0].student)
                pixels, targets = mixed(recipe.mixing, pixels, labels, classes, seed, step)
            asked = asked_of_teachers(due, len(teachers))
            said = [
                ask(batch, pixels, epoch, parts) if parts else {} for ask, parts in zip(teachers, asked, strict=True)
            ]
            for member in due:
                with shared.own(member):
                    member.update((pixels, labels, targets), said, recipe, images_at_a_time)
            shared.tick(due)
            if (step + 1) % steps == 0:
                _end_epoch(due, epoch + 1, validation, recipe, device, workers, shared)
            save_if_due(step + 1)
        for member in active(total):
            if member.states is not None:
                member.states.finish(total, member.state())


def asked_of_teachers(members: list[Member], teachers: int) -> list[list[Part]]:
    """Return what members need of each teacher in their next update."""
    asked: list[set[Part]] = [set() for _ in range(teachers)]
    for member in members:
        for teacher, parts in member.asks().items():
            asked[teacher].update(parts)
    return [ordered(parts) for parts in asked]


def _end_epoch(members, done: int, validation: Split, recipe: Recipe, device, workers: int, shared: "Clock") -> None:
    """Validate if due, and close the epoch of all members with a finite loss."""
    members = [member for member in members if member.failed is None]
    for member in members:
        member.write_steps()
        if recipe.schedule.step == "epoch":
            member.schedule.step(done - 1)
        distributed.share_buffers(member.student)
        distributed.share_buffers(member.measured)
    members = [member for member in members if member.failed is None]
    results = [(np.nan, np.nan)] * len(members)
    if members and (done == recipe.epochs or done % recipe.validate_every == 0):
        logits = predict(
            [member.measured for member in members], validation, device, workers, lambda n: shared.own(members[n])
        )
        for member, values in zip(members, logits, strict=True):
            member.log.validation_logits = values
        results = [score(values, validation.labels) for values in logits]
        for member, (_, loss) in zip(members, results, strict=True):
            if not math.isfinite(loss):
                # No later loss shows the effect of the last update.
                member.failed = StudyError(f"training: the validation loss became {loss} in epoch {done}; {REMEDY}")
    # Before the states, which include the time spent.
    shared.tick(members)
    for member, result in zip(members, results, strict=True):
        if member.failed is None:
            member.end_epoch(done, result)


class Clock:
    """Shares the wall time of a step among the members that took part: own time to each, the rest equally."""

    def __init__(self, members: list[Member]):
        self.last = time.perf_counter()
        self.spent: dict[Member, float] = dict.fromkeys(members, 0.0)

    @contextmanager
    def own(self, member: Member) -> Iterator[None]:
        """Count the time inside as this member's own."""
        start = time.perf_counter()
        yield
        self.spent[member] += time.perf_counter() - start

    def tick(self, members: list[Member]) -> None:
        """Distribute the time since the last tick."""
        now = time.perf_counter()
        common = now - self.last - sum(self.spent.values())
        self.last = now
        for member in members:
            member.own_seconds += self.spent[member]
            member.log.seconds += self.spent[member] + common / len(members)
        self.spent = dict.fromkeys(self.spent, 0.0)


@contextmanager
def _memory(images_at_a_time: int | None, count: int) -> Iterator[None]:
    """Turn an out-of-memory error into a sentence with the remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory(error):
            raise
        what = "the whole batch" if images_at_a_time is None else f"{images_at_a_time} images"
        raise StudyError(
            f"training: memory ran out with {what} at a time and {count} networks in the job; set "
            "compute.students.images_at_a_time (a part of the batch), compute.students.runs_per_job or more mem_mb"
        ) from error
