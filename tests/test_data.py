"""Splits are fixed, balanced and disjoint; views are functions of their key; broken input gives a sentence."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import AugmentOp

from distillation_dynamics import data
from distillation_dynamics.data import Split, balanced
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.spec import Augmentation, Validation, to_json
from helpers import load, smoke_config, tiny_study

AUGMENTATION = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, "rand-m9-mstd0.5-inc1")


def make_folder(root, classes=3, images=6, size=40):
    generator = np.random.default_rng(0)
    for label in range(classes):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(images):
            pixels = generator.integers(0, 256, (size, size + 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"class{label}" / f"{number}.jpg")


@pytest.fixture
def folder_data(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test")
    spec = data.Data(
        "folder", str(tmp_path / "train"), str(tmp_path / "test"), 3, 3, 32, (0.5,) * 3, (0.5,) * 3,
        Validation("test", 2), 0.875, "bicubic",
    )  # fmt: skip
    data.main(Namespace(data_spec=to_json(spec), out=tmp_path / "data"))
    return spec, tmp_path / "data"


def test_splits_are_disjoint_balanced_and_fixed(tmp_path):
    tiny_study(tmp_path)
    table = read_table(tmp_path / "data/splits.parquet")
    counts = table.groupby(["split", "label"]).size().unstack()
    assert (counts.loc["validation"] == 2).all()
    assert (counts.loc["train"] == 8).all()
    assert (counts.loc["test"] == 4).all()
    assert not table.duplicated(["file", "index"]).any()
    again = tmp_path / "again"
    again.mkdir()
    tiny_study(again)
    assert table.equals(read_table(again / "data/splits.parquet"))


@pytest.mark.parametrize("count", [1, 7, 20, 33, 60])
def test_a_balanced_choice_takes_the_classes_in_turn(count):
    labels = np.repeat([0, 1, 2], 20)
    chosen = balanced(labels, count)
    per_class = np.bincount(labels[chosen], minlength=3)
    assert len(set(chosen)) == count and per_class.max() - per_class.min() <= 1
    assert set(balanced(labels, count - 1)) <= set(chosen)


def test_arrays_and_images_give_the_same_pixels(tmp_path):
    result = tiny_study(tmp_path)
    split = Split(tmp_path / "data", result.data, "test")
    fast = next(split.evaluation(8)).images
    transform = data.make_transform(result.data, None)
    slow = torch.stack([transform(split.image(position)) for position in range(8)])
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-6)


def test_each_epoch_shows_every_image_once_in_another_order(tmp_path):
    split = Split(tmp_path / "data", tiny_study(tmp_path).data, "train")
    orders = [np.concatenate([b.positions for b in split.training(16, None, 5, epoch)]) for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(80))
    assert list(orders[0]) != list(orders[1])


def test_a_view_is_the_same_whatever_process_draws_it_and_leaves_the_global_stream_alone(folder_data):
    spec, folder = folder_data
    split = Split(folder, spec, "train")
    torch.manual_seed(4)
    before = torch.get_rng_state()
    here = list(split.training(6, AUGMENTATION, 0, 0))
    assert torch.equal(before, torch.get_rng_state())
    elsewhere = list(split.training(6, AUGMENTATION, 0, 0, workers=1))
    later = list(split.training(6, AUGMENTATION, 0, 1))
    for a, b in zip(here, elsewhere, strict=True):
        assert np.array_equal(a.positions, b.positions) and torch.equal(a.images, b.images)
    first = {p: image for batch in here for p, image in zip(batch.positions, batch.images, strict=True)}
    second = {p: image for batch in later for p, image in zip(batch.positions, batch.images, strict=True)}
    assert not any(torch.equal(first[p], second[p]) for p in first)


def test_with_fixed_views_epochs_and_seeds_share_views(folder_data):
    spec, folder = folder_data
    split = Split(folder, spec, "train")
    augmentation = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, "rand-m9-mstd0.5-inc1", views=2)
    stored = {}
    for batch in split.view(1, augmentation, 5):
        stored |= dict(zip(batch.positions, batch.images, strict=True))
    for seed, epoch in ((0, 1), (7, 3)):
        for batch in split.training(6, augmentation, seed, epoch):
            for position, image in zip(batch.positions, batch.images, strict=True):
                assert torch.equal(image, stored[position])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named(folder_data, workers):
    spec, folder = folder_data
    split = Split(folder, spec, "train")
    name = split.reader.filename(int(split.index[0]), absolute=True)
    with open(name, "wb") as file:
        file.write(b"not a picture")
    with pytest.raises(StudyError, match=r"^\S+0\.jpg: cannot be decoded as an image \(.+\); replace it$"):
        list(split.evaluation(4, workers))


def test_the_strongest_posterisation_of_randaugment_works():
    # Level 10, which the published magnitude of 9 with its spread reaches, keeps no bit of the picture.
    operation = AugmentOp("PosterizeIncreasing", prob=1, magnitude=10, hparams={})
    assert np.asarray(operation(Image.new("RGB", (4, 4), "white"))).max() == 0


def test_a_missing_folder_is_named_with_its_key(tmp_path):
    with pytest.raises(StudyError, match=r"data\.train: the folder .*nowhere does not exist"):
        data.open_folder(str(tmp_path / "nowhere"), "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match=r"data\.test: .*empty cannot be read"):
        data.open_folder(str(tmp_path / "empty"), "test")


def test_a_truncated_parquet_file_is_named(tmp_path, root):
    config = smoke_config()
    path = tmp_path / "short.parquet"
    path.write_bytes((root / "resources/fashion_mnist/test-00000-of-00001.parquet").read_bytes()[:100_000])
    with pytest.raises(StudyError, match=r"short\.parquet: not a readable Parquet file"):
        data.decode_parquet(str(path), load(config).data)


def test_too_few_images_to_hold_out_is_a_sentence(tmp_path):
    spec = tiny_study(tmp_path).data
    labels = {"train": np.repeat(np.arange(10), 2), "test": np.arange(10)}
    with pytest.raises(StudyError, match=r"data\.validation\.per_class: 2 images of class 0 cannot be held out"):
        data.make_splits(labels, spec)
