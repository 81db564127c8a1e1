"""A network, pretrained here or loaded as released, with its control and accuracy.

Out: weights of the network and its control, logits on held-out images, tables of steps and epochs of a training, and
`result.json`.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import distributed
from ..data.split import Split
from ..errors import StudyError
from ..networks.acceptance import check_teacher
from ..networks.blocks import classes_of
from ..networks.build import build
from ..networks.controls import control, is_identity
from ..networks.device import device as device_of
from ..networks.probe import add_head
from ..networks.released import load_released
from ..networks.weights import save_weights
from ..networks.weights_file import other_weights
from ..objective import Objective
from ..spec.network import NetworkSize
from ..spec.networks import NetworkJob
from ..spec.runs import WEIGHTS
from ..spec.training import TermSpec
from ..training.evaluation import predict, top1
from ..training.folder import say_clipping, trained_result, write_run
from ..training.log import Log
from ..training.loop import train
from ..training.member import Member
from ..training.resume import States

# Reasons for a missing accuracy.
NO_HEAD, NO_IMAGES = "it has no head", "no images are given whose classes its head sorts"
SPLITS = ("validation", "test")
# Default number of images that train a head.
PROBE_IMAGES = 50_000


def main(job: NetworkJob, gpus: int = 0, state_key: str = "networks") -> None:
    """Prepare a network and measure its accuracy; `state_key` names the states of its unfinished training."""
    device = device_of(gpus)
    with distributed.processes(device):
        _prepare(job, device, state_key)


def _prepare(job: NetworkJob, device: torch.device, state_key: str) -> None:
    out, owner = Path(job.out), f"networks.{job.name}"
    splits = {name: Split(job.images, name) for name in job.measures} if job.images else {}
    for name, split in splits.items():
        _check_labels(owner, name, split.labels, job.model.classes)
    torch.manual_seed(job.seed)
    model = job.model if job.head is None else replace(job.model, classes=0)
    try:
        network = build(model, job.view)
    except StudyError as error:
        raise StudyError(f"{owner}.{error}") from error
    log, images, loaded, seen = Log(), None, None, 0
    if job.recipe is not None and job.images is not None:
        images = Split(job.images, "train", job.recipe.train_images)
        network, log = _train(job, network, images, splits["validation"], device, state_key)
        seen = len(images) // job.recipe.batch_size * job.recipe.batch_size * job.recipe.epochs
    else:
        assert job.weights is not None, "what is not trained is loaded"
        loaded = load_released(job.weights.files[0], network, model, job.sha256, other_weights(owner))
    workers = job.machine.threads - 1
    probed = _probe(job, network, splits, device) if job.head is not None else {}
    predictions = {
        name: predict([network], split, device, workers, size=job.batch)[0] for name, split in splits.items()
    }
    result = _result(job, network, images, log.gflops_per_image * seen) | probed
    if job.recipe is not None:
        result |= trained_result(job.recipe, log)
        if distributed.rank() == 0:
            say_clipping(owner, job.recipe, log)
    for name, split in splits.items():
        result[f"{name}_top1"] = top1(predictions[name], split.labels)
        result[f"{name}_images"] = len(split)
        result[f"{name}_chance"] = float(100 * np.bincount(split.labels).max() / len(split))
    check_teacher(job.name, result, job.expected_top1, job.tolerance, job.teaches)
    if distributed.rank() > 0:
        return
    network.cpu()
    try:
        twin = control(network, job.model, job.view, job.control, job.seed)
    except StudyError as error:
        raise StudyError(f"{owner}.{error}") from error
    result |= {"loaded": loaded, "control": job.control, "control_is_identity": is_identity(twin, job.view)}
    if result["control_is_identity"]:
        print(f"{owner}.control: {no_control(job)}", file=sys.stderr, flush=True)
    rate = seen / log.seconds if images is not None else None
    cost = {"seconds": log.seconds, "images_per_second": rate, "device": device.type, "networks": 1}
    cost |= {"own_seconds": log.seconds, "start_seconds": 0.0}
    write_run(out, predictions, None if images is None else log, result, cost)
    for name, weights in zip(WEIGHTS, (network, twin), strict=True):
        save_weights(out / name, weights)


def _probe(job: NetworkJob, network: nn.Module, splits: dict[str, Split], device: torch.device) -> dict[str, Any]:
    """Add a head trained on the requested number of images; return what was done."""
    assert job.images is not None and job.head is not None
    images = Split(job.images, "train", job.head.images)
    if job.head.images is None and len(images) > PROBE_IMAGES:
        images = Split(job.images, "train", PROBE_IMAGES)
    try:
        return add_head(
            network, job.model.classes, images, splits.get("validation"), device, job.machine.threads - 1, job.batch
        )
    except StudyError as error:
        raise StudyError(f"networks.{job.name}.{error}") from error


def no_control(job: NetworkJob) -> str:
    """Return why a control with identity blocks is useless, and the remedy."""
    return (
        f"the blocks of the {job.control} twin of {job.model.name} hardly change what its stem gives, as with a "
        "LayerScale of 1e-5, so that it is no control; choose control: unit_layer_scale or permuted"
    )


def _train(
    job: NetworkJob, network: nn.Module, images: Split, validation: Split, device: torch.device, state_key: str
) -> tuple[nn.Module, Log]:
    """Train the network in place on cross-entropy; return the network to measure, and the log."""
    machine = job.machine
    assert job.recipe is not None
    takes = ("student_logits", "targets")
    term = TermSpec("cross_entropy", "cross_entropy", takes, {"label_smoothing": job.label_smoothing}, weight=1.0)
    states = States(Path(job.out) / ".resume", state_key, machine.minutes_between_states)
    member = Member(network, Objective((term,), NetworkSize(classes_of(network), 0, ())), job.seed, states=states)
    train([member], [], images, validation, job.recipe, device, machine.threads - 1, machine.images_at_a_time)
    if member.failed is not None:
        raise member.failed
    return member.measured, member.log


def _result(job: NetworkJob, network: nn.Module, images: Split | None, training_gflops: float) -> dict[str, Any]:
    """Return the result of a network before measurement: no accuracy, and why."""
    not_measured = None if job.measures else NO_HEAD if classes_of(network) == 0 else NO_IMAGES
    return {
        "source": "weights" if images is None else "pretrain",
        "parameters": sum(p.numel() for p in network.parameters()),
        "classes": classes_of(network),
        "train_images": None if images is None else len(images),
        "epochs": None if job.recipe is None else job.recipe.epochs,
        "training_gflops": training_gflops,
        **{f"{split}_{what}": None for split in SPLITS for what in ("top1", "images", "chance")},
        "not_measured": not_measured,
    }


def _check_labels(owner: str, split: str, labels: np.ndarray, classes: int) -> None:
    """Raise StudyError if images have labels without a logit, or no labels."""
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        seen = f"{labels.min()} to {labels.max()}" if len(labels) else "none"
        raise StudyError(
            f"{owner}: its head has {classes} classes, but the labels of the {split} images are {seen}; give the study "
            "images of its classes, or set num_classes: 0 in its args"
        )
