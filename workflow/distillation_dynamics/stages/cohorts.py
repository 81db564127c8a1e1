"""Trains several variants of one student with one seed on the same batches (a cohort), or one of them.

In: the jobs of the runs, which share images, recipe and seed and differ in their terms. Each image is read and
augmented once, and each teacher runs once for all of them. Out, in the folder of each run: weights at every kept epoch,
the objective's own weights, the tables of steps and epochs, the last epoch's logits on validation and test images,
`result.json` and `cost.json`. Results are those of the last epoch; with `ema` in the recipe, weights and logits are
those of the average.
"""

import shutil
import time
from pathlib import Path

import numpy as np
import torch

from .. import distributed
from ..data.split import Split
from ..errors import at_fault, is_memory
from ..files import replacing, write_table
from ..networks.build import build
from ..networks.device import check_precision
from ..networks.device import device as device_of
from ..networks.weights import load_weights, save_weights
from ..objective import Objective
from ..progress import Progress
from ..spec.base import counted, to_json
from ..spec.runs import CHECKPOINT, TERM_GRADIENTS
from ..spec.students import RunJob
from ..spec.teacher_outputs import TeacherSource, ordered, taken_of
from ..training.evaluation import predict, top1
from ..training.folder import say_clipping, trained_result, write_run
from ..training.log import GRADIENT_LOG_COLUMNS
from ..training.loop import Clock, train
from ..training.member import Member
from ..training.resume import States
from ..training.teacher import CachedTeacher, Conversion, OnlineTeacher

STATES = ".resume"


def main(jobs: list[RunJob], gpus: int = 0, progress: Progress | None = None, start: float | None = None) -> None:
    """Train the students of `jobs` together; `start`: time.time() at the start of this process."""
    device = device_of(gpus)
    with distributed.processes(device):
        _main(jobs, device, progress or Progress(), time.time() if start is None else start)


def make(job: RunJob) -> tuple[torch.nn.Module, Objective]:
    """Return a fresh student and its objective; the student's weights depend only on the seed, not on the variant."""
    torch.manual_seed(job.seed)
    network = build(job.model, job.images.view)
    torch.manual_seed(int(np.random.SeedSequence([job.seed, 1]).generate_state(1)[0]))
    return network, Objective(job.terms, job.size, [teacher.size for teacher in job.teachers], job.seed)


def _name(epoch: int) -> str:
    """Return the file name, next to the saved states, of the weights after an epoch."""
    return Path(CHECKPOINT.format(epoch)).name


def _main(jobs: list[RunJob], device: torch.device, progress: Progress, start: float) -> None:
    first = jobs[0]
    workers = first.machine.threads - 1
    splits = {name: Split(first.images, name) for name in ("validation", "test")}
    images = Split(first.images, "train", first.recipe.train_images)
    numbers = _numbers(jobs)
    teachers = [_teacher(key, jobs, images, device) for key in numbers]
    begun_by = {number: _begun(number, job, progress, numbers) for number, job in enumerate(jobs)}
    members = [member for member in begun_by.values() if member is not None]
    if not members:
        return
    begun = time.time()
    at_a_time = first.machine.images_at_a_time
    train(members, teachers, images, splits["validation"], first.recipe, device, workers, at_a_time)
    trained = [member for member in members if member.failed is None]
    clock, networks = Clock(trained), [member.measured for member in trained]
    logits = predict(networks, splits["test"], device, workers, lambda n: clock.own(trained[n])) if trained else []
    clock.tick(trained)
    by_member = dict(zip(map(id, trained), logits, strict=True))
    if distributed.rank() > 0:
        return
    # Shared by all members: start-up, and everything after the last step.
    spent = time.time() - begun - sum(member.log.seconds for member in members)
    for number, job in enumerate(jobs):
        if (member := begun_by[number]) is None:
            continue
        if member.failed is not None:
            progress.fail(number, member.failed)
            continue
        progress.begin(number)
        validation = member.log.validation_logits
        assert validation is not None, "a training ends with a validation"
        predictions = {"validation": validation, "test": by_member[id(member)]}
        started = (begun - start + max(0.0, spent)) / len(jobs)
        _write(job, member, predictions, splits, len(images), device, len(jobs), started)
        progress.end(number, member.log.seconds + started)
        # Written last: a job killed before its record is written finds its training finished.
        shutil.rmtree(Path(job.out) / STATES)


