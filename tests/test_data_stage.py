"""Splits are fixed, balanced and disjoint, with and without labels, classes and images held out."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from distillation_dynamics.data.groups import groups_of
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.spec.data import DataJob
from distillation_dynamics.spec.images import Validation
from distillation_dynamics.stages import data as stage
from helpers import changed, load, smoke_config
from pictures import HELD_OUT, make_folder, pack_into, split_into, tiny, write_parquet, write_pictures


def test_splits_are_disjoint_balanced_and_fixed(tmp_path):
    tiny(tmp_path)
    table = read_table(tmp_path / "data/splits.parquet")
    counts = table.groupby(["split", "label"]).size().unstack()
    assert (counts.loc["validation"] == 2).all()
    assert (counts.loc["train"] == 8).all()
    assert (counts.loc["test"] == 4).all()
    assert not table.duplicated(["file", "index"]).any()
    again = tmp_path / "again"
    again.mkdir()
    tiny(again)
    assert table.equals(read_table(again / "data/splits.parquet"))


def test_what_is_written_is_what_the_job_says(tmp_path):
    make_folder(tmp_path / "photos")
    write_parquet(tmp_path / "test.parquet", [0, 1])
    split_into(tmp_path / "a", tmp_path / "photos")
    pack_into(tmp_path / "b", [], [tmp_path / "test.parquet"], classes=2, validation=None)
    pack_into(tmp_path / "c", [], [tmp_path / "test.parquet"], classes=2, validation=None, arrays=False)
    written = {folder: {path.name for path in (tmp_path / folder).iterdir()} for folder in "abc"}
    alone = {"pictures.json", "splits.parquet"}
    assert written == {"a": alone, "b": alone | {"test.bin", "test.npy"}, "c": alone | {"test.bin"}}


@pytest.mark.parametrize("arrays", [True, False])
def test_shards_are_read_in_order_and_an_image_of_any_is_named(tmp_path, arrays):
    one = Split(tiny(tmp_path, arrays=arrays), "train")
    table = pq.read_table(tmp_path / "train.parquet")
    shards = [tmp_path / f"train-{number:05d}-of-00004.parquet" for number in range(4)]
    for number, path in enumerate(shards):
        pq.write_table(table.slice(25 * number, 25), path, row_group_size=10)
    images = pack_into(
        tmp_path / "sharded", shards, [tmp_path / "test.parquet"], arrays, validation=Validation("train", 2)
    )
    many = Split(images, "train")
    for a, b in zip(one.evaluation(16), many.evaluation(16), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    row = int(many.index[7])
    assert many.name(7) == f"{tmp_path}/sharded/train.bin: train-{row // 25:05d}-of-00004.parquet, row {row % 25}"


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_parquet(tmp_path / name / "test.parquet", [0, 1])
    paths = [tmp_path / name / "test.parquet" for name in "ba"]
    images = pack_into(tmp_path / "data", [], paths, classes=2, validation=None)
    assert Split(images, "test").names.tolist() == [
        f"{name}/test.parquet, row {n}".encode() for name in "ba" for n in range(2)
    ]


@pytest.mark.parametrize("train", [True, False])
def test_few_pictures_a_class_are_enough_where_none_is_held_out(tmp_path, train):
    names = ["class0/0.jpg", "class1/0.jpg", "class1/1.jpg", "class2/0.jpg"]
    write_pictures(tmp_path / "photos", names)
    write_pictures(tmp_path / "more", names[:2] + names[3:], seed=1)
    images = split_into(tmp_path / "data", tmp_path / "photos", tmp_path / "more" if train else None, 3)
    table = read_table(tmp_path / "data/splits.parquet")
    assert set(table["split"]) == ({"train", "test"} if train else {"test"})
    assert (table["split"] == table["file"]).all()
    assert Split(images, "test").labels.tolist() == [0, 1, 1, 2]
    if train:
        assert Split(images, "train").labels.tolist() == [0, 1, 2]


def test_without_a_train_source_some_of_the_test_images_may_be_held_out(tmp_path):
    make_folder(tmp_path / "photos")
    images = split_into(tmp_path / "data", tmp_path / "photos", None, 3, HELD_OUT)
    assert np.bincount(Split(images, "validation").labels).tolist() == [2, 2, 2]
    assert np.bincount(Split(images, "test").labels).tolist() == [4, 4, 4]


def test_parquet_without_labels_is_a_source(tmp_path):
    write_parquet(tmp_path / "labelled.parquet", [7, -3, 1])
    table = pq.read_table(tmp_path / "labelled.parquet")
    pq.write_table(table.drop_columns(["label"]), tmp_path / "test.parquet")
    for number, name in enumerate(("test", "labelled")):
        images = pack_into(tmp_path / str(number), [], [tmp_path / f"{name}.parquet"], classes=None, validation=None)
        split = Split(images, "test")
        assert split.labels.tolist() == [-1] * 3
        assert split.names.tolist() == [f"{name}.parquet, row {n}".encode() for n in range(3)]
        (batch,) = split.evaluation(5)
        assert batch.images.shape == (3, 1, 28, 28) and batch.labels.tolist() == [-1] * 3


def test_a_class_of_which_too_few_can_be_held_out_is_named_as_its_folder(tmp_path):
    make_folder(tmp_path / "train", images=3)
    make_folder(tmp_path / "test", images=3)
    (tmp_path / "test/class2/2.jpg").unlink()
    with pytest.raises(
        StudyError, match=r"per_class: 2 images of class class2 cannot be held out: data.test has only 2"
    ):
        split_into(tmp_path / "data", tmp_path / "test", tmp_path / "train", 3, HELD_OUT)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, -1] * 5, r"data\.train: has label -1; labels must lie in 0 to 9 \(data\.classes\)"),
        (np.arange(40) % 9, r"data\.classes: 10 is given, but data\.train has no image of class 9"),
        (
            [*range(10)] * 2,
            r"data\.validation\.per_class: 2 images of class 0 cannot be held out: data\.train has only 2",
        ),
    ],
)
def test_labels_that_are_not_the_classes_are_a_sentence(labels, message):
    everywhere = {"train": np.array(labels), "test": np.arange(10)}
    sources = {key: source_of(values) for key, values in everywhere.items()}
    with pytest.raises(StudyError, match=f"^{message}"):
        split(sources, 10, Validation("train", 2))


def source_of(labels):
    return SimpleNamespace(names=np.full(len(labels), ""), labels=labels, classes=None)


def split(sources, classes, validation):
    job = DataJob("parquet", classes, validation, {}, True, None, **{key: (key,) for key in sources}, out="")
    stage.check_classes(sources, job)
    return stage.splits_of(sources, groups_of({key: one.names for key, one in sources.items()}, None, "data"), job)


def test_images_that_cannot_be_held_out_for_want_of_classes_or_a_source_are_a_sentence():
    sources = {"test": source_of(np.arange(10))}
    with pytest.raises(
        StudyError, match=r"^data\.validation\.taken_from: there is no data\.train; give it, or hold non"
    ):
        split(sources, 10, Validation("train", 2))
    with pytest.raises(StudyError, match=r"^data\.validation: images are held out by class; give data\.classes, or ho"):
        split({"test": SimpleNamespace(names=np.full(3, ""), labels=None, classes=None)}, None, Validation("test", 2))


def test_the_groups_of_the_splits_are_those_of_the_names(tmp_path):
    make_folder(tmp_path / "images", classes=2, images=4)
    job = DataJob(
        "folder", 2, None, {}, False, None, r"(\d)\.jpg$", test=(str(tmp_path / "images"),), out=str(tmp_path)
    )
    stage.main(job)
    table = pd.read_parquet(tmp_path / "splits.parquet")
    digits = table["name"].str.extract(r"(\d)\.jpg$")[0]
    assert len(table) == 8 and table.groupby(digits)["group"].nunique().eq(1).all()
    assert table["group"].nunique() == digits.nunique() < 8


def test_a_pattern_that_is_none_is_said():
    with pytest.raises(StudyError, match=r"data\.groups: '\(' is not a regular expression \(.*\); fix it"):
        load(changed(smoke_config(), "data.groups", "("))


def test_images_that_are_packed_as_they_are_need_no_torch():
    said = "import sys; import distillation_dynamics.stages.data; print(*sorted({'timm', 'torch'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True).stdout == "\n"
