"""One training loop for every network of a study, from a 28-pixel student to ImageNet, and for several at once.

In: members (a network with an objective, which owns whatever it trains beside the network), a teacher that answers a
batch (or None), the images and a recipe. Out: the members, trained in place, each with the log of what happened at
every step and epoch. All members see the same batches, which are read and answered once; each has its own optimiser,
random streams and states, so that it ends in the same bits on a CPU as alone. timm makes optimiser, schedule and
augmentation. The loop never waits for the device except to write its log.
"""

import copy
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext

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
from .resume import RandomStream, States, Stop
from .spec.training import Recipe
from .training_log import EPOCH_COLUMNS, Log

EVALUATION_BATCH = 256
STEPS_BETWEEN_LOG_WRITES = 50
# Optimisers of torch with a fused kernel: a tenth of a small student's time on a CPU.
FUSED = {"adamw", "adam"}
# Several processes agree this often on whether to save a state: one of them may have been asked to stop.
STEPS_BETWEEN_VOTES = 10
# A count of operations is per image, whatever the batch.
COUNTED_IMAGES = 2
REMEDY = "lower recipe.optimizer.learning_rate or set recipe.clip_gradient_norm"
# What the members of a step ask of the teacher: blocks, and whether logits.
Wanted = tuple[list[int], bool]
Teacher = Callable[[Batch, Tensor, int, Wanted], Outputs]


class Task(nn.Module):
    """Everything that trains: the student and the objective's own modules."""

    def __init__(self, student: nn.Module, objective: Objective):
        super().__init__()
        self.student, self.objective = student, objective

    def forward(self, pixels: Tensor, labels: Tensor, answer: Outputs, blocks: list[int], precision: str) -> dict:
        """Return the parts of the loss on one batch: pixels [B, C, H, W], labels [B], the teacher's answer."""
        return self.objective(self.outputs(pixels, blocks, precision), answer, labels)

    def outputs(self, pixels: Tensor, blocks: list[int], precision: str) -> Outputs:
        """Return what the student says of a batch."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return models.run(self.student, pixels, blocks)

    def no_weight_decay(self) -> set[str]:
        """Name the student's parameters that timm exempts from weight decay, as seen from here."""
        names = getattr(self.student, "no_weight_decay", set)()
        return {f"student.{name}" for name in names}


class Member:
    """One training among those that see the same batches.

    `asks` is what it wants of the teacher. `after_epoch` is called with 0 and after every epoch. With `states` the
    training goes on from its last saved state. `failed` is the StudyError that ended it, if one did; `own_seconds` the
    time that went into this member alone (on a CPU; a GPU computes while Python is elsewhere).
    """

    def __init__(
        self,
        student: nn.Module,
        objective: Objective,
        seed: int,
        asks: Wanted = ((), False),
        after_epoch: Callable[[int], None] = lambda epoch: None,
        states: States | None = None,
    ):
        self.student, self.objective, self.seed = student, objective, seed
        self.asks, self.after_epoch, self.states = asks, after_epoch, states
        self.blocks = sorted({s for term in objective.terms.values() for s, _ in getattr(term, "pairs", ())})
        self.log, self.buffer, self.step = Log(objective.weights), [], 0
        self.failed: StudyError | None = None
        self.own_seconds = 0.0

    def begin(self, recipe: Recipe, steps: int, device: torch.device) -> None:
        """Make optimiser and schedule, and take up the last state where there is one."""
        self.task = Task(self.student, self.objective).to(device)
        self.optimizer = make_optimizer(self.task, recipe)
        self.schedule = make_schedule(self.optimizer, recipe, steps)
        state = self.states.load() if self.states else None
        if state is None:
            # Dropout and stochastic depth draw from this stream; order and augmentation have streams of their own.
            self.random = RandomStream(self.seed if distributed.rank() == 0 else stream_of(self.seed, 0))
            _finish_epoch(self.log, 0, np.nan, np.nan, np.nan, np.nan)
            self.after_epoch(0)
            return
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.log = state["step"], log_from_state(state["log"])
        if len(state["random"]) == distributed.world():
            self.random = RandomStream.from_state(state["random"][distributed.rank()])
        else:
            self.random = RandomStream(stream_of(self.seed, self.step))
        self.task.train()

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
                counted = count_gflops(self.task, pixels[few], labels[few], answer[few], self.blocks)
                self.log.gflops_per_image = counted / len(labels[few])
            parts = self._gradients(pixels, labels, answer, recipe.precision, size)
        distributed.average_gradients(self.task.parameters())
        if recipe.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self.task.parameters(), recipe.clip_gradient_norm)
        self.optimizer.step()
        # Now, and not before the next update: with several members theirs would lie there all at once.
        self.optimizer.zero_grad()
        rate = self.optimizer.param_groups[0]["lr"]
        self.buffer.append((epoch + 1, self.step, rate, [parts[name].detach() for name in self.log.parts]))
        self.step += 1
        if len(self.buffer) == STEPS_BETWEEN_LOG_WRITES:
            self.write_steps()

    def _gradients(self, pixels: Tensor, labels: Tensor, answer: Outputs, precision: str, size: int | None) -> dict:
        """Leave the gradients of one batch, and return the parts of its loss.

        Of a batch in parts the outputs come first, without what their gradients need; the objective sees those of the
        whole batch, so that statistics over the batch stay what they are, and sends its gradients back part by part.
        """
        if size is None or size >= len(labels):
            parts = self.task(pixels, labels, answer, self.blocks, precision)
            parts["loss"].backward()
            return parts
        before = RandomStream.here()
        with torch.no_grad():
            said = [self.task.outputs(part, self.blocks, precision).float() for part in pixels.split(size)]
        whole = Outputs.joined(said).requiring_gradients()
        parts = self.objective(whole, answer, labels)
        parts["loss"].backward()
        before.put_back()
        for number, part in enumerate(pixels.split(size)):
            own = slice(number * size, (number + 1) * size)
            outputs = self.task.outputs(part, self.blocks, precision).float()
            pairs = [
                (o, w.grad[own]) for o, w in zip(outputs.tensors(), whole.tensors(), strict=True) if w.grad is not None
            ]
            torch.autograd.backward(*zip(*pairs, strict=True))
        return parts

    def write_steps(self) -> None:
        """Move buffered steps into the log, in one transfer from the device; note where a part is not finite."""
        try:
            _write_steps(self.log, self.buffer)
        except StudyError as error:
            self.failed = error

    def end_epoch(self, epoch: int, result: tuple[float, float]) -> None:
        """Close an epoch (1 is the first) with its validation top-1 and loss (NaN: not validated)."""
        rows = self.log.of_epoch(epoch)
        _finish_epoch(self.log, epoch, float(rows[0, 2]), float(rows[:, 3].mean()), *result)
        self.after_epoch(epoch)

    def state(self) -> dict:
        """Return the state before the next update."""
        self.write_steps()
        parts = {"task": self.task.state_dict(), "optimizer": self.optimizer.state_dict()}
        random = distributed.collected(self.random.state())
        return {"step": self.step, "log": log_to_state(self.log), "random": random, **parts}


