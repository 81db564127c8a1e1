"""Weights files: exact if this study made them, distinguished from other files, fetched by name and hash."""

import json
import os
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import sha256
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import load_weights, save_weights
from distillation_dynamics.networks.weights_file import check_safetensors, header, local_weights, other_weights
from distillation_dynamics.spec.base import to_json
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.spec.networks import WeightsJob
from distillation_dynamics.stages import network_weights as fetch

MODEL = Model("vit_tiny_patch16_224", {"patch_size": 7, "embed_dim": 16, "depth": 2, "num_heads": 2}, "timm", 10)
VIEW = View(1, 28, (0.5,), (0.5,))


@pytest.fixture
def tiny(tmp_path):
    """A tiny network and a file of its weights in a folder."""
    torch.manual_seed(0)
    network = build(MODEL, VIEW)
    path = tmp_path / "local/model.safetensors"
    save_weights(path, network)
    return network, path


def test_a_wrong_or_missing_weights_file_is_named(tmp_path, tiny):
    network, path = tiny
    with pytest.raises(StudyError, match=r"none\.safetensors: no such weights file"):
        load_weights(tmp_path / "none.safetensors", network)
    with pytest.raises(StudyError, match=r"its sha256 is .* but the configuration expects 000"):
        load_weights(path, network, "0" * 64)


def test_what_is_saved_is_loaded_to_the_bit(tiny):
    network, path = tiny
    torch.manual_seed(1)
    other = build(MODEL, VIEW)
    load_weights(path, other, sha256(path))
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


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
def test_weights_that_are_damaged_or_of_another_model_are_a_sentence_that_says_whose_the_fault_is(tiny, name):
    network, path = tiny
    damage, message = DAMAGES[name]
    damage(path, network.state_dict())
    with pytest.raises(StudyError, match=rf"^\S+model\.safetensors: {message}.*; delete it and run the same command"):
        load_weights(path, network)
    with pytest.raises(
        StudyError, match=rf"{message}.*; the fault is in what networks\.vit\.weights names: give other"
    ):
        load_weights(path, network, remedy=other_weights("networks.vit"))


@pytest.mark.parametrize("name", ["truncated", "empty", "no safetensors"])
def test_weights_that_are_no_safetensors_stop_a_plan_and_a_fetch(tmp_path, tiny, name):
    network, path = tiny
    DAMAGES[name][0](path, network.state_dict())
    said = r"model\.safetensors: not a whole safetensors file \(.*; the fault is in what networks\.vit\.weights names"
    with pytest.raises(StudyError, match=said):
        check_safetensors(path, other_weights("networks.vit"))
    with pytest.raises(StudyError, match=said):
        fetch.fetch(f"local-dir:{path.parent}", tmp_path / "cache", None, "networks.vit")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read(tiny, kind):
    network, path = tiny
    rounded = {name: value.to(kind) for name, value in network.state_dict().items()}
    save(path, rounded)
    loaded = build(MODEL, VIEW)
    load_weights(path, loaded)
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, rounded[name].float())


def test_the_header_tells_names_types_and_shapes_without_the_values(tmp_path):
    state = {"a": torch.zeros(3, 2), "b": torch.zeros((), dtype=torch.int64)}
    path = tmp_path / "some.safetensors"
    save_file(state, path, metadata={"format": "pt"})
    assert header(path) == {"a": {"dtype": "F32", "shape": [3, 2]}, "b": {"dtype": "I64", "shape": []}}


