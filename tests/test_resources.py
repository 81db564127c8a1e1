"""The embedded images: complete, unchanged, in the usual layout, and made by the script next to them."""

import gzip
import hashlib
import importlib.util
import io
import json
import struct

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from conftest import ROOT

FOLDER = ROOT / "resources/fashion_mnist"


@pytest.fixture(scope="module")
def make():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("make_fashion_mnist", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_those_whose_checksums_are_recorded():
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    assert len(lines) >= 2
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_the_layout_is_that_of_hugging_face_datasets(split, count):
    file = pq.ParquetFile(FOLDER / f"{split}-00000-of-00001.parquet")
    features = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert features["image"]["_type"] == "Image" and len(features["label"]["names"]) == 10
    labels = file.read(columns=["label"])["label"].to_numpy()
    assert len(labels) == count and np.bincount(labels).tolist() == [count // 10] * 10
    first = next(file.iter_batches(1)).to_pylist()[0]["image"]
    picture = Image.open(io.BytesIO(first["bytes"]))
    assert picture.format == "PNG" and picture.size == (28, 28) and picture.mode == "L"
    assert first["path"] is None


def write_idx(path, array):
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_script_turns_idx_files_into_the_same_pixels_and_equal_bytes_again(tmp_path, make):
    generator = np.random.default_rng(0)
    sums, arrays = {}, {}
    for prefix, count in (("train", 7), ("t10k", 3)):
        arrays[prefix] = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8)
        for kind, array in zip(("images-idx3", "labels-idx1"), arrays[prefix], strict=True):
            name = f"{prefix}-{kind}-ubyte.gz"
            sums[name] = write_idx(tmp_path / name, array)
    make.make(tmp_path, tmp_path / "one", sums)
    make.make(tmp_path, tmp_path / "two", sums)
    for prefix, split in (("train", "train"), ("t10k", "test")):
        path = tmp_path / f"one/{split}-00000-of-00001.parquet"
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        rows = pq.read_table(path).to_pylist()
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) for row in rows])
        np.testing.assert_array_equal(pixels, arrays[prefix][0])
        assert [row["label"] for row in rows] == arrays[prefix][1].tolist()


def test_another_file_than_the_published_one_is_refused(tmp_path, make):
    for name in make.SHA256:
        write_idx(tmp_path / name, np.zeros((1, 28, 28), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"sha256 is .* fetch the published file again"):
        make.make(tmp_path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
