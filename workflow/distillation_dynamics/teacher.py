"""The teacher: pretrained in the chain, downloaded, or taken from a file; measured before any student may use it.

`fetch` (timm source) lands the weights once in a cache, as safetensors with a record of name, revision and sha256. The
stage itself writes the teacher's and the untrained teacher's weights, its logits on validation and test images, and
`result.json`.
"""

import shutil
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from . import distributed, models
from .data import Split
from .errors import StudyError
from .files import replacing, sha256, write_json, write_npy, write_table
from .objective import Objective
from .resume import States, key_of
from .sources import fingerprint
from .spec import Data, Teacher, TermSpec, from_json, to_json
from .stage import run_stage
from .training import predict, top1, train
from .training_log import EPOCH_COLUMNS, STEP_COLUMNS, Log

WEIGHTS = "model.safetensors"


def fetch(source: str, out: str | Path, expected_sha256: str | None) -> None:
    """Copy the weights of `hf-hub:owner/name@revision` or `local-dir:folder` to `out`, with a record.

    Raises StudyError when they cannot be had or are not the expected ones. Only safetensors are taken: nothing is
    unpickled.
    """
    kind, _, name = source.partition(":")
    revision = None
    if kind == "local-dir":
        path = Path(name) / WEIGHTS
        if not path.is_file():
            raise StudyError(f"teacher.weights: {path} does not exist; {source} must hold a {WEIGHTS}")
    else:
        name, _, revision = name.partition("@")
        try:
            path = Path(hf_hub_download(name, WEIGHTS, revision=revision))
        except LocalEntryNotFoundError as error:
            raise StudyError(
                f"teacher.weights: the hub cannot be reached for {name}@{revision}; fetch it where there is a network, "
                "or copy the folder and use local-dir:"
            ) from error
        except (HfHubHTTPError, RepositoryNotFoundError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"teacher.weights: {name}@{revision} has no {WEIGHTS} to download ({reason})") from error
    digest = sha256(path)
    if expected_sha256 is not None and digest != expected_sha256:
        raise StudyError(f"teacher.sha256: {source} has sha256 {digest}, but {expected_sha256} is expected")
    out = Path(out)
    with replacing(out / WEIGHTS) as temporary:
        shutil.copyfile(path, temporary)
    write_json(out / "record.json", {"source": kind, "name": name, "revision": revision, "sha256": digest})


def check_accuracy(teacher: Teacher, measured: float) -> None:
    """Raise StudyError when the measured top-1 (percent) is not the expected one."""
    if teacher.expected_top1 is not None and abs(measured - teacher.expected_top1) > teacher.tolerance:
        raise StudyError(
            f"teacher.expected_top1: {measured:.2f} % was measured on the validation images, but "
            f"{teacher.expected_top1} +- {teacher.tolerance} % is expected; check weights, classes and preprocessing"
        )


def main(arguments) -> None:
    """Fetch a teacher's weights, or make the teacher ready and measure it."""
    teacher, out = from_json(Teacher, arguments.teacher), Path(arguments.out)
    if not arguments.data:
        fetch(teacher.weights, out, teacher.sha256)
        return
    device = models.device(int(arguments.gpus))
    with distributed.processes(device):
        _prepare(arguments, teacher, out, device)


def _prepare(arguments, teacher: Teacher, out: Path, device: torch.device) -> None:
    data, workers = from_json(Data, arguments.data_spec), arguments.threads - 1
    splits = {name: Split(arguments.data[0], data, name) for name in ("validation", "test")}
    torch.manual_seed(teacher.seed)
    network = models.build(teacher.model, data)
    if distributed.rank() == 0:
        models.save_weights(out / "untrained.safetensors", network)
    log, images = Log(), None
    if teacher.source == "pretrain":
        recipe = teacher.recipe
        images = Split(arguments.data[0], data, "train", recipe.train_images)
        term = TermSpec("cross_entropy", 1.0, "labels", {"label_smoothing": teacher.label_smoothing})
        objective = Objective((term,), [], [])
        code = fingerprint("teacher", "objectives.cross_entropy")
        inputs = sha256(Path(arguments.data[0]) / "splits.parquet")
        states = States(out / ".resume", key_of(to_json([data, teacher, inputs, code])), float(arguments.minutes))
        log = train(
            *(network, objective, None, images, splits["validation"], recipe, teacher.seed, device, workers),
            states=states,
        )
    else:
        models.load_weights(arguments.weights[0], network, teacher.sha256)
    predictions = {name: predict(network, split, device, workers) for name, split in splits.items()}
    measured = {name: top1(predictions[name], split.labels) for name, split in splits.items()}
    check_accuracy(teacher, measured["validation"])
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
            "source": teacher.source,
            "parameters": sum(p.numel() for p in network.parameters()),
            "train_images": len(images) if pretrained else None,
            "epochs": recipe.epochs if pretrained else None,
            "validation_top1": measured["validation"],
            "test_top1": measured["test"],
            "expected_top1": teacher.expected_top1,
            "training_gflops": log.gflops_per_image * seen,
        },
    )
    rate = seen / log.seconds if pretrained else None
    write_json(out / "cost.json", {"seconds": log.seconds, "images_per_second": rate, "device": device.type})
    models.save_weights(out / "teacher.safetensors", network)


if __name__ == "__main__":
    run_stage(
        main,
        *("teacher", "data-spec", "out", "gpus", "minutes"),
        data="folder of the data stage; left out: only fetch the weights",
        weights="the weights file (timm and checkpoint sources)",
    )