@pytest.mark.parametrize("name", ["model.pth", "pytorch_model.bin", "old.pt", "model.safetensors", "my 'best'.ckpt"])
def test_pickles_are_not_read_and_the_command_that_is_said_converts_them(tmp_path, tiny, name):
    network, _ = tiny
    folder = tmp_path / "a folder"
    folder.mkdir()
    state = network.state_dict()
    torch.save({"model": state}, folder / name, _use_new_zipfile_serialization=name != "old.pt")
    with pytest.raises(StudyError, match=rf"{name} is a pickle, which is not read, since it can run code") as error:
        check_safetensors(local_weights(str(folder / name), "networks.vit"), other_weights("networks.vit"))
    command = shlex.split(str(error.value).partition("convert it: ")[2])
    assert command[:3] == ["python", "-m", "distillation_dynamics.convert"]
    subprocess.run([sys.executable, *command[1:]], check=True, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")})
    (converted,) = folder.glob("*.safetensors")
    given = load_file(converted)
    assert given.keys() == state.keys() and all(torch.equal(given[name], value) for name, value in state.items())
    if name != "model.safetensors":
        converted.unlink()
        said = rf"^networks\.vit\.weights: .* must hold a model\.safetensors; {name} is a pickle, .* convert it"
        with pytest.raises(StudyError, match=said):
            local_weights(f"local-dir:{folder}", "networks.vit")


def test_a_folder_of_other_safetensors_says_what_to_do(tmp_path):
    for names, said in (
        (["my_net.safetensors"], r"; name the file itself, \S+my_net\.safetensors$"),
        (["a.safetensors", "b.safetensors"], r"; it holds a\.safetensors, b\.safetensors: join what are parts"),
    ):
        folder = tmp_path / names[0]
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(b"")
        with pytest.raises(StudyError, match=r"must hold a model\.safetensors" + said):
            local_weights(f"local-dir:{folder}", "networks.vit")


def test_a_local_folder_lands_in_the_cache_with_a_note_of_its_source(tmp_path, tiny):
    _, path = tiny
    fetch.fetch(f"local-dir:{path.parent}", tmp_path / "cache", None, "networks.vit")
    assert (tmp_path / "cache/model.safetensors").read_bytes() == path.read_bytes()
    note = json.loads((tmp_path / "cache/source.json").read_text())
    assert note == {"source": "local-dir", "name": str(path.parent), "revision": None, "sha256": sha256(path)}
    with pytest.raises(StudyError, match=r"^networks\.vit\.sha256: .* is expected"):
        fetch.fetch(f"local-dir:{path.parent}", tmp_path / "other", "0" * 64, "networks.vit")
    assert not (tmp_path / "other/model.safetensors").exists()
    with pytest.raises(StudyError, match=r"must hold a model\.safetensors"):
        fetch.fetch(f"local-dir:{tmp_path / 'nowhere'}", tmp_path / "other", None, "networks.vit")


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


FETCH = """
import sys
from distillation_dynamics.errors import StudyError
from distillation_dynamics.stages.network_weights import main
from distillation_dynamics.spec.base import from_json
from distillation_dynamics.spec.networks import WeightsJob
try:
    main(from_json(WeightsJob, sys.argv[1]))
except StudyError as error:
    sys.exit(f"error: {error}")
print("torch" in sys.modules)
"""


def fetch_from_hub(tmp_path, address, revision, sha256=None):
    """Carry out the job to fetch weights into `tmp_path/cache`, in a process of its own."""
    job = WeightsJob(f"hf-hub:someone/tiny@{revision}", None, sha256, name="vit", out=str(tmp_path / "cache"))
    # Read by Python when it starts: the pauses between attempts, half a minute in all, are none.
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep = lambda seconds: None\n")
    environment = {
        **os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "workflow")]),
    }  # fmt: skip
    command = [sys.executable, "-c", FETCH, to_json(job)]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def hub(tiny):
    """The address of a hub that has the weights of the tiny network."""
    _, path = tiny
    Hub.content = Path(path).read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_weights_are_downloaded_from_a_hub_by_name_and_revision_without_torch(tmp_path, tiny, hub):
    _, path = tiny
    missing = fetch_from_hub(tmp_path, hub, "b" * 40)
    assert missing.returncode == 1 and "networks.vit.weights: someone/tiny@bbb" in missing.stderr
    assert "has no model.safetensors to download" in missing.stderr
    done = fetch_from_hub(tmp_path, hub, Hub.commit)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "False\n"
    assert (tmp_path / "cache/model.safetensors").read_bytes() == path.read_bytes()
    note = json.loads((tmp_path / "cache/source.json").read_text())
    assert note["name"] == "someone/tiny" and note["revision"] == Hub.commit and note["sha256"] == sha256(path)


def test_other_weights_than_are_expected_are_refused_by_their_hash(tmp_path, hub):
    done = fetch_from_hub(tmp_path, hub, Hub.commit, sha256="0" * 64)
    assert done.returncode == 1 and f"but {'0' * 64} is expected" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("cache/*"))


def test_a_hub_that_cannot_be_reached_is_a_sentence(tmp_path):
    done = fetch_from_hub(tmp_path, "http://127.0.0.1:9", "a" * 40)
    assert done.returncode == 1
    assert "networks.vit.weights: the hub cannot be reached for someone/tiny" in done.stderr
    assert "Traceback" not in done.stderr
