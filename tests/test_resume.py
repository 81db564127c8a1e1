"""A training that was stopped anywhere goes on to the same bits, and loses at most one interval."""

import json
import os
import random
import re
import signal
import time

import numpy as np
import pytest
import torch

from distillation_dynamics.data.split import Split
from distillation_dynamics.data.streams import RandomStream
from distillation_dynamics.errors import Interrupted
from distillation_dynamics.jobs import record
from distillation_dynamics.jobs.task import SHARED, Task, code_of, key_of
from distillation_dynamics.networks.build import build
from distillation_dynamics.spec.runs import CHECKPOINT
from distillation_dynamics.stages import cohorts
from distillation_dynamics.training import loop, resume
from distillation_dynamics.training.member import Member
from distillation_dynamics.training.resume import States, Stop
from distillation_dynamics.training.teacher import OnlineTeacher
from helpers import run_job, tiny_study

CPU = torch.device("cpu")
AUGMENTATION = {
    "auto_augment": "rand-m9-mstd0.5-inc1", "random_erasing": 0.25, "crop_scale": [0.5, 1.0], "color_jitter": 0.0,
    "erasing_mode": "pixel", "horizontal_flip": 0.5,
}  # fmt: skip
# Everything that a state must hold: dropout and stochastic depth, random views, projections, a rate set after an epoch.
CHANGES = {
    "student.model.args.drop_path_rate": 0.2,
    "student.model.args.proj_drop_rate": 0.1,
    "student.recipe.epochs": 3,
    "student.recipe.augmentation": AUGMENTATION,
    "student.recipe.schedule": {"name": "cosine", "warmup_epochs": 1, "warmup_learning_rate": 5e-4, "step": "epoch"},
    "variants.everything.projector.frozen": False,
}


class Killed(Exception):
    """Stands for SIGKILL in the middle of a step."""


class Mortal(States):
    """States that are written before every update and end the training without a word before update `end`."""

    def __init__(self, folder, end=None, key="key"):
        super().__init__(folder, key, minutes=0)
        self.end = end

    def save(self, step, state):
        super().save(step, state)
        if step == self.end:
            raise Killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tiny study and its uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    result = tiny_study(folder, **CHANGES)
    return folder, result, train(folder, result, None)


def train(folder, result, states):
    torch.manual_seed(9)
    teacher = OnlineTeacher(build(result.model(result.teacher), result.view(result.teacher)))
    job = run_job(result, folder, "everything", folder / "run", "unread")
    member = Member(*cohorts.make(job), 0, [0] * len(job.teachers), states=states)
    images, validation = (Split(job.images, name) for name in ("train", "validation"))
    loop.train([member], [teacher], images, validation, job.recipe, CPU)
    return member.student, member.objective, member.log


