"""A folder or .tar of images is a source: flat or with a subfolder a class; what cannot be one is a sentence."""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from distillation_dynamics.data.sources import folder as reader
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from pictures import (
    HELD_OUT,
    as_tar,
    as_tar_of_tars,
    check_that_names_tell_pixels_and_labels,
    encoded,
    make_folder,
    pixels_of,
    split_into,
    write_pictures,
)


@pytest.fixture
def folder_images(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", seed=1)
    return split_into(tmp_path / "data", tmp_path / "test", tmp_path / "train", 3, HELD_OUT)


def test_images_added_after_the_split_leave_every_other_ones_name_pixels_and_label_right(folder_images, tmp_path):
    pixels = {source: pixels_of(tmp_path / source) for source in ("train", "test")}
    before = {name: Split(folder_images, name) for name in ("train", "validation", "test")}
    for source in pixels:
        for number in range(3):
            added = Image.new("RGB", (40, 40), (80 * number, 10, 200))
            added.save(tmp_path / source / f"class0/0+{number}.jpg")
        names = reader.Source([str(tmp_path / source)], 3, source).names
        assert list(names[:4]) == ["class0/0+0.jpg", "class0/0+1.jpg", "class0/0+2.jpg", "class0/0.jpg"]
    for name, old in before.items():
        split = Split(folder_images, name)
        assert np.array_equal(split.names, old.names) and np.array_equal(split.labels, old.labels)
        check_that_names_tell_pixels_and_labels(split, pixels[split.file])
    first = Split(folder_images, "test", 7, in_order=True)
    assert list(first.names) == sorted(name.encode() for name in pixels["test"])[:7]
    check_that_names_tell_pixels_and_labels(first, pixels["test"])


@pytest.mark.parametrize("content", [b"", b"no tar", b"\0" * 10240])
@pytest.mark.parametrize("classes", [None, 3])
def test_a_tar_that_is_none_is_a_sentence(tmp_path, content, classes):
    (tmp_path / "images.tar").write_bytes(content)
    with pytest.raises(StudyError, match=r"^data\.train: \S+images\.tar cannot be read \(.+\); give a folder"):
        reader.Source([str(tmp_path / "images.tar")], classes, "data.train")


@pytest.mark.parametrize(
    ("names", "why"), [(None, "it does not exist"), (["a/notes.txt"], "it holds no images, only 1 .txt .notes.txt")]
)
@pytest.mark.parametrize("classes", [None, 3])
def test_a_folder_without_images_is_a_sentence(tmp_path, names, why, classes):
    write_pictures(tmp_path / "train", names or [])
    with pytest.raises(StudyError, match=rf"^data\.train: \S+/train cannot be read \({why}.*\); give a folder"):
        reader.Source([str(tmp_path / "train")], classes, "data.train")


@pytest.mark.parametrize("pack", [None, as_tar])
def test_a_name_that_is_not_utf_8_is_a_sentence(tmp_path, pack):
    write_pictures(tmp_path / "train", ["a.jpg", "b\udcff.jpg"])
    source = pack(tmp_path / "train") if pack else tmp_path / "train"
    with pytest.raises(
        StudyError, match=r"^data\.train: the name of 'b\\udcff.jpg' in \S+ is not UTF-8; give it anoth"
    ):
        reader.Source([str(source)], None, "data.train")


@pytest.mark.parametrize("pack", [as_tar, as_tar_of_tars])
def test_a_tar_gives_the_names_labels_and_pixels_of_the_folder_it_was_made_of(folder_images, tmp_path, pack):
    packed = split_into(tmp_path / "packed", pack(tmp_path / "test"), pack(tmp_path / "train"), 3, HELD_OUT)
    assert {path.name for path in (tmp_path / "packed").iterdir()} == {"pictures.json", "splits.parquet"}
    assert not list(tmp_path.glob("*.pickle"))
    tables = [read_table(tmp_path / folder / "splits.parquet") for folder in ("data", "packed")]
    assert (tables[0][["offset", "bytes"]] == -1).all(axis=None) and (tables[1][["offset", "bytes"]] > 0).all(axis=None)
    assert tables[0].drop(columns=["offset", "bytes"]).equals(tables[1].drop(columns=["offset", "bytes"]))
    for name in ("train", "validation", "test"):
        split = Split(packed, name)
        pixels = pixels_of(tmp_path / split.file)
        check_that_names_tell_pixels_and_labels(split, pixels)
        for a, b in zip(split.evaluation(4), split.evaluation(4, workers=1), strict=True):
            assert np.array_equal(a.positions, b.positions) and torch.equal(a.images, b.images)


def test_a_broken_image_in_a_tar_is_named_with_it(folder_images, tmp_path):
    train = as_tar(tmp_path / "train")
    packed = split_into(tmp_path / "packed", as_tar(tmp_path / "test"), train, 3, HELD_OUT)
    split = Split(packed, "train")
    (position,) = np.flatnonzero(split.names == b"class1/2.jpg")
    with open(train, "r+b") as file:
        file.seek(split.offsets[position, 0])
        file.write(b"spoiled since")
    with pytest.raises(
        StudyError, match=r"train\.tar: class1/2\.jpg: cannot be decoded as an image \(it is no picture"
    ):
        list(split.evaluation(4))
    with pytest.raises(StudyError, match=r"^data\.train: 1 of 18 images cannot be read: class1/2\.jpg \(it is no"):
        split_into(tmp_path / "again", as_tar(tmp_path / "test"), train, 3, HELD_OUT)


FLAT = ["10.jpg", "9.jpg", "a.png", "07.jpg", "7.jpg"]
IN_ORDER = ["07.jpg", "7.jpg", "9.jpg", "10.jpg", "a.png"]
MIXED = ["b/deep/er/1.jpg", "b/2.jpg", "0.jpg", "a/1.jpg"]
MIXED_IN_ORDER = ["0.jpg", "a/1.jpg", "b/2.jpg", "b/deep/er/1.jpg"]


@pytest.mark.parametrize("pack", [None, as_tar])
@pytest.mark.parametrize(("names", "expected"), [(FLAT, IN_ORDER), (MIXED, MIXED_IN_ORDER), (["one.jpg"], ["one.jpg"])])
def test_pictures_without_classes_are_a_source_wherever_they_lie(tmp_path, pack, names, expected):
    write_pictures(tmp_path / "photos", names)
    pictures = {name: np.asarray(Image.open(tmp_path / "photos" / name)) for name in names}
    images = split_into(tmp_path / "data", pack(tmp_path / "photos") if pack else tmp_path / "photos")
    table = read_table(tmp_path / "data/splits.parquet")
    assert list(table["name"]) == expected and (table["label"] == -1).all()
    assert set(table["split"]) == set(table["file"]) == {"test"}
    split = Split(images, "test")
    assert split.labels.dtype == np.int64
    for position, name in enumerate(expected):
        np.testing.assert_array_equal(np.asarray(split.image(position)), pictures[name])
    (batch,) = split.evaluation(8)
    assert batch.labels.tolist() == [-1] * len(names) and batch.images.shape == (len(names), 3, 32, 32)


def test_names_in_a_tar_are_paths_spelt_one_way_and_the_last_of_a_name_counts(tmp_path):
    first, last = (encoded(Image.new("RGB", (8, 8), (value, 0, 0)), "PNG") for value in (1, 2))
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for name, content in (
            ("./b.png", first),
            ("7.png", first),
            ("07.png", last),
            ("./a/b.png", first),
            ("b.png", last),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    split = Split(split_into(tmp_path / "data", tmp_path / "photos.tar"), "test")
    # Names that count as the same number stand in one order, whatever that of the members.
    assert split.names.tolist() == [b"07.png", b"7.png", b"a/b.png", b"b.png"]
    assert [np.asarray(split.image(n))[0, 0, 0] for n in range(4)] == [2, 1, 1, 2]
    with pytest.raises(StudyError, match=r"^data\.test: images lie in \S+photos\.tar itself"):
        reader.Source([str(tmp_path / "photos.tar")], 2, "data.test")


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
    "no subfolders": (
        ["0.jpg", "1.jpg"],
        r"data\.train: images lie in \S+train itself; put each into the subfolder of its class, or leave out",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("as_a_tar", [False, True])
def test_folders_that_are_not_the_classes_are_named(tmp_path, name, as_a_tar):
    names, message = FOLDERS[name]
    write_pictures(tmp_path / "train", names)
    write_pictures(tmp_path / "test", PAIRS)
    train = tmp_path / "train"
    if as_a_tar:
        train = as_tar(train)
        message = message.replace("train ", r"train\.tar ").replace(
            r"; \S+train/class2 holds none", r" \(class0, class1\)"
        )
    with pytest.raises(StudyError, match=f"^{message}"):
        split_into(tmp_path / "data", tmp_path / "test", train, 3, HELD_OUT)


def test_a_webdataset_is_not_taken_for_images_of_one_class(tmp_path):
    with tarfile.open(tmp_path / "images.tar", "w") as tar:
        for number in range(4):
            for ending, content in ((".jpg", encoded(Image.new("RGB", (8, 8)), "JPEG")), (".cls", b"1")):
                member = tarfile.TarInfo(f"{number:03d}{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    # Without classes they are not needed.
    assert reader.Source([str(tmp_path / "images.tar")], None, "data.train").names.tolist()[0] == "000.jpg"
    with pytest.raises(
        StudyError, match=r"^data\.train: \S+images\.tar is a WebDataset, whose labels \(\.cls\) are not"
    ):
        reader.Source([str(tmp_path / "images.tar")], 3, "data.train")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b"], r"^data\.train: with data\.source: folder give one folder or \.tar, not a list$"),
        ("{}/a.parquet", r"^data\.train: \S+/a\.parquet is no folder and no \.tar; give a folder .*source: parquet$"),
    ],
)
def test_what_a_path_cannot_mean_is_a_sentence(tmp_path, value, message):
    (tmp_path / "a.parquet").touch()
    with pytest.raises(StudyError, match=message):
        reader.find(value.format(tmp_path) if isinstance(value, str) else value, "data.train")


def test_paths_are_spelt_one_way_and_nobody_knows_how_many_images_a_folder_holds():
    assert reader.find("./images//of/", "data.train") == ["images/of"]
    assert reader.count(["images/of"], None, "data.train") is None
