"""Loader processes where there is little shared memory, as in a container: the same images, and one sentence."""

import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch

from conftest import ROOT
from distillation_dynamics.data import loading
from distillation_dynamics.data.split import Split
from pictures import HELD_OUT, make_folder, split_into

# Mounts a shared memory of so many bytes for itself alone.
ALONE = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size="$0" tmpfs /dev/shm && shift 0 && exec "$@"']
# Reads a split with and without loader processes, of which each holds a batch ready, and compares them.
SAME = """
import pickle, sys, torch
from distillation_dynamics.data.split import Split
split = Split(pickle.load(open(sys.argv[1], "rb")), "train")
with_them = list(split.training(16, None, 0, range(6), workers=2)) + list(split.evaluation(16, workers=2))
without = list(split.training(16, None, 0, range(6))) + list(split.evaluation(16))
assert len(with_them) == len(without) > 6
assert all(torch.equal(a.images, b.images) and (a.positions == b.positions).all() for a, b in zip(with_them, without))
"""


@pytest.fixture
def folder_images(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", seed=1)
    return split_into(tmp_path / "data", tmp_path / "test", tmp_path / "train", 3, HELD_OUT)


def can_mount():
    """Whether this machine lets the tests have a shared memory of their own."""
    return shutil.which("unshare") and subprocess.run([*ALONE, "4k", "true"], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("size", "said"),
    [("8k", "images are read without loader processes"), ("128k", "they go through pipes"), ("64m", None)],
)
@pytest.mark.skipif(not can_mount(), reason="no shared memory of one's own can be mounted here")
def test_in_a_small_shared_memory_the_images_are_the_same_and_one_sentence_says_what_to_do(
    folder_images, tmp_path, size, said
):
    (tmp_path / "images").write_bytes(pickle.dumps(folder_images))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    command = [*ALONE, size, sys.executable, "-c", SAME, str(tmp_path / "images")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("--shm-size") == (0 if said is None else 1) and (said or "") in done.stderr


@pytest.mark.parametrize("free", [0, 10**5, 10**12, None])
def test_how_much_room_there_is_decides_how_a_batch_passes_and_not_what_it_is(folder_images, monkeypatch, free):
    monkeypatch.setattr(loading, "shared_bytes", lambda: free)
    split = Split(folder_images, "train")
    for a, b in zip(split.evaluation(5, workers=1), split.evaluation(5), strict=True):
        assert torch.equal(a.images, b.images)


def test_all_that_may_ask_at_a_time_must_find_room(monkeypatch):
    monkeypatch.setattr(loading, "get_worker_info", lambda: type("Info", (), {"num_workers": 3}))
    monkeypatch.setattr(loading, "shared_bytes", lambda: 1000)
    assert loading._fits(249) and not loading._fits(250)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert loading._fits(62) and not loading._fits(63)
    monkeypatch.setattr(loading, "get_worker_info", lambda: None)
    assert loading._fits(10**12), "nothing passes"


def test_a_machine_without_a_file_system_of_shared_memory_has_no_limit_and_one_without_a_folder_no_room(monkeypatch):
    monkeypatch.setattr(loading, "SHARED", "/no/such/folder")
    assert loading.shared_bytes() == 0
    monkeypatch.setattr(loading.sys, "platform", "darwin")
    assert loading.shared_bytes() is None