def _key(source: TeacherSource) -> str:
    return to_json(counted(source))


def _numbers(jobs: list[RunJob]) -> dict[str, int]:
    """Return the numbers of all different teachers of a cohort."""
    return {key: n for n, key in enumerate(dict.fromkeys(_key(source) for job in jobs for source in job.teachers))}


def _teacher(key: str, jobs: list[RunJob], images: Split, device: torch.device) -> CachedTeacher | OnlineTeacher:
    """Return the provider of a teacher's outputs: its stored outputs, checked against it, or the teacher itself."""
    asking = [(job, n, source) for job in jobs for n, source in enumerate(job.teachers) if _key(source) == key]
    job, _, source = asking[0]
    check_precision(source.precision, device)
    network, see = build(source.model, source.view), Conversion(job.images.view, source.view)
    load_weights(source.weights.files[0], network)
    if not source.stored:
        return OnlineTeacher(network.to(device), job.machine.images_at_a_time, see, source.precision)
    assert source.outputs is not None, "what is stored has a folder"
    parts = ordered({part for job, number, _ in asking for part in taken_of(job.terms, number)})
    teacher = CachedTeacher(source.outputs, parts, job.recipe.augmentation)
    teacher.verify(network, images, device, job.seed, see, source.batch, source.precision)
    return teacher


def _begun(number: int, job: RunJob, progress: Progress, numbers: dict[str, int]) -> Member | None:
    """Return a training; None if its terms cannot be built, which fails only this training."""
    try:
        return _member(job, progress.state_key(number), numbers)
    except Exception as error:
        if is_memory(error):
            raise
        if distributed.rank() == 0:
            progress.fail(number, at_fault(error))
        return None


def _member(job: RunJob, state_key: str, numbers: dict[str, int]) -> Member:
    """Return a training that keeps its states, and next to them the weights of the kept epochs."""
    student, objective = make(job)
    states = States(Path(job.out) / STATES, state_key, job.machine.minutes_between_states)

    def keep(epoch: int) -> None:
        # Kept with the states, so that unfinished output never appears among finished output.
        if epoch in job.kept and distributed.rank() == 0:
            save_weights(states.beside / _name(epoch), member.measured)
            states.keep(_name(epoch))

    teachers = [numbers[_key(source)] for source in job.teachers]
    member = Member(student, objective, job.seed, teachers, keep, states, job.gradient_logs)
    return member


def _write(
    job: RunJob,
    member: Member,
    predictions: dict[str, np.ndarray],
    splits: dict[str, Split],
    train_images: int,
    device: torch.device,
    networks: int,
    start_seconds: float,
) -> None:
    """Write the output of one training."""
    out, log, recipe = Path(job.out), member.log, job.recipe
    best_epoch, best_top1 = log.best_epoch()
    steps = train_images // recipe.batch_size * recipe.epochs
    assert member.states is not None
    for epoch in job.kept:
        with replacing(out / CHECKPOINT.format(epoch)) as temporary:
            shutil.copyfile(member.states.beside / _name(epoch), temporary)
    top1s = {split: top1(values, splits[split].labels) for split, values in predictions.items()}
    result = {
        "parameters": sum(p.numel() for p in member.student.parameters()),
        "train_images": train_images,
        "epochs": recipe.epochs,
        **{f"{split}_top1": value for split, value in top1s.items()},
        "best_epoch": best_epoch,
        "best_validation_top1": best_top1,
        "training_gflops": log.gflops_per_image * steps * recipe.batch_size,
        "teacher_precision": job.teachers[0].precision if job.teachers else None,
        **trained_result(recipe, log),
    }
    cost = {
        "seconds": log.seconds,
        "images_per_second": steps * recipe.batch_size / log.seconds,
        "device": device.type,
        "networks": networks,
        "own_seconds": member.own_seconds if device.type == "cpu" else None,
        "start_seconds": start_seconds,
    }
    save_weights(out / "objective.safetensors", member.objective)
    write_table(out / TERM_GRADIENTS, log.by_block, GRADIENT_LOG_COLUMNS)
    write_run(out, predictions, log, result, cost)
    say_clipping(job.label, recipe, log)
