"""The three sources of a teacher, and the checks that stand before a student may use it."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from conftest import ROOT
from distillation_dynamics import models, teacher, teacher_outputs, teacher_weights
from distillation_dynamics.data import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import sha256
from distillation_dynamics.jobs import order
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.teacher import TeacherJob, WeightsJob
from distillation_dynamics.spec.training import Augmentation
from helpers import images_of, tiny_study

CPU = torch.device("cpu")


def job_of(result, tmp_path, weights=None, **expected):
    """The job that pretrains the study's teacher, or loads `weights` in its place, into `tmp_path/teacher`."""
    spec = result.teacher
    recipe, smoothing = (spec.recipe, spec.label_smoothing) if weights is None else (None, None)
    source = None if weights is None else From("weights", files=(str(weights),))
    return TeacherJob(
        *(images_of(result, tmp_path / "data"), spec.model, spec.seed, recipe, smoothing, source),
        **{"tolerance": spec.tolerance, "out": str(tmp_path / "teacher"), **expected},
    )


@pytest.fixture
def tiny(tmp_path):
    """A tiny study and a weights file of its teacher."""
    result = tiny_study(tmp_path)
    torch.manual_seed(0)
    network = models.build(result.teacher.model, result.data.view)
    folder = tmp_path / "local"
    models.save_weights(folder / "model.safetensors", network)
    return result, network, folder / "model.safetensors"


def test_a_pretrained_teacher_leaves_weights_logits_tables_and_an_untrained_twin(tmp_path, tiny):
    result, *_ = tiny
    teacher.main(job_of(result, tmp_path))
    out = tmp_path / "teacher"
    facts = json.loads((out / "result.json").read_text())
    assert facts["train_images"] == 80 and facts["source"] == "pretrain"
    assert np.load(out / "logits_test.npy").shape == (40, 10)
    trained, untrained = (models.build(result.teacher.model, result.data.view) for _ in range(2))
    models.load_weights(out / "teacher.safetensors", trained)
    models.load_weights(out / "untrained.safetensors", untrained)
    assert not torch.equal(next(trained.parameters()), next(untrained.parameters()))


def test_a_checkpoint_teacher_is_loaded_exactly_and_measured(tmp_path, tiny):
    result, network, path = tiny
    teacher.main(job_of(result, tmp_path, path, sha256=sha256(path)))
    loaded = models.build(result.teacher.model, result.data.view)
    models.load_weights(tmp_path / "teacher/teacher.safetensors", loaded)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))
    facts = json.loads((tmp_path / "teacher/result.json").read_text())
    assert facts["source"] == "weights" and facts["train_images"] is None
    measured = facts["validation_top1"]
    split = Split(images_of(result, tmp_path / "data"), "validation")
    with torch.no_grad():
        logits = network.eval()(next(split.evaluation(len(split))).images)
    assert measured == pytest.approx(100 * (logits.argmax(1).numpy() == split.labels).mean())


def test_a_teacher_that_is_not_as_good_as_expected_is_refused(tmp_path, tiny):
    result, _, path = tiny
    with pytest.raises(StudyError, match=r"teacher\.expected_top1: .* was measured .* 83\.0 \+- 1\.0 % is expected"):
        teacher.main(job_of(result, tmp_path, path, expected_top1=83.0))
    assert not (tmp_path / "teacher/teacher.safetensors").exists()


def test_a_truncated_wrong_or_missing_weights_file_is_named(tmp_path, tiny):
    result, network, path = tiny
    short = tmp_path / "short.safetensors"
    short.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StudyError, match=r"short\.safetensors: not a whole safetensors file"):
        models.load_weights(short, network)
    with pytest.raises(StudyError, match=r"none\.safetensors: no such weights file"):
        models.load_weights(tmp_path / "none.safetensors", network)
    with pytest.raises(StudyError, match=r"its sha256 is .* but the configuration expects 000"):
        models.load_weights(path, network, "0" * 64)
    with pytest.raises(StudyError, match=r"does not fit the model"):
        models.load_weights(path, models.build(result.student.model, result.data.view))


