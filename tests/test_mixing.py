"""Mixed images and labels: timm's numbers, drawn from seed and update alone; every image and label as it is defined."""

import numpy as np
import pytest
import torch
from timm.data import Mixup

from distillation_dynamics import distributed
from distillation_dynamics.spec.training import Mixing, Recipe
from distillation_dynamics.training.mixing import MIXING, mixed

CLASSES = 5
BOTH = Mixing(mixup=0.8, cutmix=1.0)


def batch(images=8, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(images, 3, 12, 12, generator=generator, dtype=dtype)
    return pixels, torch.randint(CLASSES, (images,), generator=generator)


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_with_the_same_numbers_timm_mixes_alike(mode, mixup, cutmix):
    mixing = Mixing(mixup, cutmix, probability=0.8, switch_probability=0.3, mode=mode)
    timms = Mixup(mixup, cutmix, None, 0.8, 0.3, mode, label_smoothing=0.0, num_classes=CLASSES)
    for step in range(12):
        pixels, labels = batch()
        words = np.random.SeedSequence([7, step, 0, 1, MIXING]).generate_state(3)
        np.random.seed(int(words[1]))  # noqa: NPY002
        expected = timms(pixels.clone(), labels)
        ours = mixed(mixing, pixels.clone(), labels, CLASSES, 7, step)
        assert all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True))


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize("images", [2, 8])
def test_of_every_image_pixels_and_label_have_the_same_parts_of_two(mode, images):
    """By the definitions of the two papers: a weighted sum, or a rectangle of the other one, as large as its label."""
    kinds = set()
    for step in range(20):
        pixels, _ = batch(images)
        # Labels that no two images share tell the parts.
        labels = torch.arange(images)
        ours, targets = mixed(Mixing(0.8, 1.0, mode=mode), pixels.clone(), labels, images, 0, step)
        assert targets.shape == (images, images) and torch.allclose(targets.sum(dim=1), torch.ones(()).to(targets))
        for number, (image, target) in enumerate(zip(ours, targets.double(), strict=True)):
            own, other = pixels[number], pixels[images - 1 - number]
            part = target[number]
            assert torch.isclose(part + target[images - 1 - number], torch.ones((), dtype=torch.float64))
            if torch.allclose(image, part * own + (1 - part) * other, atol=1e-5):
                kinds.add("mixup")
                continue
            kept = (image == own).all(dim=0)
            assert torch.equal(image[:, ~kept], other[:, ~kept])
            rows, columns = (~kept).any(dim=1).sum(), (~kept).any(dim=0).sum()
            assert (~kept).sum() == rows * columns, "a rectangle"
            assert abs(kept.double().mean() - part) < 1e-6
            kinds.add("cutmix")
    assert kinds == {"mixup", "cutmix"}


def test_what_is_drawn_follows_from_seed_and_update_alone_and_moves_no_stream():
    def drawn(seed, step):
        return mixed(BOTH, *batch(), CLASSES, seed, step)[0]

    first = drawn(3, 5)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    assert torch.equal(drawn(3, 5), first)
    after = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    assert before[0] == after[0] and torch.equal(before[1], after[1])
    assert not torch.equal(drawn(3, 6), first) and not torch.equal(drawn(4, 5), first)


def test_each_process_draws_numbers_of_its_own(monkeypatch):
    alone = mixed(BOTH, *batch(), CLASSES, 0, 0)[0]
    monkeypatch.setattr(distributed, "world", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(mixed(BOTH, *batch(), CLASSES, 0, 0)[0])
    assert not torch.equal(*parts) and not torch.equal(parts[0], alone)


def test_a_part_of_the_batches_stays_as_it_is_where_so_asked():
    unmixed = [
        torch.equal(mixed(Mixing(0.8, probability=0.5), *batch(), CLASSES, 0, s)[0], batch()[0]) for s in range(60)
    ]
    assert 15 < sum(unmixed) < 45


def test_a_recipe_that_mixes_shows_no_fixed_views():
    assert Recipe(1, 2, None, None).views == 1 and Recipe(1, 2, None, None, mixing=BOTH).views is None
