"""An image set is the same images, by name and in order, whatever network sees them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from distillation_dynamics.data.image_set import MeasuredImages
from distillation_dynamics.data.views import make_transform
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.spec.images import ImageSet, View
from pictures import HELD_OUT, VIEW, as_tar, make_folder, split_into, tiny, write_pictures

OTHER = View(3, 20, (0.1, 0.2, 0.3), (0.3, 0.2, 0.1), 1.0, "bilinear", "squash")


@pytest.fixture
def labelled(tmp_path):
    make_folder(tmp_path / "photos")
    return split_into(tmp_path / "data", tmp_path / "photos", None, 3, HELD_OUT)


@pytest.fixture
def unlabelled(tmp_path):
    write_pictures(tmp_path / "flat", [f"{number}.jpg" for number in range(11)])
    return split_into(tmp_path / "flat_data", tmp_path / "flat")


@pytest.mark.parametrize("count", [None, 4])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("labels", ["labelled", "unlabelled"])
def test_two_views_of_one_set_are_the_same_images_in_the_same_order(request, labels, count, first):
    images = request.getfixturevalue(labels)
    image_sets = [
        MeasuredImages(ImageSet("photos", replace(images, view=view), "test", count, first), workers)
        for view, workers in ((VIEW, 0), (OTHER, 1))
    ]
    one, other = image_sets
    assert one.names == other.names and all(isinstance(name, str) for name in one.names)
    assert np.array_equal(one.positions, other.positions) and np.array_equal(one.labels, other.labels)
    assert len(one) == len(one.names) == len(one.labels) == len(one.positions) == len(set(one.names))
    for a, b in zip(one.batches(3), other.batches(3), strict=True):
        assert np.array_equal(a.positions, b.positions) and torch.equal(a.labels, b.labels)
        assert a.images.shape[1:] == (3, 32, 32) and b.images.shape[1:] == (3, 20, 20)
        for batch, view in ((a, VIEW), (b, OTHER)):
            expected = make_transform(view, None)(one.split.image(batch.positions[0]))
            assert torch.equal(batch.images[0], expected)
    seen = np.concatenate([batch.positions for batch in one.batches(3)])
    assert np.array_equal(seen, one.positions)


def test_an_image_set_is_even_over_classes_or_over_the_images_or_the_first(labelled, unlabelled):
    assert np.bincount(MeasuredImages(ImageSet("a", labelled, "test", 7), 0).labels).max() == 3
    assert MeasuredImages(ImageSet("a", unlabelled, "test", 3), 0).names == ["0.jpg", "5.jpg", "10.jpg"]
    first = MeasuredImages(ImageSet("a", labelled, "test", 5, first=True), 0)
    # Whether they are held out or not.
    assert first.names == [f"class0/{number}.jpg" for number in range(5)]
    assert len(MeasuredImages(ImageSet("a", labelled, "test", None), 0)) == 12
    assert len(MeasuredImages(ImageSet("a", labelled, "test", None, first=True), 0)) == 18
    assert MeasuredImages(ImageSet("a", unlabelled, "test", 3), 0).labels.tolist() == [-1] * 3


def test_one_picture_is_an_image_set(tmp_path):
    write_pictures(tmp_path / "photos", ["me.jpg"])
    images = split_into(tmp_path / "data", tmp_path / "photos")
    for count in (None, 1):
        image_set = MeasuredImages(ImageSet("me", images, "test", count), 0)
        (batch,) = image_set.batches(8)
        assert image_set.names == ["me.jpg"] and batch.images.shape == (1, 3, 32, 32) and batch.labels.tolist() == [-1]


def test_a_folder_and_its_tar_give_the_same_names_in_the_same_order(tmp_path):
    write_pictures(tmp_path / "photos", ["10.jpg", "9.jpg", "7.jpg", "07.jpg", "b/1.jpg", "a/2.jpg"])
    names = []
    for number, source in enumerate((tmp_path / "photos", as_tar(tmp_path / "photos"))):
        images = split_into(tmp_path / str(number), source)
        names.append(MeasuredImages(ImageSet("photos", images, "test", None), 0).names)
    assert names[0] == names[1] == ["07.jpg", "7.jpg", "9.jpg", "10.jpg", "a/2.jpg", "b/1.jpg"]


@pytest.mark.parametrize(("first", "there"), [(False, 12), (True, 18)])
def test_an_image_set_of_more_images_than_there_are_is_named(labelled, first, there):
    with pytest.raises(StudyError, match=rf"^image set mine: 19 images are asked for, but test has only {there};"):
        MeasuredImages(ImageSet("mine", labelled, "test", 19, first=first), 0)


def test_arrays_are_read_only_where_they_are_in_the_view_that_is_asked_for(tmp_path):
    images = tiny(tmp_path)
    table = read_table(tmp_path / "data/splits.parquet")
    larger = replace(images, in_memory=False, view=replace(images.view, image_size=35, mean=(0.0,)))
    one, other = (MeasuredImages(ImageSet("a", each, "validation", 10), 0) for each in (images, larger))
    assert one.names == other.names and set(one.names) <= set(table["name"])
    (mine,), (theirs,) = one.batches(10), other.batches(10)
    assert mine.images.shape == (10, 1, 28, 28) and theirs.images.shape == (10, 1, 35, 35)
    np.save(tmp_path / "data/train.npy", np.zeros((100, 28, 28, 1), dtype=np.uint8))
    (mine,), (again,) = (
        MeasuredImages(ImageSet("a", each, "validation", 10), 0).batches(10) for each in (images, larger)
    )
    assert (mine.images == mine.images[0, 0, 0, 0]).all() and torch.equal(again.images, theirs.images)
