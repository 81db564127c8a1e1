"""Train one student under one distillation variant with one seed.

In: the images, the variant's terms, the teacher (its stored outputs, or the network itself where every epoch draws new
views). Out, in the folder of the run: weights at every kept epoch, the objective's own weights, the tables of steps and
epochs, the last epoch's logits on validation and test images, and `result.json`. Results are those of the last epoch.
"""

import shutil
from pathlib import Path

import numpy as np
import torch

from . import distributed, models
from .data import Split
from .files import replacing, sha256, write_json, write_npy, write_table
from .objective import Objective, Shape
from .resume import States, key_of
from .sources import fingerprint
from .spec import Data, Model, ModelFacts, Recipe, TermSpec, from_json, to_json
from .stage import run_stage
from .teacher_outputs import CachedTeacher, OnlineTeacher
from .training import predict, top1, train
from .training_log import EPOCH_COLUMNS, STEP_COLUMNS


def make(
    model: Model,
    data: Data,
    terms: tuple[TermSpec, ...],
    student: ModelFacts,
    teacher: ModelFacts,
    seed: int,
) -> tuple[torch.nn.Module, Objective]:
    """Return a fresh student and its objective; the student's weights depend on `seed` alone, not on the variant."""
    torch.manual_seed(seed)
    network = models.build(model, data)
    torch.manual_seed(int(np.random.SeedSequence([seed, 1]).generate_state(1)[0]))
    return network, Objective(terms, [Shape(*s) for s in student.shapes], [Shape(*s) for s in teacher.shapes])


def checkpoint_name(epoch: int) -> str:
    """Return the file name of the weights after `epoch` epochs."""
    return f"epoch{epoch:03d}.safetensors"


def main(arguments) -> None:
    """Train one student."""
    device = models.device(int(arguments.gpus))
    with distributed.processes(device):
        _main(arguments, device)


def _main(arguments, device: torch.device) -> None:
    data, model = from_json(Data, arguments.data_spec), from_json(Model, arguments.model)
    recipe, seed, out = from_json(Recipe, arguments.recipe), int(arguments.seed), Path(arguments.out)
    terms = from_json(tuple[TermSpec, ...], arguments.terms)
    facts = from_json(ModelFacts, arguments.student_facts), from_json(ModelFacts, arguments.teacher_facts)
    workers = arguments.threads - 1
    kept = {int(epoch) for epoch in arguments.checkpoints}
    splits = {name: Split(arguments.data, data, name) for name in ("validation", "test")}
    images = Split(arguments.data, data, "train", recipe.train_images)

    teacher = None
    blocks = sorted({t for term in terms for _, t in term.pairs})
    logits = any(term.needs == "teacher_logits" for term in terms)
    if blocks or logits:
        network = models.build(from_json(Model, arguments.teacher_model), data)
        models.load_weights(arguments.teacher[0], network)
        if arguments.teacher_outputs:
            teacher = CachedTeacher(arguments.teacher_outputs[0], blocks, logits, recipe.augmentation)
            teacher.verify(network, images, device, seed)
        else:
            teacher = OnlineTeacher(network.to(device), blocks, logits, recipe.precision)
    student, objective = make(model, data, terms, *facts, seed)

    inputs = [sha256(path) for path in (Path(arguments.data) / "splits.parquet", *arguments.teacher)]
    code = fingerprint("students", *(f"objectives.{term.name}" for term in terms))
    key = key_of(*(to_json(part) for part in (data, model, recipe, terms, seed, sorted(kept), inputs, code)))
    states = States(out / ".resume", key, float(arguments.minutes))

    def keep(epoch: int) -> None:
        # Beside the states: the stage's own outputs do not survive an attempt that fails.
        if epoch in kept and distributed.rank() == 0:
            models.save_weights(states.beside / checkpoint_name(epoch), student)
            states.keep(checkpoint_name(epoch))

    log = train(
        student,
        objective,
        teacher,
        images,
        splits["validation"],
        recipe,
        seed,
        device,
        workers,
        after_epoch=keep,
        states=states,
    )
    predictions = {
        "validation": log.validation_logits,
        "test": predict(student, splits["test"], device, workers),
    }
    if distributed.rank() > 0:
        return
    best_epoch, best_top1 = log.best_epoch()
    steps = len(images) // recipe.batch_size * recipe.epochs
    for epoch in kept:
        with replacing(out / "checkpoints" / checkpoint_name(epoch)) as temporary:
            shutil.copyfile(states.beside / checkpoint_name(epoch), temporary)
    for name, values in predictions.items():
        write_npy(out / f"logits_{name}.npy", values)
    write_table(out / "steps.parquet", log.steps, STEP_COLUMNS)
    write_table(out / "epochs.parquet", log.epochs, EPOCH_COLUMNS)
    models.save_weights(out / "objective.safetensors", objective)
    write_json(
        out / "result.json",
        {
            "parameters": sum(p.numel() for p in student.parameters()),
            "train_images": len(images),
            "epochs": recipe.epochs,
            "validation_top1": top1(predictions["validation"], splits["validation"].labels),
            "test_top1": top1(predictions["test"], splits["test"].labels),
            "best_epoch": best_epoch,
            "best_validation_top1": best_top1,
            "training_gflops": log.gflops_per_image * steps * recipe.batch_size,
        },
    )
    write_json(
        out / "cost.json",
        {
            "seconds": log.seconds,
            "images_per_second": steps * recipe.batch_size / log.seconds,
            "device": device.type,
        },
    )


if __name__ == "__main__":
    run_stage(
        main,
        *("data-spec", "model", "recipe", "terms", "student-facts", "teacher-facts", "teacher-model"),
        *("seed", "data", "out", "gpus", "minutes"),
        checkpoints="epochs whose weights are kept",
        teacher="the teacher's weights, where the variant needs it",
        teacher_outputs="folder of the teacher's stored outputs, where views are fixed",
    )
