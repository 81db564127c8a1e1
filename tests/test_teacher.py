"""The three sources of a teacher, and the checks that stand before a student may use it."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from distillation_dynamics.spec.teacher import TeacherJob, WeightsJob
from safetensors.torch import load_file, save_file

from conftest import ROOT
from distillation_dynamics import expected, models, teacher, teacher_outputs, teacher_weights
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import sha256
from distillation_dynamics.jobs import costs, order
from distillation_dynamics.jobs.chain import Chain, Content
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.spec import configured
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.training import Augmentation
from helpers import chain_of, changed, images_of, load, smoke_config, split, tiny_study

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


def test_a_wrong_or_missing_weights_file_is_named(tmp_path, tiny):
    _, network, path = tiny
    with pytest.raises(StudyError, match=r"none\.safetensors: no such weights file"):
        models.load_weights(tmp_path / "none.safetensors", network)
    with pytest.raises(StudyError, match=r"its sha256 is .* but the configuration expects 000"):
        models.load_weights(path, network, "0" * 64)


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
    # Read by Python when it starts: the pauses between attempts, half a minute in all, are none.
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep = lambda seconds: None\n")
    environment = {
        **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "workflow")]),
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


def save(path, state):
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    return path


HALF = torch.full((1, 1, 16), torch.inf, dtype=torch.float16)
DAMAGES = {
    "truncated": (lambda path, state: path.write_bytes(path.read_bytes()[:-100]), "not a whole safetensors file"),
    "empty": (lambda path, state: path.write_bytes(b""), "not a whole safetensors file"),
    "no safetensors": (lambda path, state: path.write_bytes(b"\x89HDF\r\n and more"), "not a whole safetensors file"),
    "NaN": (
        lambda path, state: save(path, state | {"blocks.1.norm1.bias": torch.full((16,), torch.nan)}),
        r"blocks\.1\.norm1\.bias holds values that are not finite numbers",
    ),
    "infinity in float16": (
        lambda path, state: save(path, {name: value.half() for name, value in state.items()} | {"cls_token": HALF}),
        "cls_token holds values that are not finite numbers",
    ),
    "another shape": (
        lambda path, state: save(path, state | {"head.weight": torch.zeros(5, 16)}),
        r"does not fit the model in the configuration \(head\.weight has shape \[5, 16\], the model \[10, 16\]\)",
    ),
    "a tensor less": (
        lambda path, state: save(path, {n: v for n, v in state.items() if n not in ("head.weight", "head.bias")}),
        r"does not fit the model in the configuration \(it lacks head\.bias and 1 more\)",
    ),
    "a tensor more": (
        lambda path, state: save(path, state | {"fc.weight": torch.zeros(2)}),
        r"does not fit the model in the configuration \(it has too fc\.weight\)",
    ),
    "whole numbers": (
        lambda path, state: save(path, state | {"head.bias": torch.zeros(10, dtype=torch.int8)}),
        r"does not fit .* \(head\.bias holds torch\.int8, the model torch\.float32\)",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_weights_that_are_damaged_or_of_another_model_are_a_sentence_that_says_whose_the_fault_is(tmp_path, tiny, name):
    result, network, path = tiny
    damage, message = DAMAGES[name]
    damage(path, network.state_dict())
    with pytest.raises(StudyError, match=rf"^\S+model\.safetensors: {message}.*; delete it and run the same command"):
        models.load_weights(path, network)
    with pytest.raises(StudyError, match=rf"{message}.*; the fault is in what teacher\.weights names: give other"):
        teacher.main(job_of(result, tmp_path, path))
    assert not (tmp_path / "teacher/teacher.safetensors").exists()


@pytest.mark.parametrize("name", ["truncated", "empty", "no safetensors"])
def test_weights_that_are_no_safetensors_stop_a_plan_and_a_fetch(tmp_path, tiny, name):
    _, network, path = tiny
    DAMAGES[name][0](path, network.state_dict())
    said = r"model\.safetensors: not a whole safetensors file \(.*; the fault is in what teacher\.weights names"
    for source, weights in (("checkpoint", str(path)), ("timm", f"local-dir:{path.parent}")):
        with pytest.raises(StudyError, match=said):
            Content.read(with_weights(source, weights), Hashes())
    with pytest.raises(StudyError, match=said):
        teacher_weights.fetch(f"local-dir:{path.parent}", tmp_path / "cache", None)
    assert not (tmp_path / "cache").exists()


def with_weights(source, weights):
    """The smoke study with a teacher from elsewhere."""
    config = smoke_config()
    given = {"source": source, "model": config["teacher"]["model"], "weights": weights, "expected_top1": 50}
    return load(config | {"teacher": given})


@pytest.mark.parametrize("name", ["model.pth", "pytorch_model.bin", "old.pt", "model.safetensors"])
@pytest.mark.parametrize("key", [None, "model", "state_dict"])
def test_pickles_are_not_read_and_the_command_that_is_said_converts_them(tmp_path, tiny, name, key):
    _, network, _ = tiny
    folder = tmp_path / "given"
    folder.mkdir()
    state = network.state_dict()
    torch.save(state if key is None else {key: state}, folder / name, _use_new_zipfile_serialization=name != "old.pt")
    with pytest.raises(StudyError, match=rf"{name} is a pickle, which is not read, since it can run code") as error:
        Content.read(with_weights("checkpoint", str(folder / name)), Hashes())
    exec(re.search(r'python -c "(.+)"$', str(error.value))[1], {})
    (converted,) = folder.glob("*.safetensors")
    given = load_file(converted)
    assert given.keys() == state.keys() and all(torch.equal(given[name], value) for name, value in state.items())
    if name != "model.safetensors":
        converted.unlink()
        with pytest.raises(StudyError, match=rf"must hold a model\.safetensors; {name} is a pickle, .* convert it"):
            Content.read(with_weights("timm", f"local-dir:{folder}"), Hashes())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read(tiny, kind):
    result, network, path = tiny
    rounded = {name: value.to(kind) for name, value in network.state_dict().items()}
    save(path, rounded)
    loaded = models.build(result.teacher.model, result.data.view)
    models.load_weights(path, loaded)
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, rounded[name].float())


def test_a_teacher_trains_to_the_same_bits_whether_its_images_are_decoded_before_or_not(tmp_path, monkeypatch):
    result, weights = tiny_study(tmp_path), []
    for limit in (1e9, 1):
        monkeypatch.setattr(configured, "MOST_DECODED", limit)
        split(result, tmp_path / "data")
        teacher.main(job_of(result, tmp_path))
        weights.append((tmp_path / "teacher/teacher.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_room_that_stored_outputs_take_is_known_before_and_too_much_is_not_begun(tmp_path, tiny, monkeypatch):
    result, network, _ = tiny
    chain = chain_of(result)
    images, out = Split(images_of(result, tmp_path / "data"), "train", 80), tmp_path / "outputs"
    blocks = chain.outputs.order.job.blocks
    teacher_outputs.write(out, network, images, None, blocks, CPU)
    size = sum(np.load(path).nbytes for path in out.iterdir())
    assert costs.outputs_bytes(chain) == size
    monkeypatch.setattr(expected, "MOST_STORED", size)
    expected.check_stored(size, out)
    monkeypatch.setattr(expected, "MOST_STORED", size - 1)
    with pytest.raises(
        StudyError, match=r"^student\.recipe: the teacher's outputs .* give student\.recipe\.augmentation"
    ):
        teacher_outputs.write(tmp_path / "more", network, images, None, blocks, CPU)
    assert not (tmp_path / "more").exists()
    monkeypatch.setattr(expected, "MOST_STORED", 1e30)
    with pytest.raises(StudyError, match=r"GB are free"):
        expected.check_stored(10**29, tmp_path / "not/yet/there")


@pytest.mark.parametrize(
    ("taken_from", "train_images", "counts", "images"),
    [
        ("train", None, {"train": 100, "test": 40}, 80),
        ("test", None, {"train": 100, "test": 40}, 100),
        ("train", 70, {"train": 100, "test": 40}, 70),
        ("train", 70, {}, 70),
        ("train", None, {"test": 40}, None),
    ],
)
def test_outputs_of_so_many_images_as_are_trained_on_are_planned(tmp_path, taken_from, train_images, counts, images):
    changes = {"data.validation.taken_from": taken_from, "student.recipe.train_images": train_images}
    config = smoke_config()
    for key, value in {"data.validation.per_class": 2, "comparison.images": 20, **changes}.items():
        config = changed(config, key, value)
    if train_images is None:
        del config["student"]["recipe"]["train_images"]
    chain = Chain(load(config), Content({"train": "a", "test": "b"}, counts=counts), str(tmp_path))
    assert chain.training_images(chain.study.student.recipe) == images
    channels, rows, columns = chain.study.teacher_facts.shapes[0]
    blocks = len(chain.outputs.order.job.blocks)
    size = None if images is None else 4 * images * (10 + blocks * channels * rows * columns)
    assert costs.outputs_bytes(chain) == size
