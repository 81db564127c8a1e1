"""Splits are read as batches; views are functions of their key; a broken image gives a sentence."""

import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from timm.data.distributed_sampler import RepeatAugSampler
from torch.utils.data import DataLoader

from conftest import ROOT
from distillation_dynamics import distributed
from distillation_dynamics.data import loading
from distillation_dynamics.data.balanced import balanced
from distillation_dynamics.data.split import Split
from distillation_dynamics.data.views import make_transform
from distillation_dynamics.errors import StudyError
from distillation_dynamics.spec.training import Augmentation
from pictures import GREY_VIEW, HELD_OUT, make_folder, split_into, tiny

AUGMENTATION = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, "rand-m9-mstd0.5-inc1")


@pytest.fixture
def folder_images(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", seed=1)
    return split_into(tmp_path / "data", tmp_path / "test", tmp_path / "train", 3, HELD_OUT)


@pytest.mark.parametrize("count", [1, 7, 20, 33, 60])
def test_a_balanced_choice_takes_the_classes_in_turn(count):
    labels = np.repeat([0, 1, 2], 20)
    chosen = balanced(labels, count)
    per_class = np.bincount(labels[chosen], minlength=3)
    assert len(set(chosen)) == count and per_class.max() - per_class.min() <= 1
    assert set(balanced(labels, count - 1)) <= set(chosen)


@pytest.mark.parametrize(
    ("images", "count", "chosen"),
    [(5, 5, [0, 1, 2, 3, 4]), (100, 1, [0]), (10, 4, [0, 3, 6, 9]), (9, 2, [0, 8]), (1, 1, [0]), (7, 0, [])],
)
def test_without_labels_an_even_choice_is_spread_over_the_images_in_order(images, count, chosen):
    assert balanced(np.full(images, -1), count).tolist() == chosen


def test_an_even_choice_takes_no_image_twice():
    for images in range(1, 60):
        for count in range(1, images + 1):
            chosen = balanced(np.full(images, -1), count)
            assert (np.diff(chosen) > 0).all() and len(chosen) == count and 0 <= chosen[0] <= chosen[-1] < images


@pytest.mark.parametrize("labels", [np.arange(4), np.full(4, -1)])
def test_more_images_than_there_are_cannot_be_chosen(labels):
    with pytest.raises(StudyError, match="5 images are asked for, but there are only 4"):
        balanced(labels, 5)


def test_a_split_that_a_study_does_not_have_is_named(tmp_path):
    make_folder(tmp_path / "test")
    images = split_into(tmp_path / "data", tmp_path / "test")
    for name, choose in (("validation", Split), ("train", lambda *asked: Split(*asked, 3, in_order=True))):
        with pytest.raises(StudyError, match=rf"data/splits\.parquet: there are no images of \w+ '{name}'; .*test$"):
            choose(images, name)


def test_each_epoch_shows_every_image_once_in_another_order(tmp_path):
    split = Split(tiny(tmp_path), "train")
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


@pytest.mark.parametrize(("repeats", "world"), [(1, 1), (3, 1), (3, 2), (4, 4), (2, 4), (5, 2)])
def test_repeated_images_come_in_the_order_of_timms_sampler(tmp_path, monkeypatch, repeats, world):
    split, epoch, batch_size = Split(tiny(tmp_path), "train"), 2, 16
    order = np.random.default_rng([5, epoch]).permutation(len(split))
    monkeypatch.setattr(distributed, "world", lambda: world)
    for rank in range(world):
        sampler = RepeatAugSampler(
            range(len(split)), world, rank, shuffle=False, num_repeats=repeats, selected_round=batch_size
        )
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts = list(split._parts(batch_size, replace(AUGMENTATION, repeats=repeats), 5, [epoch], 0))
        assert [len(positions) for _, _, positions in parts] == [batch_size // world] * 5
        np.testing.assert_array_equal(np.concatenate([p for _, _, p in parts]), order[list(sampler)])


def test_each_repeat_of_an_image_is_another_view_in_every_epoch(folder_images):
    split, augmentation = Split(folder_images, "train"), replace(AUGMENTATION, repeats=3)
    batches = list(split.training(6, augmentation, 0, [0, 1]))
    assert len(batches) == 2 * (18 // 6)
    for batch in batches:
        assert np.array_equal(batch.positions, np.repeat(batch.positions[::3], 3))
        assert np.array_equal(batch.labels, split.labels[batch.positions])
    shown = torch.cat([batch.images for batch in batches])
    assert len({image.numpy().tobytes() for image in shown}) == len(shown) == 36
    resumed = [batch for workers in (0, 1) for batch in split.training(6, augmentation, 0, [0, 1], workers, first=2)]
    for ours, theirs in zip(resumed, batches[2:] * 2, strict=True):
        assert np.array_equal(ours.positions, theirs.positions) and torch.equal(ours.images, theirs.images)


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


def test_a_split_that_is_kept_to_the_end_does_not_keep_its_process(folder_images, tmp_path):
    code = (
        "import pickle, sys; from distillation_dynamics.data.split import Split\n"
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


@pytest.mark.parametrize("augmentation", [AUGMENTATION, replace(AUGMENTATION, views=2), None])
def test_one_set_of_loader_processes_serves_all_epochs_with_the_batches_of_each(
    folder_images, monkeypatch, augmentation
):
    started = []

    class Counting(loading.DataLoader):
        def __iter__(self):
            started.append(self.num_workers)
            return super().__iter__()

    monkeypatch.setattr(loading, "DataLoader", Counting)
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
    monkeypatch.setattr(loading, "DataLoader", lambda *args, **options: made.append(1) or DataLoader(*args, **options))
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
    (tmp_path / "arrays").mkdir()
    split = Split(tiny(tmp_path / "arrays") if in_memory else folder_images, "train")
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


AS_IT_IS, LARGER = GREY_VIEW, replace(GREY_VIEW, image_size=21, crop_fraction=0.875, interpolation="bilinear")
SQUASHED, BORDERED = replace(LARGER, crop_mode="squash"), replace(LARGER, image_size=30, crop_mode="border")


@pytest.mark.parametrize("view", [AS_IT_IS, LARGER, SQUASHED, BORDERED])
@pytest.mark.parametrize("augmentation", [None, AUGMENTATION, replace(AUGMENTATION, views=2)])
def test_what_is_decoded_into_arrays_gives_the_bits_of_what_is_decoded_image_by_image(tmp_path, view, augmentation):
    images = {}
    for arrays in (True, False):
        (tmp_path / f"{arrays}").mkdir()
        images[arrays] = tiny(tmp_path / f"{arrays}", arrays=arrays, view=view)
    files = {path.name for path in Path(images[False].folder).iterdir()}
    assert files == {"pictures.json", "splits.parquet", "train.bin", "test.bin"}
    ours, theirs = (Split(images[arrays], "train") for arrays in (True, False))
    assert np.array_equal(ours.names, theirs.names) and np.array_equal(ours.labels, theirs.labels)
    transform = make_transform(view, None)
    for a, b in zip(ours.evaluation(32), theirs.evaluation(32, workers=1), strict=True):
        assert torch.equal(a.images, b.images) and np.array_equal(a.positions, b.positions)
        assert torch.equal(a.images[0], transform(theirs.image(a.positions[0])))
    for a, b in zip(*(each.training(16, augmentation, 3, range(2)) for each in (ours, theirs)), strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        assert np.array_equal(a.positions, b.positions)
