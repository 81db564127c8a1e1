"""Two processes (gloo, CPU) train as one does: the same losses on the same global batches, and the same stops."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from conftest import ROOT
from distillation_dynamics import distributed
from distillation_dynamics.jobs import record
from distillation_dynamics.jobs.task import SHARED, Task, code_of, key_of
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.stages import cohorts
from helpers import run_job, tiny_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A tiny study with a trainable projector, its folder, and weights of its teacher."""
    return made(tmp_path_factory.mktemp("distributed"))


def made(folder, **more):
    changes = {"variants.everything.projector.frozen": False, "student.recipe.epochs": 16}
    result = tiny_study(folder, **changes, **{"student.recipe.clip_gradient_norm": 1.0}, **more)
    torch.manual_seed(3)
    network = build(result.model(result.teacher), result.view(result.teacher))
    save_weights(folder / "teacher.safetensors", network)
    return folder, result


def command(study, out, minutes=10):
    folder, result = study
    weights = folder / "teacher.safetensors"
    job = run_job(result, folder, "everything", out, weights, threads=2, minutes_between_states=float(minutes))
    by_name = tuple(f"objectives.{term.objective}" for term in job.terms)
    code = code_of("students", *by_name)
    key = key_of("students", job, code)
    task = Task("students", "", key, job, code, {}, (f"{out}/result.json",), f"{out}/{record.NAME}", SHARED, by_name)
    task.write(folder / f"{out.name}.json")
    batch = folder / f"{out.name}.batch.json"
    batch.write_text(json.dumps({"stage": "cohorts", "tasks": [str(folder / f"{out.name}.json")]}))
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return [sys.executable, "-m", *start, "-m", "distillation_dynamics", str(batch)]


def launch(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.Popen(command(*arguments, **options), env=environment, stderr=subprocess.PIPE, text=True)


def train(*arguments, **options):
    process = launch(*arguments, **options)
    said = process.communicate()[1]
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def two(study):
    """What two processes left."""
    out = study[0] / "two"
    train(study, out)
    return out


@pytest.mark.slow
def test_two_processes_have_the_losses_and_the_student_of_one(study, two):
    folder, result = study
    out = folder / "one"
    cohorts.main([run_job(result, folder, "everything", out, folder / "teacher.safetensors")])
    ours, theirs = (pd.read_parquet(folder / "steps.parquet") for folder in (two, out))
    assert set(ours["part"]) == {"loss", "cross_entropy", "soft", "spectral", "projector"}
    for column in ("epoch", "step", "part", "learning_rate"):
        assert ours[column].equals(theirs[column])
    np.testing.assert_allclose(ours["value"], theirs["value"], rtol=2e-4)
    for split in ("validation", "test"):
        logits = [np.load(folder / f"logits_{split}.npy") for folder in (two, out)]
        np.testing.assert_allclose(*logits, rtol=0, atol=2e-3)
    results = [json.loads((folder / "result.json").read_text()) for folder in (two, out)]
    assert results[0]["training_gflops"] == results[1]["training_gflops"]
    assert set(json.loads((two / ".record.json").read_text())["files"]) == {"result.json"}


@pytest.mark.slow
def test_two_processes_that_are_stopped_go_on_to_the_same_bits(study, two):
    stopped(study, two)


@pytest.mark.slow
def test_two_processes_mix_their_images_and_average_to_the_same_bits_after_a_stop(tmp_path):
    study = made(tmp_path, **{"student.recipe.mixing": {"mixup": 0.8}, "student.recipe.ema": {"decay": 0.9}})
    train(study, tmp_path / "two")
    stopped(study, tmp_path / "two")


def stopped(study, two):
    """Stop a training, let it go on, and hold it against what `two` processes left that were not stopped."""
    out = study[0] / "broken"
    process = launch(study, out, minutes=0)
    while not list(out.glob(".resume/*.state")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1]
    assert process.returncode != 0 and not (out / "result.json").exists()
    assert "not finished: stopped by SIGTERM before update" in said
    assert "resume: going on from" in train(study, out)
    for name, expected in load_file(two / "checkpoints/epoch016.safetensors").items():
        np.testing.assert_array_equal(load_file(out / "checkpoints/epoch016.safetensors")[name], expected)
    assert (out / "steps.parquet").read_bytes() == (two / "steps.parquet").read_bytes()


def test_alone_every_function_is_the_identity():
    values = torch.arange(7.0)
    assert distributed.world() == 1 and distributed.rank() == 0
    assert distributed.summed(values) is values and distributed.mean(values) is values
    gradient = torch.nn.Parameter(values)
    gradient.grad = values.clone()
    distributed.average_gradients([gradient])
    assert torch.equal(gradient.grad, values)
    assert distributed.joined(values, 7) is values and distributed.collected(3) == [3]
    assert list(distributed.share(np.arange(3))) == [0, 1, 2] and distributed.anywhere(True, values.device)
