"""Splits are fixed, balanced and disjoint; views are functions of their key; broken input gives a sentence."""

import io
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import AugmentOp
from torch.utils.data import DataLoader

from conftest import ROOT
from distillation_dynamics import data
from distillation_dynamics.data import Split, balanced
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.spec import configured
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import Images, Validation, View
from distillation_dynamics.spec.training import Augmentation
from helpers import HUGGING_FACE, changed, encoded, images_of, load, smoke_config, split, tiny_study

AUGMENTATION = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, "rand-m9-mstd0.5-inc1")
VIEW = View(3, 3, 32, (0.5,) * 3, (0.5,) * 3, 0.875, "bicubic")


def make_folder(root, classes=3, images=6, size=40, seed=0):
    generator = np.random.default_rng(seed)
    for label in range(classes):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(images):
            pixels = generator.integers(0, 256, (size, size + 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"class{label}" / f"{number}.jpg")


def split_into(folder, train, test):
    """Split two folders or .tars of images into `folder`; return them as jobs get them."""
    images = Images("key", VIEW, False, folder=str(folder), train=str(train), test=str(test))
    sources = {"train": (images.train,), "test": (images.test,)}
    job = DataJob(3, Validation("test", 2), {}, False, None, **sources, out=images.folder)
    data.main(job)
    return images


def check_that_names_tell_pixels_and_labels(split, pixels):
    """Check each image of a split against `pixels` (name -> RGB array), and its label against its class's folder."""
    names = [name.decode() for name in split.names]
    assert len(set(names)) == len(names) == len(split) > 0
    for position, name in enumerate(names):
        assert split.labels[position] == int(name.removeprefix("class")[0])
        np.testing.assert_array_equal(np.asarray(split.image(position)), pixels[name])
    transform = data.make_transform(VIEW, None)
    for batch in split.evaluation(4):
        for position, image, label in zip(*batch, strict=True):
            assert label == split.labels[position]
            assert torch.equal(image, transform(Image.fromarray(pixels[names[position]])))


def pixels_of(root):
    """Name -> RGB array of all images in a folder."""
    paths = root.rglob("*.jpg")
    return {str(path.relative_to(root)): np.asarray(Image.open(path).convert("RGB")) for path in paths}


@pytest.fixture
def folder_images(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", seed=1)
    return split_into(tmp_path / "data", tmp_path / "train", tmp_path / "test")


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


def test_each_epoch_shows_every_image_once_in_another_order(tmp_path):
    split = Split(images_of(tiny_study(tmp_path), tmp_path / "data"), "train")
    orders = [np.concatenate([b.positions for b in split.training(16, None, 5, [epoch])]) for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(80))
    assert list(orders[0]) != list(orders[1])


def test_a_view_is_the_same_whatever_process_draws_it_and_leaves_the_global_stream_alone(folder_images):
    split = Split(folder_images, "train")
    torch.manual_seed(4)
    before = torch.get_rng_state()
    here = list(split.training(6, AUGMENTATION, 0, [0]))
    assert torch.equal(before, torch.get_rng_state())
    elsewhere = list(split.training(6, AUGMENTATION, 0, [0], workers=1))
    later = list(split.training(6, AUGMENTATION, 0, [1]))
    for a, b in zip(here, elsewhere, strict=True):
        assert np.array_equal(a.positions, b.positions) and torch.equal(a.images, b.images)
    first = {p: image for batch in here for p, image in zip(batch.positions, batch.images, strict=True)}
    second = {p: image for batch in later for p, image in zip(batch.positions, batch.images, strict=True)}
    assert not any(torch.equal(first[p], second[p]) for p in first)


def test_with_fixed_views_epochs_and_seeds_share_views(folder_images):
    split = Split(folder_images, "train")
    augmentation = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, "rand-m9-mstd0.5-inc1", views=2)
    stored = {}
    for batch in split.view(1, augmentation, 5):
        stored |= dict(zip(batch.positions, batch.images, strict=True))
    for seed, epoch in ((0, 1), (7, 3)):
        for batch in split.training(6, augmentation, seed, [epoch]):
            for position, image in zip(batch.positions, batch.images, strict=True):
                assert torch.equal(image, stored[position])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_named(folder_images, tmp_path, workers):
    split = Split(folder_images, "train")
    path = tmp_path / "train/class0/0.jpg"
    path.write_bytes(b"not a picture")
    said = rf"^{re.escape(str(path))}: cannot be decoded as an image \(.+\); replace it$"
    with pytest.raises(StudyError, match=said):
        list(split.evaluation(4, workers))
    with pytest.raises(StudyError, match=said):
        list(split.training(6, None, 0, range(2), workers))


def test_the_strongest_posterisation_of_randaugment_works():
    # Level 10, which the published magnitude of 9 with its spread reaches, keeps no bit of the picture.
    operation = AugmentOp("PosterizeIncreasing", prob=1, magnitude=10, hparams={})
    assert np.asarray(operation(Image.new("RGB", (4, 4), "white"))).max() == 0


def test_a_truncated_parquet_file_is_named(tmp_path, root):
    path = tmp_path / "short.parquet"
    path.write_bytes((root / "resources/fashion_mnist/test-00000-of-00001.parquet").read_bytes()[:100_000])
    with pytest.raises(StudyError, match=r"short\.parquet: not a readable Parquet file"):
        data.pack((str(path),), tmp_path / "train", None)
    assert not list(tmp_path.glob("train*")) and not list(tmp_path.glob(".*"))


def test_images_added_after_the_split_leave_every_other_ones_name_pixels_and_label_right(folder_images, tmp_path):
    pixels = {source: pixels_of(tmp_path / source) for source in ("train", "test")}
    before = {name: Split(folder_images, name) for name in ("train", "validation", "test")}
    for source in pixels:
        for number in range(3):
            added = Image.new("RGB", (40, 40), (80 * number, 10, 200))
            added.save(tmp_path / source / f"class0/0+{number}.jpg")
        names = data.list_folder(str(tmp_path / source), source).names
        assert list(names[:4]) == ["class0/0+0.jpg", "class0/0+1.jpg", "class0/0+2.jpg", "class0/0.jpg"]
    for name, old in before.items():
        split = Split(folder_images, name)
        assert np.array_equal(split.names, old.names) and np.array_equal(split.labels, old.labels)
        check_that_names_tell_pixels_and_labels(split, pixels[split.file])
    first = Split.first(folder_images, "test", 7)
    assert list(first.names) == sorted(name.encode() for name in pixels["test"])[:7]
    check_that_names_tell_pixels_and_labels(first, pixels["test"])


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
def test_a_tar_that_is_none_is_a_sentence(tmp_path, content):
    (tmp_path / "images.tar").write_bytes(content)
    with pytest.raises(StudyError, match=r"^data\.train: \S+images\.tar cannot be read \(.+\); give a folder"):
        data.open_folder(str(tmp_path / "images.tar"), "train")


def test_a_split_that_is_kept_to_the_end_does_not_keep_its_process(folder_images, tmp_path):
    code = (
        "import pickle, sys; from distillation_dynamics.data import Split\n"
        "split = Split(pickle.load(open(sys.argv[1], 'rb')), 'train'); list(split.evaluation(4, 1))"
    )
    (tmp_path / "images.pickle").write_bytes(pickle.dumps(folder_images))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    command = [sys.executable, "-c", code, str(tmp_path / "images.pickle")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == ""


def test_an_evaluation_in_batches_of_another_size_has_that_size(folder_images):
    split = Split(folder_images, "train")
    for size in (5, 7):
        assert len(next(iter(split.evaluation(size, 1))).labels) == size


def test_an_image_that_is_gone_is_named(folder_images, tmp_path):
    path = tmp_path / "test/class1/3.jpg"
    path.unlink()
    with pytest.raises(StudyError, match=rf"^{re.escape(str(path))}: cannot be decoded as an image"):
        for name in ("validation", "test"):
            list(Split(folder_images, name).evaluation(4))


def as_tar(folder):
    """Pack a folder into one .tar, one file after the other."""
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as tar:
        for below in sorted(folder.iterdir()):
            tar.add(below, below.name)
    return path


def as_tar_of_tars(folder):
    """Pack a folder into a .tar of one .tar a class."""
    path = folder.with_name(f"{folder.name}_by_class.tar")
    with tarfile.open(path, "w") as tar:
        for below in sorted(folder.iterdir()):
            with tarfile.open(below.with_suffix(".tar"), "w") as inner:
                for image in sorted(below.iterdir()):
                    inner.add(image, image.name)
            tar.add(below.with_suffix(".tar"), f"{below.name}.tar")
            below.with_suffix(".tar").unlink()
    return path


@pytest.mark.parametrize("pack", [as_tar, as_tar_of_tars])
def test_a_tar_gives_the_names_labels_and_pixels_of_the_folder_it_was_made_of(folder_images, tmp_path, pack):
    packed = split_into(tmp_path / "packed", *(pack(tmp_path / source) for source in ("train", "test")))
    assert {path.name for path in (tmp_path / "packed").iterdir()} == {"splits.parquet"}
    assert not list(tmp_path.glob("*.pickle"))
    columns = ["file", "name", "label"]
    tables = [read_table(tmp_path / folder / "splits.parquet") for folder in ("data", "packed")]
    listed = [table[columns].sort_values(columns).reset_index(drop=True) for table in tables]
    assert listed[0].equals(listed[1])
    assert (tables[0][["offset", "bytes"]] == -1).all(axis=None) and (tables[1][["offset", "bytes"]] > 0).all(axis=None)
    if pack is as_tar:
        assert tables[0].drop(columns=["offset", "bytes"]).equals(tables[1].drop(columns=["offset", "bytes"]))
    for name in ("train", "validation", "test"):
        split = Split(packed, name)
        pixels = pixels_of(tmp_path / split.file)
        check_that_names_tell_pixels_and_labels(split, pixels)
        for a, b in zip(split.evaluation(4), split.evaluation(4, workers=1), strict=True):
            assert np.array_equal(a.positions, b.positions) and torch.equal(a.images, b.images)


def test_a_broken_image_in_a_tar_is_named_with_it(folder_images, tmp_path):
    (tmp_path / "train/class1/2.jpg").write_bytes(b"not a picture")
    packed = split_into(tmp_path / "packed", as_tar(tmp_path / "train"), as_tar(tmp_path / "test"))
    with pytest.raises(StudyError, match=r"train\.tar: class1/2\.jpg: cannot be decoded as an image"):
        list(Split(packed, "train").evaluation(4))


@pytest.mark.parametrize("augmentation", [AUGMENTATION, replace(AUGMENTATION, views=2), None])
def test_one_set_of_loader_processes_serves_all_epochs_with_the_batches_of_each(
    folder_images, monkeypatch, augmentation
):
    started = []

    class Counting(data.DataLoader):
        def __iter__(self):
            started.append(self.num_workers)
            return super().__iter__()

    monkeypatch.setattr(data, "DataLoader", Counting)
    split = Split(folder_images, "train")
    together = list(split.training(4, augmentation, 3, range(1, 4), workers=1))
    assert started == [1]
    alone = [batch for epoch in (1, 2, 3) for batch in split.training(4, augmentation, 3, [epoch])]
    assert len(together) == 3 * (18 // 4)
    resumed = list(split.training(4, augmentation, 3, iter((1, 2, 3)), workers=1, first=2))
    for ours, theirs in ((together, alone), (resumed, alone[2:])):
        for a, b in zip(ours, theirs, strict=True):
            assert np.array_equal(a.positions, b.positions) and torch.equal(a.labels, b.labels)
            assert torch.equal(a.images, b.images)


def test_loader_processes_of_an_evaluation_are_kept_for_the_next(folder_images, monkeypatch):
    made = []
    monkeypatch.setattr(data, "DataLoader", lambda *args, **options: made.append(1) or DataLoader(*args, **options))
    split = Split(folder_images, "train")
    first, second = (list(split.evaluation(5, workers=1)) for _ in range(2))
    assert made == [1]
    for a, b, c in zip(first, second, split.evaluation(5), strict=True):
        assert np.array_equal(a.positions, c.positions) and np.array_equal(b.positions, c.positions)
        assert torch.equal(a.images, c.images) and torch.equal(b.images, c.images)


def test_loader_processes_of_an_evaluation_end_with_their_split(folder_images):
    before = set(multiprocessing.active_children())
    split = Split(folder_images, "train")
    list(split.evaluation(5, workers=2))
    assert len(set(multiprocessing.active_children()) - before) == 2
    # At once, not when the garbage collector comes by: at exit Python would wait for them.
    del split
    assert not set(multiprocessing.active_children()) - before


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_a_process_is_given_of_a_split_is_small_and_reads_the_same_images(tmp_path, folder_images, in_memory):
    if in_memory:
        (tmp_path / "arrays").mkdir()
        images = images_of(tiny_study(tmp_path / "arrays"), tmp_path / "arrays/data")
    else:
        images = folder_images
    split = Split(images, "train")
    before = list(split.evaluation(6))
    list(split.evaluation(6, workers=1))
    given = pickle.dumps(split)
    # Of 18 files or 80 images of 28 x 28 bytes: their places, labels and names.
    assert len(given) < 2000 + 60 * len(split) < 28 * 28 * len(split)
    again = pickle.loads(given)
    assert len(again) == len(split) and np.array_equal(again.labels, split.labels)
    for a, b, c in zip(before, again.evaluation(6), again.evaluation(6, workers=1), strict=True):
        assert np.array_equal(a.positions, b.positions) and np.array_equal(a.positions, c.positions)
        assert torch.equal(a.images, b.images) and torch.equal(a.images, c.images)


GREY = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
HIGH = (GREY.astype(np.uint16) << 8) + 77
COLOURS = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


def palette():
    picture = Image.fromarray(GREY, "P")
    picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    return picture


def pgm():
    return b"P5\n4 4\n65535\n" + HIGH.astype(">u2").tobytes()


# Picture, kind of file (None: it is a file), what is read of it in grey.
PICTURES = {
    "16-bit grey PNG": (Image.fromarray(HIGH), "PNG", GREY),
    "16-bit grey TIFF": (Image.fromarray(HIGH), "TIFF", GREY),
    "16-bit PGM": (pgm(), None, GREY),
    "grey with alpha": (Image.fromarray(np.stack([GREY, GREY // 2], axis=2), "LA"), "PNG", GREY),
    "palette": (palette(), "PNG", GREY),
    "1 bit": (Image.fromarray(GREY > 99), "PNG", (GREY > 99) * np.uint8(255)),
    "RGBA": (Image.fromarray(np.dstack([GREY, GREY, GREY, GREY // 2])), "PNG", GREY),
    "CMYK": (Image.fromarray(np.dstack([GREY * 0] * 3 + [255 - GREY]), "CMYK"), "TIFF", GREY),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_kind_are_read_right(name, channels):
    picture, kind, expected = PICTURES[name]
    pixels = np.asarray(data._decode(io.BytesIO(encoded(picture, kind) if kind else picture), channels))
    if channels == 3:
        expected = np.repeat(expected[..., None], 3, axis=2)
    np.testing.assert_array_equal(pixels, expected)


def test_a_16_bit_picture_is_read_the_same_from_a_folder_a_tar_and_a_parquet_file(tmp_path):
    for source in ("train", "test"):
        make_folder(tmp_path / source)
        Image.fromarray(np.tile(HIGH, (10, 10))).save(tmp_path / source / "class1/16.png")
    expected = np.repeat(np.tile(GREY, (10, 10))[..., None], 3, axis=2)
    packed = {key: str(as_tar(tmp_path / key)) for key in ("train", "test")}
    for number, sources in enumerate(({key: str(tmp_path / key) for key in packed}, packed)):
        images = split_into(tmp_path / f"data{number}", **sources)
        split = Split(images, "train")
        (position,) = np.flatnonzero(split.names == b"class1/16.png")
        np.testing.assert_array_equal(np.asarray(split.image(position)), expected)
    rows = [{"bytes": encoded(Image.fromarray(np.tile(HIGH, (10, 10)))), "path": None}]
    pq.write_table(pa.table({"image": pa.array(rows, HUGGING_FACE), "label": [0]}), tmp_path / "a.parquet")
    data.pack((str(tmp_path / "a.parquet"),), tmp_path / "a", Arrays(3, 40, 1.0, "bicubic"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[0], expected)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pictures_of_which_nobody_knows_what_is_white_are_refused(folder_images, tmp_path, kind):
    content = encoded(Image.fromarray(GREY.astype(kind)), "TIFF")
    (tmp_path / "train/class0/0.jpg").write_bytes(content)
    said = r"decoded.* \(its pixels are 32-bit numbers \(mode [IF]\), of which none is known to be white\); replace it"
    with pytest.raises(StudyError, match=rf"class0/0\.jpg: cannot be {said}"):
        list(Split(folder_images, "train").evaluation(4))
    rows = pa.array([{"bytes": content, "path": None}], HUGGING_FACE)
    pq.write_table(pa.table({"image": rows, "label": [0]}), tmp_path / "a.parquet")
    for arrays in (None, Arrays(1, 28, 1.0, "bicubic")):
        with pytest.raises(StudyError, match=rf"a\.parquet: image of row 0 cannot be {said}"):
            data.pack((str(tmp_path / "a.parquet"),), tmp_path / "a", arrays)
    assert not list(tmp_path.glob("a.[bn]*"))


@pytest.fixture
def both_ways(tmp_path, monkeypatch):
    """A function from changes of the tiny study to its images, decoded into arrays and not."""

    def make(**changes):
        result = tiny_study(tmp_path, **changes)
        in_memory = images_of(result, tmp_path / "data")
        monkeypatch.setattr(configured, "MOST_DECODED", 1)
        assert not result.data.in_memory
        split(result, tmp_path / "packed")
        return result, in_memory, images_of(result, tmp_path / "packed")

    return make


AS_IT_IS, LARGER = {}, {"data.crop_fraction": 0.875, "data.interpolation": "bilinear", "data.image_size": 21}


@pytest.mark.parametrize("changes", [AS_IT_IS, LARGER])
@pytest.mark.parametrize("augmentation", [None, AUGMENTATION, replace(AUGMENTATION, views=2)])
def test_what_is_decoded_into_arrays_gives_the_bits_of_what_is_decoded_image_by_image(both_ways, changes, augmentation):
    result, in_memory, packed = both_ways(**changes)
    assert {path.name for path in Path(packed.folder).iterdir()} == {"splits.parquet", "train.bin", "test.bin"}
    ours, theirs = (Split(images, "train") for images in (in_memory, packed))
    assert np.array_equal(ours.names, theirs.names) and np.array_equal(ours.labels, theirs.labels)
    transform = data.make_transform(result.data.view, None)
    for a, b in zip(ours.evaluation(32), theirs.evaluation(32, workers=1), strict=True):
        assert torch.equal(a.images, b.images) and np.array_equal(a.positions, b.positions)
        assert torch.equal(a.images[0], transform(theirs.image(a.positions[0])))
    for a, b in zip(*(each.training(16, augmentation, 3, range(2)) for each in (ours, theirs)), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        assert np.array_equal(a.positions, b.positions)


def test_a_crop_or_an_interpolation_of_small_images_has_an_effect(tmp_path):
    pixels = {}
    for number, changes in enumerate(({}, {"data.crop_fraction": 0.8}, LARGER, LARGER | {"data.image_size": 42})):
        folder = tmp_path / str(number)
        folder.mkdir()
        tiny_study(folder, **changes)
        pixels[number] = np.load(folder / "data/train.npy")
    assert not np.array_equal(pixels[0], pixels[1]) and pixels[1].shape == (100, 28, 28, 1)
    assert pixels[2].shape == (100, 21, 21, 1) and pixels[3].shape == (100, 42, 42, 1)


@pytest.mark.parametrize("limit", [1, 10**9])
def test_shards_are_read_in_order_and_an_image_of_any_is_named(tmp_path, monkeypatch, limit):
    result = tiny_study(tmp_path)
    table = pq.read_table(tmp_path / "train.parquet")
    for number in range(4):
        part = table.slice(25 * number, 25)
        pq.write_table(part, tmp_path / f"train-{number:05d}-of-00004.parquet", row_group_size=10)
    config = changed(smoke_config(), "data.train", f"{tmp_path}/train-*.parquet")
    config = changed(changed(config, "data.test", [f"{tmp_path}/test.parquet"]), "data.validation.per_class", 2)
    for owner in ("teacher", "student"):
        config = changed(changed(config, f"{owner}.recipe.train_images", 80), f"{owner}.recipe.batch_size", 16)
    config = changed(config, "comparison.images", 20)
    sharded = load(config)
    assert len(sharded.data.train) == 4 and sharded.data.rows == result.data.rows == {"train": 100, "test": 40}
    monkeypatch.setattr(configured, "MOST_DECODED", limit)
    split(sharded, tmp_path / "sharded")
    one, many = (
        Split(images_of(result, tmp_path / "data"), "train"),
        Split(images_of(sharded, tmp_path / "sharded"), "train"),
    )
    for a, b in zip(one.evaluation(16), many.evaluation(16), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    row = int(many.index[7])
    assert many.name(7) == f"{tmp_path}/sharded/train.bin: train-{row // 25:05d}-of-00004.parquet, row {row % 25}"


def files_in(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name) if name.endswith(".jpg") else (folder / name).write_text("1")


PAIRS = [f"class{label}/{number}.jpg" for label in range(3) for number in range(3)]
FOLDERS = {
    "an empty class": (
        [*PAIRS[:6], "class2/notes.txt"],
        r"data\.classes: 3 is given, but \S+train has images in 2 subfolders; \S+train/class2 holds none$",
    ),
    "a class more": (
        [*PAIRS, "emu/0.jpg"],
        r"data\.classes: 3 is given, but \S+train has images in 4 subfolders \(class0, class1, class2, emu\)$",
    ),
    "a class of another name": (
        [*PAIRS[:6], "emu/0.jpg"],
        r"data\.train: \S+train has no images of class2, but data\.test has; the two must have the same classes",
    ),
    "no subfolders": (["0.jpg", "1.jpg"], r"data\.train: images lie in \S+train itself; put each into the subfolder"),
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("as_a_tar", [False, True])
def test_folders_that_are_not_the_classes_are_named(tmp_path, name, as_a_tar):
    names, message = FOLDERS[name]
    files_in(tmp_path / "train", names)
    files_in(tmp_path / "test", PAIRS)
    train = tmp_path / "train"
    if as_a_tar:
        train = as_tar(train)
        message = message.replace("train ", r"train\.tar ").replace(
            r"; \S+train/class2 holds none", r" \(class0, class1\)"
        )
    with pytest.raises(StudyError, match=f"^{message}"):
        split_into(tmp_path / "data", train, tmp_path / "test")


def test_a_class_of_which_too_few_can_be_held_out_is_named_as_its_folder(tmp_path):
    files_in(tmp_path / "train", PAIRS)
    files_in(tmp_path / "test", PAIRS[:-1])
    with pytest.raises(
        StudyError, match=r"per_class: 2 images of class class2 cannot be held out: data.test has only 2"
    ):
        split_into(tmp_path / "data", tmp_path / "train", tmp_path / "test")


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
    listed = {
        key: data.Listed(values, np.full(len(values), ""), np.full((len(values), 2), -1))
        for key, values in everywhere.items()
    }
    job = DataJob(10, Validation("train", 2), {}, True, None, train=("train",), test=("test",), out="")
    with pytest.raises(StudyError, match=f"^{message}"):
        data.make_splits(listed, job)


def test_a_webdataset_is_not_taken_for_images_of_one_class(tmp_path):
    with tarfile.open(tmp_path / "images.tar", "w") as tar:
        for number in range(4):
            for ending, content in ((".jpg", encoded(Image.new("RGB", (8, 8)), "JPEG")), (".cls", b"1")):
                member = tarfile.TarInfo(f"{number:03d}{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    with pytest.raises(
        StudyError, match=r"^data\.train: \S+images\.tar is a WebDataset, whose labels \(\.cls\) are not"
    ):
        data.open_folder(str(tmp_path / "images.tar"), "train")
