"""Files appear whole or not at all, whatever stops the writer; what is damaged is named with a remedy."""

import resource
import signal

import numpy as np
import pytest
import torch

from distillation_dynamics import files
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.training.resume import States

LARGE = np.random.default_rng(0).random(100_000)
DOCUMENTATION = {"a": files.Column("", "random")}
WRITERS = {
    "a.npy": lambda path: files.write_npy(path, LARGE),
    "a.parquet": lambda path: files.write_table(path, {"a": LARGE}, DOCUMENTATION),
    "a.json": lambda path: files.write_json(path, LARGE.tolist()),
    "a.safetensors": lambda path: save_weights(path, torch.nn.Linear(300, 300)),
    "key-000000001.state": lambda path: States(path.parent, "key", 0).save(1, {"a": torch.from_numpy(LARGE)}),
}


@pytest.fixture
def hundred_kilobytes():
    """No file of this process may grow beyond 100 kB: to the writer the same as a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", WRITERS)
def test_without_room_the_old_file_stays_and_a_sentence_is_said(tmp_path, name, hundred_kilobytes):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(StudyError, match=rf"{name}: .+; free some space and run the same command again"):
        WRITERS[name](path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError, match="stop"), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_an_array_that_is_not_filled_does_not_appear(tmp_path):
    with (
        pytest.raises(ValueError, match="6 values were written"),
        files.npy_writer(tmp_path / "a", (2, 4), "f4") as add,
    ):
        add(np.zeros((2, 3), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "array", [np.float32(3), np.zeros((0, 4)), np.asfortranarray(LARGE.reshape(100, -1)), LARGE[::2]]
)
def test_arrays_come_back_as_they_were(tmp_path, array):
    files.write_npy(tmp_path / "a.npy", np.asarray(array))
    np.testing.assert_array_equal(files.read_npy(tmp_path / "a.npy"), array)


@pytest.mark.parametrize(
    ("name", "read"), [("a.npy", files.read_npy), ("a.parquet", files.read_table), ("a.json", files.read_json)]
)
@pytest.mark.parametrize("kept", [0, 5, 500])
def test_a_truncated_file_is_named_with_a_remedy(tmp_path, name, read, kept):
    path = tmp_path / name
    WRITERS[name](path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StudyError, match=rf"{name} .*; delete it and run snakemake again"):
        read(path)
    path.unlink()
    with pytest.raises(StudyError, match=rf"{name} does not exist"):
        read(path)
