"""The teacher: pretrained in the chain, or loaded from a file; measured before any student may use it.

Out: the teacher's and the untrained teacher's weights, its logits on validation and test images, the tables of steps
and epochs, and `result.json`.
"""

from pathlib import Path

import torch

from . import distributed, models
from .data import Split
from .expected import check_accuracy
from .files import write_json, write_npy, write_table
from .objective import Objective
from .resume import States
from .spec.teacher import TeacherJob
from .spec.training import TermSpec
from .training import Member, predict, top1, train
from .training_log import EPOCH_COLUMNS, STEP_COLUMNS, Log
from .weights import OTHER_WEIGHTS


def main(job: TeacherJob, gpus: int = 0, state_key: str = "teacher") -> None:
    """Make the teacher ready and measure it; `state_key` names the states of its unfinished training."""
    device = models.device(gpus)
    with distributed.processes(device):
        _prepare(job, device, state_key)


def _prepare(job: TeacherJob, device: torch.device, state_key: str) -> None:
    out, workers = Path(job.out), job.machine.threads - 1
    splits = {name: Split(job.images, name) for name in ("validation", "test")}
    torch.manual_seed(job.seed)
    network = models.build(job.model, job.images.view)
    if distributed.rank() == 0:
        models.save_weights(out / "untrained.safetensors", network)
    log, images, recipe = Log(), None, job.recipe
    if recipe is not None:
        images = Split(job.images, "train", recipe.train_images)
        term = TermSpec("cross_entropy", 1.0, "labels", {"label_smoothing": job.label_smoothing})
        states = States(out / ".resume", state_key, job.machine.minutes_between_states)
        member = Member(network, Objective((term,), [], []), job.seed, states=states)
        at_a_time = job.machine.images_at_a_time
        train([member], None, images, splits["validation"], recipe, device, workers, at_a_time)
        if member.failed is not None:
            raise member.failed
        log = member.log
    else:
        models.load_weights(job.weights.files[0], network, job.sha256, OTHER_WEIGHTS)
    predictions = {name: predict([network], split, device, workers)[0] for name, split in splits.items()}
    measured = {name: top1(predictions[name], split.labels) for name, split in splits.items()}
    check_accuracy(job.expected_top1, job.tolerance, measured["validation"])
    if distributed.rank() > 0:
        return
    for name, values in predictions.items():
        write_npy(out / f"logits_{name}.npy", values)
    write_table(out / "steps.parquet", log.steps, STEP_COLUMNS)
    write_table(out / "epochs.parquet", log.epochs, EPOCH_COLUMNS)
    pretrained = images is not None
    seen = len(images) // recipe.batch_size * recipe.batch_size * recipe.epochs if pretrained else 0
    write_json(
        out / "result.json",
        {
            "source": "pretrain" if pretrained else "weights",
            "parameters": sum(p.numel() for p in network.parameters()),
            "train_images": len(images) if pretrained else None,
            "epochs": recipe.epochs if pretrained else None,
            "validation_top1": measured["validation"],
            "test_top1": measured["test"],
            "training_gflops": log.gflops_per_image * seen,
        },
    )
    rate = seen / log.seconds if pretrained else None
    cost = {"seconds": log.seconds, "images_per_second": rate, "device": device.type, "networks": 1}
    write_json(out / "cost.json", cost | {"own_seconds": log.seconds, "start_seconds": 0.0})
    models.save_weights(out / "teacher.safetensors", network)
