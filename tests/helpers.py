"""Small studies that the tests share."""

import copy
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from conftest import ROOT
from distillation_dynamics import models, spec, study


def smoke_config() -> dict:
    """The smoke study's configuration, with paths that hold from any folder."""
    config = yaml.safe_load((ROOT / "studies/smoke.yaml").read_text())
    for key in ("train", "test"):
        config["data"][key] = str(ROOT / config["data"][key])
    return config


def changed(config: dict, path: str, value) -> dict:
    """A copy of `config` with the dotted key `path` set to `value`."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = config
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return config


def load(config: dict) -> study.Study:
    """The study, its models described in this process."""
    return study.load(config, lambda data, **parts: [models.describe(model, data) for model in parts.values()])


def write_parquet(path, labels, size=28, seed=0) -> None:
    """Random grey images in Hugging Face layout."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in labels:
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (size, size), dtype=np.uint8)).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(rows, kind), "label": pa.array(labels, pa.int64())}), path)


def tiny_study(tmp_path, **changes) -> study.Study:
    """The smoke study on 80 + 40 random images written under `tmp_path`, already split and decoded."""
    from argparse import Namespace

    from distillation_dynamics import data

    config = smoke_config()
    for key, count in (("train", 100), ("test", 40)):
        path = tmp_path / f"{key}.parquet"
        write_parquet(path, np.arange(count) % 10, seed=count)
        config["data"][key] = str(path)
    for path, value in {
        "data.validation.per_class": 2,
        "student.recipe.train_images": 80,
        "student.recipe.batch_size": 16,
        "teacher.recipe.train_images": 80,
        "teacher.recipe.batch_size": 16,
        **changes,
    }.items():
        config = changed(config, path, value)
    result = load(config)
    data.main(Namespace(data_spec=spec.to_json(result.data), out=tmp_path / "data"))
    return result