def assert_equal(one, two):
    for a, b in zip(one[:2], two[:2], strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    for name, values in one[2].steps.items():
        np.testing.assert_array_equal(values, two[2].steps[name])
    np.testing.assert_equal(one[2].epochs, two[2].epochs)
    np.testing.assert_array_equal(one[2].validation_logits, two[2].validation_logits)
    assert one[2].gflops_per_image == two[2].gflops_per_image


@pytest.mark.parametrize("ends", [[1], [5], [7, 11], [14], [15]], ids=str)
def test_a_killed_training_goes_on_to_the_same_bits(whole, tmp_path, ends):
    folder, result, expected = whole
    for end in ends:
        with pytest.raises(Killed):
            train(folder, result, Mortal(tmp_path, end))
        torch.rand(7)  # what happens between two attempts must not matter
    assert_equal(train(folder, result, Mortal(tmp_path)), expected)


def test_two_states_are_kept_and_a_damaged_one_is_said_and_passed_over(whole, tmp_path, capsys):
    folder, result, expected = whole
    with pytest.raises(Killed):
        train(folder, result, Mortal(tmp_path, 8))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["key-000000007.state", "key-000000008.state"]
    path = tmp_path / names[1]
    content = path.read_bytes()
    for damaged in (content[:-10], content[:-1] + bytes([content[-1] ^ 1]), b"", content[:64]):
        path.write_bytes(damaged)
        assert States(tmp_path, "key", 0).load()["step"] == 7
        assert re.search(r"000000008\.state: is damaged and is not used", capsys.readouterr().err)
    assert_equal(train(folder, result, Mortal(tmp_path)), expected)


def test_a_state_of_another_key_is_refused_in_a_sentence_and_left(whole, tmp_path, capsys):
    folder, result, _ = whole
    with pytest.raises(Killed):
        train(folder, result, Mortal(tmp_path, 3))
    assert States(tmp_path, "other", 0).load() is None
    assert "is of another configuration, input or code and is not used" in capsys.readouterr().err
    assert len(list(tmp_path.glob("key-*.state"))) == 2


def test_files_kept_beside_the_states_are_part_of_them(tmp_path, capsys):
    states = States(tmp_path, "key", 0)
    states.save(1, {"step": 1})
    states.beside.mkdir()
    (states.beside / "weights").write_bytes(b"whole")
    states.keep("weights")
    states.save(2, {"step": 2})
    assert States(tmp_path, "key", 0).load() == {"step": 2}
    (states.beside / "weights").write_bytes(b"who")
    assert States(tmp_path, "key", 0).load() == {"step": 1}
    assert re.search(r"key/weights: is missing or damaged, so that \S+2\.state is not used", capsys.readouterr().err)


def test_a_finished_training_keeps_its_last_state_alone(tmp_path):
    old = States(tmp_path, "old", 0)
    old.save(1, {"step": 1})
    old.beside.mkdir()
    states = States(tmp_path, "key", 0)
    states.beside.mkdir()
    (states.beside / "weights").write_bytes(b"of an epoch")
    states.keep("weights")
    states.save(1, {"step": 1})
    states.finish(2, {"step": 2})
    assert {path.name for path in tmp_path.iterdir()} == {"key", "key-000000002.state"}
    assert States(tmp_path, "key", 0).load() == {"step": 2}


def test_states_are_due_after_their_minutes(tmp_path, monkeypatch):
    states = States(tmp_path, "key", minutes=10)
    now = time.monotonic()
    monkeypatch.setattr(resume.time, "monotonic", lambda: now + 599)
    assert not states.due()
    monkeypatch.setattr(resume.time, "monotonic", lambda: now + 601)
    assert states.due()
    states.save(1, {})
    assert not states.due()


def test_a_signal_asks_for_a_stop_and_is_heard_only_while_training():
    stop = Stop()
    stop.end_if_asked(1)
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked == signal.SIGTERM
        with pytest.raises(Interrupted, match="stopped by SIGTERM before update 2; run the same command again"):
            stop.end_if_asked(2)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_a_stream_goes_on_where_it_was_left_and_leaves_the_others_alone():
    outside = RandomStream.here()
    with RandomStream(5):
        expected = [draws() for _ in range(4)]
    outside.put_back()
    around = [draws() for _ in range(3)]
    outside.put_back()
    stream, ours, between = RandomStream(5), [], []
    for _ in range(2):
        with stream:
            ours.append(draws())
        between.append(draws())
    copy = RandomStream.from_state(stream.state())
    for other in (stream, copy):
        with other:
            assert [draws(), draws()] == expected[2:]
    assert ours == expected[:2] and [*between, draws()] == around


def write_task(folder, result, out):
    """The file with a cohort of one student without a teacher, and its task."""
    job = run_job(result, folder, "none", out, threads=2, minutes_between_states=0.0)
    by_name = ("objectives.cross_entropy",)
    code = code_of("students", *by_name)
    names = [CHECKPOINT.format(epoch) for epoch in job.kept]
    names += ["objective.safetensors", "logits_validation.npy", "logits_test.npy"]
    names += ["steps.parquet", "epochs.parquet", "result.json", "cost.json"]
    writes = tuple(f"{out}/{name}" for name in names)
    key = key_of("students", job, code)
    task = Task("students", "none/seed0", key, job, code, {}, writes, f"{out}/{record.NAME}", SHARED, by_name)
    path = folder / f"{out.name}.json"
    task.write(path)
    batch = folder / f"{out.name}.batch.json"
    batch.write_text(json.dumps({"stage": "cohorts", "tasks": [str(path)]}))
    return batch, task


def test_states_are_named_after_the_key_the_inputs_and_both_packages(monkeypatch, tmp_path):
    from distillation_dynamics.jobs import run

    result = tiny_study(tmp_path)
    _, task = write_task(tmp_path, result, tmp_path / "out")
    versions = {"torch": "1", "timm": "1"}
    monkeypatch.setattr(run, "version", versions.get)
    keys = [run.state_key(task, {"teacher": "a"}), run.state_key(task, {"teacher": "b"})]
    for package in versions:
        versions[package] = "2"
        keys.append(run.state_key(task, {"teacher": "a"}))
    assert len(set(keys)) == 4