def test_a_local_folder_lands_in_the_cache_with_a_note_of_its_source(tmp_path, tiny):
    *_, path = tiny
    teacher_weights.fetch(f"local-dir:{path.parent}", tmp_path / "cache", None)
    assert (tmp_path / "cache/model.safetensors").read_bytes() == path.read_bytes()
    note = json.loads((tmp_path / "cache/source.json").read_text())
    assert note == {"source": "local-dir", "name": str(path.parent), "revision": None, "sha256": sha256(path)}
    with pytest.raises(StudyError, match=r"teacher\.sha256: .* is expected"):
        teacher_weights.fetch(f"local-dir:{path.parent}", tmp_path / "other", "0" * 64)
    assert not (tmp_path / "other/model.safetensors").exists()
    with pytest.raises(StudyError, match=r"must hold a model\.safetensors"):
        teacher_weights.fetch(f"local-dir:{tmp_path / 'nowhere'}", tmp_path / "other", None)


class Hub(BaseHTTPRequestHandler):
    """The part of the Hugging Face hub that a download asks for."""

    content = b""
    commit = "a" * 40

    def answer(self, body: bool) -> None:
        if self.path.split("?")[0] != f"/someone/tiny/resolve/{self.commit}/model.safetensors":
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", '"0123"')
        self.send_header("X-Repo-Commit", self.commit)
        self.end_headers()
        if body:
            self.wfile.write(self.content)

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def log_message(self, *args):
        """Keep the test's output clean."""


def fetch_from_hub(tmp_path, address, revision, sha256=None):
    """Carry out the order to fetch weights into `tmp_path/cache`, in a process of its own."""
    job = WeightsJob(f"hf-hub:someone/tiny@{revision}", None, sha256, out=str(tmp_path / "cache"))
    code = order.code_of("teacher_weights")
    written = tuple(f"{job.out}/{name}" for name in ("model.safetensors", "source.json"))
    key, record = order.key_of("teacher_weights", job, code), f"{job.out}/.record.json"
    order.write(order.Order("teacher_weights", "", key, job, code, {}, written, record), tmp_path / "order.json")
    environment = {
        **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT / "workflow"),
    }  # fmt: skip
    command = [sys.executable, "-m", "distillation_dynamics", str(tmp_path / "order.json")]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def hub(tiny):
    """The address of a hub that has the weights of the tiny study's teacher."""
    *_, path = tiny
    Hub.content = path.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_weights_are_downloaded_from_a_hub_by_name_and_revision(tmp_path, tiny, hub):
    *_, path = tiny
    missing = fetch_from_hub(tmp_path, hub, "b" * 40)
    assert missing.returncode == 1 and "has no model.safetensors to download" in missing.stderr
    done = fetch_from_hub(tmp_path, hub, Hub.commit)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache/model.safetensors").read_bytes() == path.read_bytes()
    note = json.loads((tmp_path / "cache/source.json").read_text())
    assert note["name"] == "someone/tiny" and note["revision"] == Hub.commit and note["sha256"] == sha256(path)
    record = json.loads((tmp_path / "cache/.record.json").read_text())
    assert record["stage"] == "teacher_weights" and record["files"]["model.safetensors"]["sha256"] == sha256(path)


def test_other_weights_than_are_expected_are_refused_by_their_hash(tmp_path, hub):
    done = fetch_from_hub(tmp_path, hub, Hub.commit, sha256="0" * 64)
    assert done.returncode == 1 and f"but {'0' * 64} is expected" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("cache/*"))


def test_weights_that_are_there_are_not_fetched_again(tmp_path, hub):
    assert fetch_from_hub(tmp_path, hub, Hub.commit).returncode == 0
    again = fetch_from_hub(tmp_path, "http://127.0.0.1:9", Hub.commit)
    assert again.returncode == 0 and "is already what it should be" in again.stderr


