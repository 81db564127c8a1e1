"""A study on a folder of JPEGs, end to end, with tiny timm models.

As on ImageNet: timm's readers, RandAugment, erasing, bicubic crops, bfloat16 autocast, a downloaded teacher that is
asked for every batch, and loader processes.
"""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from conftest import ROOT
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from helpers import jobs

pytestmark = pytest.mark.slow
CLASSES, TRAIN, TEST = 3, 8, 6
VIEW = {"channels": 3, "image_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "crop_fraction": 0.875}
CAIT_ARGS = {"patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2, "depth_token_only": 1}
CAIT = Model("cait_s24_224", CAIT_ARGS, "timm", CLASSES)


def write_pictures(folder, per_class, seed):
    """JPEGs of several sizes, some grey, each class of another colour."""
    generator = np.random.default_rng(seed)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(per_class):
            height, width = generator.integers(36, 90, 2)
            pixels = generator.integers(0, 120, (height, width, 3), dtype=np.uint8)
            pixels[..., label] += 120
            picture = Image.fromarray(pixels).convert("L" if number == 0 else "RGB")
            picture.save(folder / f"class{label}/picture{number}.jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder with pictures, a teacher and a study of them."""
    folder = tmp_path_factory.mktemp("folder_study")
    write_pictures(folder / "train", TRAIN, 0)
    write_pictures(folder / "val", TEST, 1)
    recipe = yaml.safe_load((ROOT / "studies/imagenet.yaml").read_text())["student"]["recipe"]
    recipe |= {"epochs": 3, "batch_size": 8, "clip_gradient_norm": 1.0}
    recipe |= {"mixing": {"mixup": 0.8, "cutmix": 1.0}, "ema": {"decay": 0.9}}
    recipe["schedule"]["warmup_epochs"] = 1
    config = {
        "name": "folder",
        "data": {
            **{"source": "folder", "train": "train", "test": "val", "classes": CLASSES},
            "validation": {"taken_from": "test", "per_class": 2},
        },
        "view": VIEW,
        "networks": {
            "cait": {
                **{"source": "timm", "model": {"name": CAIT.name, "args": CAIT.args}, "view": VIEW},
                **{"weights": "local-dir:downloaded", "expected_top1": 50, "tolerance": 50},
            },
        },
        "teacher": "cait",
        "student": {
            "model": {
                "name": "deit_tiny_patch16_224",
                "args": {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "drop_path_rate": 0.1},
            },
            "recipe": recipe,
            "checkpoint_every": 2,
        },
        "variants": {
            "none": {"cross_entropy": {"weight": 1}},
            "all": {
                "cross_entropy": {"weight": 0.1, "label_smoothing": 0.1},
                "soft": {"weight": 0.9},
                "spectral": {"weight": 0.2, "pairs": ["first", "last"]},
                "projector": {"weight": 0.2, "pairs": [[0, 1]]},
            },
        },
        "measure": {"images": 6, "dtype": "float16"},
        "saliency": {"images": 2},
        "compare": {"images": 6},
        "compute": {"students": {"threads": 2}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(0)
    (folder / "downloaded").mkdir()
    view = View(**{key: tuple(value) if isinstance(value, list) else value for key, value in VIEW.items()})
    save_weights(folder / "downloaded/model.safetensors", build(CAIT, view))
    return folder


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    return subprocess.run(
        [*command, *arguments, "--configfile", "study.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def results(folder):
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder / "results/folder"


def shared(results, stage):
    """The one folder of a stage that studies share."""
    (folder,) = (results.parent / "shared" / stage).iterdir()
    return folder


def test_splits_follow_the_folders_and_hold_some_of_the_test_out(results):
    splits = pd.read_parquet(shared(results, "data") / "splits.parquet")
    counts = splits.groupby(["split", "label"]).size()
    assert (counts["train"] == TRAIN).all() and (counts["validation"] == 2).all() and (counts["test"] == TEST - 2).all()


def test_the_downloaded_teacher_is_measured_and_nothing_is_stored_of_it(results):
    labels = (
        pd.read_parquet(shared(results, "data") / "splits.parquet").query("split == 'validation'")["label"].to_numpy()
    )
    logits = np.load(shared(results, "networks") / "logits_validation.npy")
    measured = json.loads((shared(results, "networks") / "result.json").read_text())
    assert measured["validation_top1"] == pytest.approx(100 * (logits.argmax(1) == labels).mean())
    assert measured["source"] == "weights" and not (results.parent / "shared/teacher_outputs").exists()
    (source,) = (results.parent / "shared/network_weights").glob("*/source.json")
    assert json.loads(source.read_text())["name"] == "downloaded"


def test_students_train_with_every_part_of_the_loss_at_the_published_rates(results):
    steps = pd.read_parquet(results / "students/all/seed0/steps.parquet")
    assert set(steps["part"]) == {"loss", "cross_entropy", "soft", "spectral", "projector"}
    assert steps.groupby("epoch")["step"].nunique().tolist() == [3, 3, 3]
    # Stepped after each epoch: epochs 0 and 1 share the rate at which warm-up begins.
    rates = steps.groupby("epoch")["learning_rate"].first()
    cosine = 1e-5 + (2e-3 - 1e-5) * (1 + np.cos(np.pi / 3)) / 2
    np.testing.assert_allclose(rates, [1e-6, 1e-6, cosine], rtol=1e-12)
    assert np.isfinite(steps["value"]).all()
    result = json.loads((results / "students/all/seed0/result.json").read_text())
    assert (result["updates"], result["clip_gradient_norm"], result["ema_decay"]) == (9, 1.0, 0.9)
    methods = (results / "statistics/methods.md").read_text()
    assert "mixup 0.8, cutmix 1, measured with the average of the weights over the updates" in methods
    assert "of 9 updates were clipped at norm 1" in (results / "statistics/report.md").read_text()


def test_checkpoints_features_and_figures_are_there(results):
    epochs = sorted(path.name for path in (results / "measure/students/all/seed0/features").glob("epoch*"))
    assert epochs == ["epoch000", "epoch002", "epoch003"]
    block = np.load(results / "measure/students/all/seed0/features/epoch003/block01.npy", mmap_mode="r")
    assert block.shape == (6, 12, 4, 4) and block.dtype == np.float16
    drawn = {path.stem for path in (ROOT / "workflow/distillation_dynamics/figures").glob("[a-z]*.py")}
    names = {path.stem for path in (results / "figures").glob("*.png")}
    # Of one network none is drawn that holds several beside each other.
    assert len(names) >= 14 and names < drawn


def test_a_broken_picture_is_named_and_what_was_finished_stays(folder, results):
    picture = folder / "train/class1/picture3.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content[:60])
    config = yaml.safe_load((folder / "study.yaml").read_text())
    config["variants"]["more"] = {"cross_entropy": {"weight": 2}}
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(folder)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert re.search(r"1 of \d+ images cannot be read: class1/picture3.jpg \(.+\); replace or remove them", said)
    assert "data.broken_images: 1 to go on without them" in said
    assert (results / "students/all/seed0/result.json").exists()
    assert not (results / "students/more/seed0/result.json").exists()
    picture.write_bytes(content)
    del config["variants"]["more"]
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    # The picture is what it was: what was measured of the other images is measured again, nobody trains.
    done = snakemake(folder)
    assert done.returncode == 0 and not re.search("Train |cohorts", done.stdout + done.stderr), (
        done.stdout + done.stderr
    )
    assert "nothing would run" in snakemake(folder, "-n").stderr


def test_the_plan_speaks_of_a_study_with_a_downloaded_teacher(folder, results):
    config = yaml.safe_load((folder / "study.yaml").read_text())
    (folder / "study.yaml").write_text(yaml.safe_dump(config | {"measure": {"images": 5, "dtype": "float16"}}))
    said = snakemake(folder, "-n").stderr
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    assert "measure networks/cait, students/none/seed0, students/all/seed0: image_sets.balanced.count: 6 -> 5" in said
    assert "The total of disk" not in said


def test_pictures_that_are_added_change_what_is_trained_and_every_label_stays_right(folder, results):
    shutil.copytree(folder / "train", folder / "before")
    generator = np.random.default_rng(5)
    for name in ("a_first.jpg", "picture0a.jpg", "z_last.jpg"):
        Image.fromarray(generator.integers(0, 256, (50, 50, 3), dtype=np.uint8)).save(folder / "train/class0" / name)
    planned = snakemake(folder, "-n")
    assert jobs(planned)["students"] == 2
    done = snakemake(folder, "--until", "data")
    assert done.returncode == 0, done.stdout + done.stderr
    tables = [pd.read_parquet(path) for path in (results.parent / "shared/data").glob("*/splits.parquet")]
    assert {len(table) for table in tables} == {42, 45}
    for table in tables:
        labels = table["name"].str.extract(r"class(\d)/", expand=False).astype(int)
        assert (labels == table["label"]).all()
    shutil.rmtree(folder / "train")
    shutil.copytree(folder / "before", folder / "train")
    # Copied, with other times: the content is what it was.
    assert "nothing would run" in snakemake(folder, "-n").stderr