def train(
    members: list[Member],
    teacher: Teacher | None,
    images: Split,
    validation: Split,
    recipe: Recipe,
    device: torch.device,
    workers: int = 0,
    images_at_a_time: int | None = None,
) -> None:
    """Train all members in place; each that ends badly says so in `failed`, and the others go on.

    With states the trainings go on from their last ones, to the same bits on a CPU; members at different steps catch
    up. `images_at_a_time` bounds the memory of one process. Raises StudyError where the batch cannot be made or does
    not fit the memory, and Interrupted when a signal asked for a stop and the states are saved.
    """
    steps = len(images) // recipe.batch_size
    if steps == 0:
        raise StudyError(f"recipe.batch_size: {recipe.batch_size} is more than the {len(images)} training images")
    if recipe.batch_size % distributed.world():
        raise StudyError(
            f"recipe.batch_size: {recipe.batch_size} is no multiple of the {distributed.world()} processes"
        )
    if images_at_a_time is not None and any(_normalises_over_images(member.student) for member in members):
        raise StudyError(
            "compute.students.images_at_a_time (or compute.teacher's): the network normalises over the images of a "
            "batch (BatchNorm), which parts of it would change; leave it out"
        )
    total, (seed,) = steps * recipe.epochs, {member.seed for member in members}
    for member in members:
        member.begin(recipe, steps, device)
    begin = min(member.step for member in members)
    saving = [member for member in members if member.states]
    stop = Stop()

    def active(step: int) -> list[Member]:
        return [member for member in members if member.step == step and member.failed is None]

    def save_if_due(step: int) -> None:
        if not saving or step == total or (distributed.world() > 1 and step % STEPS_BETWEEN_VOTES):
            return
        if distributed.anywhere(stop.asked is not None or any(m.states.due() for m in saving), device):
            for member in active(step):
                if member in saving:
                    state = member.state()
                    if member.failed is None:
                        member.states.save(step, state)
            stop.end_if_asked(step)

    epochs = range(begin // steps, recipe.epochs)
    batches = images.training(recipe.batch_size, recipe.augmentation, seed, epochs, workers, begin % steps)
    with stop.listening() if saving else nullcontext(), closing(batches), _memory(images_at_a_time, len(members)):
        shared = Clock(members)
        for step, batch in enumerate(batches, begin):
            epoch, due = step // steps, active(step)
            if not any(member.failed is None and member.step < total for member in members):
                break
            if step % steps == 0:
                for member in due:
                    member.task.train()
            pixels = batch.images.to(device, non_blocking=True)
            labels = batch.labels.to(device, non_blocking=True)
            wanted = _union(member.asks for member in due)
            answer = Outputs() if teacher is None or wanted == ([], False) else teacher(batch, pixels, epoch, wanted)
            for member in due:
                with shared.own(member):
                    member.update((pixels, labels), answer, epoch, recipe, images_at_a_time)
            shared.tick(due)
            if (step + 1) % steps:
                save_if_due(step + 1)
                continue
            _end_epoch(due, epoch + 1, validation, recipe, device, workers, shared)
            save_if_due(step + 1)
        for member in active(total):
            if member.states is not None:
                member.states.finish(total, member.state())


def _end_epoch(members, done: int, validation: Split, recipe: Recipe, device, workers: int, shared: "Clock") -> None:
    """Validate, where it is due, and close the epoch of all members whose losses are finite."""
    for member in members:
        member.write_steps()
        if recipe.schedule.step == "epoch":
            member.schedule.step(done - 1)
        distributed.share_buffers(member.student)
    members = [member for member in members if member.failed is None]
    results = [(np.nan, np.nan)] * len(members)
    if members and (done == recipe.epochs or done % recipe.validate_every == 0):
        logits = predict(
            [member.student for member in members], validation, device, workers, lambda n: shared.own(members[n])
        )
        for member, values in zip(members, logits, strict=True):
            member.log.validation_logits = values
        results = [score(values, validation.labels) for values in logits]
        for member, (_, loss) in zip(members, results, strict=True):
            if not math.isfinite(loss):
                # The last update of all shows in no later loss.
                member.failed = StudyError(f"training: the validation loss became {loss} in epoch {done}; {REMEDY}")
    # Before the states, which hold the time that was spent.
    shared.tick(members)
    for member, result in zip(members, results, strict=True):
        if member.failed is None:
            member.end_epoch(done, result)


class Clock:
    """Shares the wall time of a step out over the members that took part: its own to each, the rest equally."""

    def __init__(self, members: list[Member]):
        self.last = time.perf_counter()
        self.spent: dict[Member, float] = dict.fromkeys(members, 0.0)

    @contextmanager
    def own(self, member: Member) -> Iterator[None]:
        """Count what is done here to one member alone."""
        start = time.perf_counter()
        yield
        self.spent[member] += time.perf_counter() - start

    def tick(self, members: list[Member]) -> None:
        """Share out the time since the last tick."""
        now = time.perf_counter()
        common = now - self.last - sum(self.spent.values())
        self.last = now
        for member in members:
            member.own_seconds += self.spent[member]
            member.log.seconds += self.spent[member] + common / len(members)
        self.spent = dict.fromkeys(self.spent, 0.0)


def _union(asked: Iterable[Wanted]) -> Wanted:
    """Return what several members want of the teacher together."""
    asked = list(asked)
    return sorted({block for blocks, _ in asked for block in blocks}), any(logits for _, logits in asked)


def _normalises_over_images(network: nn.Module) -> bool:
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


@contextmanager
def _memory(images_at_a_time: int | None, count: int) -> Iterator[None]:
    """Turn an error of memory into a sentence with the remedy."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if (
            isinstance(error, RuntimeError)
            and not isinstance(error, torch.OutOfMemoryError)
            and ("DefaultCPUAllocator" not in str(error))
        ):
            raise
        what = "the whole batch" if images_at_a_time is None else f"{images_at_a_time} images"
        raise StudyError(
            f"training: memory ran out with {what} at a time and {count} networks in the job; set "
            "compute.students.images_at_a_time (a part of the batch), compute.students.runs_per_job or more mem_mb"
        ) from error


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
def predict(
    networks: list[nn.Module],
    images: Split,
    device: torch.device,
    workers: int = 0,
    own: Callable[[int], AbstractContextManager] = lambda number: nullcontext(),
) -> list[np.ndarray]:
    """Return each network's logits [N, K] in float32 of all images of a split, in order, which are read once.

    The networks are left in evaluation mode. What is computed for network `number` alone is done inside `own(number)`.
    """
    parts: list[list[Tensor]] = [[] for _ in networks]
    for network in networks:
        network.to(device).eval()
    for batch in images.evaluation(EVALUATION_BATCH, workers):
        pixels = batch.images.to(device, non_blocking=True)
        for number, network in enumerate(networks):
            with own(number):
                parts[number].append(network(pixels).float())
    return [distributed.joined(torch.cat(part), len(images)).cpu().numpy() for part in parts]


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
                raise StudyError(f"training: {name} became {value} in epoch {epoch}, step {step}; {REMEDY}")
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
