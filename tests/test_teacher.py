"""The three sources of a teacher, and the checks that stand before a student may use it."""

import json
import os
import subprocess
import sys
import threading
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from conftest import ROOT
from distillation_dynamics import models, teacher, teacher_outputs
from distillation_dynamics.data import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import sha256
from distillation_dynamics.spec import Augmentation, Teacher, to_json
from helpers import tiny_study

CPU = torch.device("cpu")


def arguments(result, tmp_path, spec, weights=()):
    return Namespace(
        teacher=to_json(spec),
        data_spec=to_json(result.data),
        data=[str(tmp_path / "data")],
        weights=list(weights),
        out=str(tmp_path / "teacher"),
        gpus="0",
        minutes="10",
        threads=1,
    )


@pytest.fixture
def tiny(tmp_path):
    """A tiny study and a weights file of its teacher."""
    result = tiny_study(tmp_path)
    torch.manual_seed(0)
    network = models.build(result.teacher.model, result.data)
    folder = tmp_path / "local"
    models.save_weights(folder / "model.safetensors", network)
    return result, network, folder / "model.safetensors"


def other_source(result, source, **changes):
    values = {"source": source, "recipe": None, **changes}
    fields = {name: getattr(result.teacher, name) for name in result.teacher.__dataclass_fields__}
    return Teacher(**fields | values)


def test_a_pretrained_teacher_leaves_weights_logits_tables_and_an_untrained_twin(tmp_path, tiny):
    result, *_ = tiny
    teacher.main(arguments(result, tmp_path, result.teacher))
    out = tmp_path / "teacher"
    facts = json.loads((out / "result.json").read_text())
    assert facts["train_images"] == 80 and facts["source"] == "pretrain"
    assert np.load(out / "logits_test.npy").shape == (40, 10)
    trained, untrained = (models.build(result.teacher.model, result.data) for _ in range(2))
    models.load_weights(out / "teacher.safetensors", trained)
    models.load_weights(out / "untrained.safetensors", untrained)
    assert not torch.equal(next(trained.parameters()), next(untrained.parameters()))


def test_a_checkpoint_teacher_is_loaded_exactly_and_measured(tmp_path, tiny):
    result, network, path = tiny
    teacher.main(arguments(result, tmp_path, other_source(result, "checkpoint", sha256=sha256(path)), [str(path)]))
    loaded = models.build(result.teacher.model, result.data)
    models.load_weights(tmp_path / "teacher/teacher.safetensors", loaded)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))
    measured = json.loads((tmp_path / "teacher/result.json").read_text())["validation_top1"]
    split = Split(tmp_path / "data", result.data, "validation")
    with torch.no_grad():
        logits = network.eval()(next(split.evaluation(len(split))).images)
    assert measured == pytest.approx(100 * (logits.argmax(1).numpy() == split.labels).mean())


def test_a_teacher_that_is_not_as_good_as_expected_is_refused(tmp_path, tiny):
    result, _, path = tiny
    spec = other_source(result, "checkpoint", expected_top1=83.0)
    with pytest.raises(StudyError, match=r"teacher\.expected_top1: .* was measured .* 83\.0 \+- 1\.0 % is expected"):
        teacher.main(arguments(result, tmp_path, spec, [str(path)]))
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
        models.load_weights(path, models.build(result.student.model, result.data))


def test_a_local_folder_lands_in_the_cache_with_its_record(tmp_path, tiny):
    *_, path = tiny
    teacher.fetch(f"local-dir:{path.parent}", tmp_path / "cache", None)
    assert (tmp_path / "cache/model.safetensors").read_bytes() == path.read_bytes()
    record = json.loads((tmp_path / "cache/record.json").read_text())
    assert record == {"source": "local-dir", "name": str(path.parent), "revision": None, "sha256": sha256(path)}
    with pytest.raises(StudyError, match=r"teacher\.sha256: .* is expected"):
        teacher.fetch(f"local-dir:{path.parent}", tmp_path / "other", "0" * 64)
    assert not (tmp_path / "other/model.safetensors").exists()
    with pytest.raises(StudyError, match=r"must hold a model\.safetensors"):
        teacher.fetch(f"local-dir:{tmp_path / 'nowhere'}", tmp_path / "other", None)


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


def fetch_from_hub(tmp_path, result, address, revision):
    spec = other_source(result, "timm", weights=f"hf-hub:someone/tiny@{revision}", expected_top1=10.0)
    environment = {
        **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT / "workflow"),
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "distillation_dynamics.teacher",
        "--teacher",
        to_json(spec),
        "--data-spec",
        "",
    ]
    command += ["--out", str(tmp_path / "cache"), "--gpus", "0", "--minutes", "10"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_weights_are_downloaded_from_a_hub_by_name_and_revision(tmp_path, tiny):
    result, _, path = tiny
    Hub.content = path.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        missing = fetch_from_hub(tmp_path, result, address, "b" * 40)
        done = fetch_from_hub(tmp_path, result, address, Hub.commit)
    finally:
        server.shutdown()
        server.server_close()
    assert missing.returncode == 1 and "has no model.safetensors to download" in missing.stderr
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cache/model.safetensors").read_bytes() == path.read_bytes()
    record = json.loads((tmp_path / "cache/record.json").read_text())
    assert record["name"] == "someone/tiny" and record["revision"] == Hub.commit and record["sha256"] == sha256(path)


def test_a_hub_that_cannot_be_reached_is_a_sentence(tmp_path, tiny):
    result, *_ = tiny
    done = fetch_from_hub(tmp_path, result, "http://127.0.0.1:9", "a" * 40)
    assert done.returncode == 1
    assert "teacher.weights: the hub cannot be reached for someone/tiny" in done.stderr
    assert "Traceback" not in done.stderr


def stored(tmp_path, result, network, augmentation=None):
    images = Split(tmp_path / "data", result.data, "train", 80)
    teacher_outputs.write(tmp_path / "outputs", network, images, augmentation, [0, 2], CPU)
    return images, teacher_outputs.CachedTeacher(tmp_path / "outputs", [0, 2], True, augmentation)


def test_stored_outputs_are_what_the_teacher_says(tmp_path, tiny):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    online = teacher_outputs.OnlineTeacher(network, [0, 2], True, "float32")
    for batch in images.training(16, None, 3, 1):
        ours, theirs = cached(batch, batch.images, 1), online(batch, batch.images, 1)
        torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-4, atol=1e-5)
        for block in (0, 2):
            torch.testing.assert_close(ours.features[block], theirs.features[block], rtol=1e-4, atol=1e-5)


def test_each_of_a_fixed_number_of_views_has_its_own_outputs(tmp_path, tiny):
    result, network, _ = tiny
    augmentation = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, views=2)
    images, cached = stored(tmp_path, result, network, augmentation)
    assert cached.arrays[None].shape == (2, 80, 10)
    online = teacher_outputs.OnlineTeacher(network, [], True, "float32")
    for epoch in (0, 3):
        for batch in images.training(16, augmentation, 1, epoch):
            expected = online(batch, batch.images, epoch).logits
            torch.testing.assert_close(cached(batch, batch.images, epoch).logits, expected, rtol=1e-4, atol=1e-5)


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
    online = teacher_outputs.OnlineTeacher(network, [0], False, "float32")
    seen = []
    network.blocks[1].register_forward_hook(lambda *_: seen.append(1))
    answer = online(None, torch.randn(2, 1, 28, 28), 0)
    assert answer.logits is None and list(answer.features) == [0] and not seen
