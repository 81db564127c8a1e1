"""Images travel as uint8 and are normalised where they arrive: the bits of timm's transforms, whatever travels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from distillation_dynamics.data import loading, transfer
from distillation_dynamics.data.loading import ahead
from distillation_dynamics.data.split import CPU, Split
from distillation_dynamics.data.streams import drawn_from
from distillation_dynamics.data.views import make_transform
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.training import Augmentation
from pictures import HELD_OUT, make_folder, split_into

ERASED = Augmentation(1.0, "pixel", (0.5, 1.0), 0.5, 0.0, "rand-m9-mstd0.5-inc1", views=None)
COLOURS = [
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
]
GREYS = [((0.286,), (0.353,)), ((0.1307,), (0.3081,))]


@pytest.fixture
def split(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", seed=1)
    return Split(split_into(tmp_path / "data", tmp_path / "test", tmp_path / "train", 3, HELD_OUT), "train")


@pytest.mark.parametrize(("mean", "std"), COLOURS + GREYS)
def test_every_value_of_every_channel_has_the_bits_of_timms_transform(mean, std):
    channels, generator = len(mean), np.random.default_rng(0)
    extremes = [np.full((16, 16, channels), value, np.uint8) for value in (0, 1, 127, 128, 254, 255)]
    every = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), (16, 16, channels))
    pixels = [*extremes, every, *generator.integers(0, 256, (4, 16, 16, channels), dtype=np.uint8)]
    view = View(channels, 16, mean, std)
    timms = make_transform(view, None)
    expected = torch.stack([timms(Image.fromarray(one if channels == 3 else one[:, :, 0])) for one in pixels])
    given = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    for layout in (given, given.contiguous()):
        assert torch.equal(transfer.normalised(layout, view), expected)


@pytest.mark.parametrize("mode", ["const", "rand", "pixel"])
@pytest.mark.parametrize("workers", [0, 2])
def test_erased_images_have_the_bits_of_timms_transform(split, mode, workers):
    augmentation = replace(ERASED, erasing_mode=mode)
    timms, erased = make_transform(split.seen, augmentation), 0
    plain = make_transform(split.seen, replace(augmentation, random_erasing=0.0))
    for batch in split.training(6, augmentation, 5, [0], workers):
        for position, image in zip(batch.positions, batch.images, strict=True):
            with drawn_from(5, 0, position):
                assert torch.equal(image, timms(split.image(position)))
            with drawn_from(5, 0, position):
                erased += not torch.equal(image, plain(split.image(position)))
    assert erased == 18


@pytest.mark.parametrize("free", [0, 10**12])
def test_erased_rectangles_pass_through_a_pipe_as_through_shared_memory(split, monkeypatch, free):
    expected = list(split.training(6, ERASED, 0, [0]))
    monkeypatch.setattr(loading, "shared_bytes", lambda: free or loading.BYTES_OF_QUEUES)
    for a, b in zip(split.training(6, ERASED, 0, [0], workers=1), expected, strict=True):
        assert torch.equal(a.images, b.images)


def test_what_travels_is_uint8_and_the_erased_part(split):
    loaded = next(iter(loading.loader_of(split, ERASED, [(0, 0, np.arange(6))], 0, 6, CPU)))
    assert loaded.images.dtype == torch.uint8 and loaded.images.is_contiguous() and len(loaded.places) == 6
    size = np.prod(loaded.images.shape[1:])
    assert 0.02 * 6 * size * 0.5 < len(loaded.values) < 6 * size / 3 * 1.1


def test_constants_that_an_evaluation_made_serve_a_pass_with_gradients():
    view, pixels = View(1, 2, (0.123,), (0.456,)), torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
    with torch.inference_mode():
        transfer.normalised(pixels, view)
    weight = torch.ones((), requires_grad=True)
    (transfer.normalised(pixels, view) * weight).sum().backward()
    assert torch.isfinite(weight.grad)


@pytest.mark.parametrize(
    ("batch", "workers", "processes", "batches"),
    [(16, 2, 1, 2), (2048, 3, 1, 2), (2048, 4, 1, 1), (2048, 16, 1, 1), (256, 4, 8, 1), (128, 4, 8, 2)],
)
def test_two_batches_a_process_wait_where_they_fit_and_else_one(monkeypatch, batch, workers, processes, batches):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert ahead(View(3, 224, (0.5,) * 3, (0.5,) * 3), batch, workers) == batches


def test_a_loader_process_has_as_many_batches_ready(split, monkeypatch):
    monkeypatch.setattr(loading, "BYTES_AHEAD", 0)
    loader = loading.loader_of(split, None, [(0, 0, np.arange(2))], 1, 2, CPU)
    assert loader.prefetch_factor == 1
    assert loading.loader_of(split, None, [], 0, 2, CPU).prefetch_factor is None