def test_a_hub_that_cannot_be_reached_is_a_sentence(tmp_path):
    done = fetch_from_hub(tmp_path, "http://127.0.0.1:9", "a" * 40)
    assert done.returncode == 1
    assert "teacher.weights: the hub cannot be reached for someone/tiny" in done.stderr
    assert "Traceback" not in done.stderr


def stored(tmp_path, result, network, augmentation=None):
    images = Split(images_of(result, tmp_path / "data"), "train", 80)
    teacher_outputs.write(tmp_path / "outputs", network, images, augmentation, [0, 2], CPU)
    return images, teacher_outputs.CachedTeacher(tmp_path / "outputs", [0, 2], True, augmentation)


def test_stored_outputs_are_what_the_teacher_says(tmp_path, tiny):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    online = teacher_outputs.OnlineTeacher(network, "float32")
    for batch in images.training(16, None, 3, [1]):
        ours, theirs = (ask(batch, batch.images, 1, ([0, 2], True)) for ask in (cached, online))
        assert list(ours.features) == list(theirs.features) == [0, 2]
        torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-4, atol=1e-5)
        for block in (0, 2):
            torch.testing.assert_close(ours.features[block], theirs.features[block], rtol=1e-4, atol=1e-5)


def test_stored_outputs_are_given_only_as_far_as_they_are_wanted(tmp_path, tiny):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    batch = next(images.training(16, None, 3, [0]))
    for wanted in (([2], False), ([], True)):
        answer = cached(batch, batch.images, 0, wanted)
        assert (list(answer.features), answer.logits is not None) == wanted


@pytest.mark.parametrize("size", [1, 5, 16, 40])
def test_a_teacher_asked_for_parts_of_a_batch_says_the_same_of_the_whole(tmp_path, tiny, size):
    result, network, _ = tiny
    batch = next(Split(images_of(result, tmp_path / "data"), "train").training(16, None, 3, [0]))
    whole, parts = (
        teacher_outputs.OnlineTeacher(network, "float32", at_a_time)(batch, batch.images, 0, ([0, 2], True))
        for at_a_time in (None, size)
    )
    assert list(parts.features) == [0, 2]
    for ours, theirs in zip(parts.tensors(), whole.tensors(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_each_of_a_fixed_number_of_views_has_its_own_outputs(tmp_path, tiny):
    result, network, _ = tiny
    augmentation = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, views=2)
    images, cached = stored(tmp_path, result, network, augmentation)
    assert cached.arrays[None].shape == (2, 80, 10)
    online = teacher_outputs.OnlineTeacher(network, "float32")
    for epoch in (0, 3):
        for batch in images.training(16, augmentation, 1, [epoch]):
            ours, theirs = (ask(batch, batch.images, epoch, ([], True)).logits for ask in (cached, online))
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["logits.npy", "block02.npy"])
def test_the_check_of_stored_outputs_passes_when_whole_and_fails_when_corrupt(tmp_path, tiny, name):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    cached.verify(network, images, CPU, seed=0)
    values = np.load(tmp_path / "outputs" / name)
    values += np.float32(0.5)
    np.save(tmp_path / "outputs" / name, values)
    broken = teacher_outputs.CachedTeacher(tmp_path / "outputs", [0, 2], True, None)
    with pytest.raises(StudyError, match=f"{name}: differs from what the teacher says now"):
        broken.verify(network, images, CPU, seed=0)
    np.save(tmp_path / "outputs" / name, values[:, :40])
    broken = teacher_outputs.CachedTeacher(tmp_path / "outputs", [0, 2], True, None)
    with pytest.raises(StudyError, match=f"{name}: holds shape"):
        broken.verify(network, images, CPU, seed=0)


def test_a_teacher_asked_for_features_alone_stops_early(tiny):
    _, network, _ = tiny
    online = teacher_outputs.OnlineTeacher(network, "float32")
    seen = []
    network.blocks[1].register_forward_hook(lambda *_: seen.append(1))
    answer = online(None, torch.randn(2, 1, 28, 28), 0, ([0], False))
    assert answer.logits is None and list(answer.features) == [0] and not seen
