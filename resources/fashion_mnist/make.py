"""Turn the published IDX files of Fashion-MNIST into Parquet in the layout of Hugging Face `datasets`.

Usage: python make.py IDX_FOLDER [OUT_FOLDER]. The IDX files (gzip) are those of zalandoresearch/fashion-mnist; the
Debian package dataset-fashion-mnist installs them. Their sha256 is checked; running again gives the same bytes.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = [
    *("T - shirt / top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
]
SHA256 = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
}
ROW_GROUP = 10_000
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}


def read_idx(path: Path, sha256: str) -> np.ndarray:
    """Return the array in a gzipped IDX file of unsigned bytes; raise ValueError when it is not the expected file."""
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise ValueError(f"{path}: sha256 is {found}, expected {sha256}; fetch the published file again")
    raw = gzip.decompress(content)
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    axes = raw[3]
    shape = np.frombuffer(raw, ">u4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def to_table(images: np.ndarray, labels: np.ndarray) -> pa.Table:
    """Return images [N, H, W] and labels [N] as a table of PNG files and classes."""
    rows = [{"bytes": to_png(image), "path": None} for image in images]
    schema = pa.schema(
        [("image", IMAGE), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
    )
    return pa.table([pa.array(rows, IMAGE), pa.array(labels.astype(np.int64))], schema=schema)


def to_png(image: np.ndarray) -> bytes:
    """Return a grey image [H, W] as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def make(source: Path, out: Path, sha256: dict[str, str] = SHA256) -> None:
    """Write the train and test Parquet files, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    for prefix, split in (("train", "train"), ("t10k", "test")):
        names = f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"
        images, labels = (read_idx(source / name, sha256[name]) for name in names)
        path = out / f"{split}-00000-of-00001.parquet"
        temporary = path.with_suffix(".tmp")
        # PNG does not compress further.
        pq.write_table(to_table(images, labels), temporary, compression="none", row_group_size=ROW_GROUP)
        os.replace(temporary, path)


def main() -> None:
    """Read the command line and make the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with the four .gz files")
    parser.add_argument("out", type=Path, nargs="?", default=Path(__file__).parent)
    arguments = parser.parse_args()
    try:
        make(arguments.source, arguments.out)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
