"""What is measured of a block by itself: probes of its classes, collapse, covariance, logit lens."""

import numpy as np
import pytest
import torch

from distillation_dynamics import errors, metrics
from distillation_dynamics.metrics import collapse, covariance, lens, linear_probe, nearest_probe
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.outputs import NotFinite, Outputs
from distillation_dynamics.spec.measure import Settings

BY_CLASS = [linear_probe, nearest_probe, collapse]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def classes(images=60, count=4, channels=7, spread=0.6, seed=0):
    """Rows and labels of classes that lie somewhat apart, far from the origin."""
    labels = np.arange(images) % count
    return draw(count, channels, seed=seed)[labels] + spread * draw(images, channels, seed=seed + 1) + 3, labels


def batches(blocks, labels, sizes):
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        start += size
        yield Outputs(
            features={index: torch.from_numpy(block[part]) for index, block in enumerate(blocks)},
            labels=torch.from_numpy(labels[part]),
            positions=torch.arange(part.start, part.stop),
        )


def streamed(module, blocks, labels, sizes):
    metric = module.Metric(Settings())
    for outputs in batches(blocks, labels, sizes):
        metric.update(outputs)
    return metric.compute()


def literal_probe(rows, labels, fold):
    """Ridge regression, one fold after the other, by the pseudo-inverse of stacked equations."""
    values, right = sorted(set(labels)), 0
    for number in set(fold):
        x, held = rows[fold != number], rows[fold == number]
        wanted = np.array([[float(label == value) for value in values] for label in labels[fold != number]])
        moment = (x - x.mean(axis=0)).T @ (x - x.mean(axis=0))
        penalty = 0.03 * np.trace(moment) / min(len(x) - 1, x.shape[1])
        stacked = np.vstack([x - x.mean(axis=0), np.sqrt(penalty) * np.eye(x.shape[1])])
        target = np.vstack([wanted - wanted.mean(axis=0), np.zeros((x.shape[1], len(values)))])
        weights = np.linalg.pinv(stacked) @ target
        said = ((held - x.mean(axis=0)) @ weights + wanted.mean(axis=0)).argmax(axis=1)
        right += sum(values[s] == label for s, label in zip(said, labels[fold == number], strict=True))
    return 100 * right / len(rows)


@pytest.mark.parametrize(("images", "channels"), [(60, 7), (60, 1), (20, 90)])
def test_the_linear_probe_equals_a_literal_one(images, channels):
    found = []
    for seed in range(8):
        rows, labels = classes(images, channels=channels, spread=0.6 + channels / 30, seed=10 * seed)
        fold = linear_probe.probe_folds(labels, np.arange(images))
        found.append(linear_probe.linear_probe_top1(rows, labels, fold))
        assert found[-1] == pytest.approx(literal_probe(rows, labels, fold))
    assert 25 < np.mean(found) < 100


def test_the_linear_probe_is_held_out_and_near_chance_where_there_is_nothing_to_know():
    labels = np.arange(400) % 4
    fold = linear_probe.probe_folds(labels, np.arange(400))
    found = [linear_probe.linear_probe_top1(draw(400, 50, seed=seed), labels, fold) for seed in range(5)]
    assert abs(np.mean(found) - 25) < 4


def test_neither_scale_nor_rotation_nor_origin_matter_to_the_probes_and_nc1():
    rows, labels = classes()
    moved = 1e-3 * rows @ np.linalg.qr(draw(7, 7, seed=3))[0]
    fold = linear_probe.probe_folds(labels, np.arange(60))
    assert linear_probe.linear_probe_top1(moved + 50, labels, fold) == linear_probe.linear_probe_top1(
        rows, labels, fold
    )
    assert collapse.nc1(moved + 50, labels) == pytest.approx(collapse.nc1(rows, labels), rel=1e-8)
    assert nearest_probe.nearest_probe_top1(moved, labels) == nearest_probe.nearest_probe_top1(rows, labels)


def test_folds_are_even_within_classes_and_belong_to_the_image_and_not_to_its_place():
    labels, positions = np.arange(40) % 4, np.arange(100, 140)
    fold = linear_probe.probe_folds(labels, positions)
    assert {tuple(np.bincount(fold[labels == value], minlength=5)) for value in range(4)} == {(2,) * 5}
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(linear_probe.probe_folds(labels[order], positions[order]), fold[order])
    assert (linear_probe.probe_folds(labels, positions, seed=1) != fold).any()
    assert len(set(linear_probe.probe_folds(np.zeros(2, int), np.arange(2)))) == 2


def literal_nearest(rows, labels, groups, most=10):
    images = range(len(rows))
    k = min(most, *(sum(labels[j] == labels[i] and groups[j] != groups[i] for j in images) for i in images))
    right = 0
    for i in images:
        cosine = {
            j: rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])
            for j in images
            if groups[j] != groups[i]
        }
        votes = {}
        for j in sorted(cosine, key=cosine.get, reverse=True)[:k]:
            count, total = votes.get(labels[j], (0, 0))
            votes[labels[j]] = count + 1, total + cosine[j]
        right += max(votes, key=votes.get) == labels[i]
    return 100 * right / len(rows)


@pytest.mark.parametrize(("images", "count"), [(60, 4), (12, 6), (33, 2)])
def test_the_nearest_probe_equals_a_literal_one(images, count):
    found = []
    for seed in range(6):
        rows, labels = classes(images, count, seed=10 * seed, spread=1)
        found.append(nearest_probe.nearest_probe_top1(rows, labels))
        assert found[-1] == pytest.approx(literal_nearest(rows, labels, np.arange(images)))
    assert 5 < np.mean(found) < 100


def literal_nc1(rows, labels):
    values = np.unique(labels)
    means = np.stack([rows[labels == value].mean(axis=0) for value in values])
    within = np.mean([np.outer(d, d) for d in rows - means[labels]], axis=0)
    between = np.mean([np.outer(d, d) for d in means - means.mean(axis=0)], axis=0)
    return np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / len(values)


@pytest.mark.parametrize(("images", "channels"), [(60, 7), (60, 1), (20, 90), (61, 7)])
def test_nc1_equals_a_literal_one_for_equally_and_nearly_equally_many_images_a_class(images, channels):
    rows, labels = classes(images, channels=channels)
    assert collapse.nc1(rows, labels) == pytest.approx(literal_nc1(rows, labels), rel=1e-8)


def test_nc1_of_two_classes_on_a_line_has_a_closed_form_and_is_0_of_collapsed_ones():
    rows = np.array([[-2.0], [-1], [1], [2]])
    # Within: variance .25. Between: means at -1.5 and 1.5, 2.25.
    assert collapse.nc1(rows, np.array([0, 0, 1, 1])) == pytest.approx(0.25 / 2.25 / 2)
    assert collapse.nc1(np.array([[-2.0], [-2], [1], [1]]), np.array([5, 5, 9, 9])) == 0


@pytest.mark.parametrize("module", BY_CLASS)
def test_metrics_of_classes_are_those_of_the_mean_tokens_whatever_the_batches(module):
    _, labels = classes()
    features = [draw(60, 5, 3, 3) + labels[:, None, None, None] * draw(5, 1, 1), draw(60, 9, 1, 2, seed=1) + 1]
    labels = np.where(np.arange(60) == 7, -1, labels)
    kept = labels >= 0
    found = streamed(module, features, labels, (60,))
    assert set(found) == set(module.BLOCK_COLUMNS)
    for index, block in enumerate(features):
        rows, own = block.mean(axis=(2, 3))[kept], labels[kept]
        expected = {
            "nc1": lambda rows, own: collapse.nc1(rows, own),
            "nearest_probe_top1": lambda rows, own: nearest_probe.nearest_probe_top1(rows, own),
            "linear_probe_top1": lambda rows, own: linear_probe.linear_probe_top1(
                rows, own, linear_probe.probe_folds(own, np.arange(60)[kept])
            ),
            "linear_probe_chance": lambda rows, own: 100 * 15 / 59,
        }
        for name in module.BLOCK_COLUMNS:
            assert found[name][index] == pytest.approx(expected[name](rows, own), rel=1e-10)
    for sizes in ((7, 13, 40), (1,) * 60):
        other = streamed(module, features, labels, sizes)
        for name, values in found.items():
            np.testing.assert_allclose(other[name], values, rtol=1e-9)


@pytest.mark.parametrize("module", BY_CLASS)
@pytest.mark.parametrize(
    ("labels", "why"),
    [([-1] * 6, "no labels"), ([3] * 6, "of one class"), ([0, 0, 0, 1, 1, 2], "only one image"), ([4], "of one class")],
)
def test_without_classes_that_can_be_told_apart_they_are_empty_and_say_so_once(module, labels, why, capsys):
    errors.say_once.cache_clear()
    labels = np.array(labels)
    for _ in range(2):
        found = streamed(module, [draw(len(labels), 3, 2, 2)] * 2, labels, (len(labels),))
        assert found == {}
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and why in said and said.startswith(module.__name__.rpartition(".")[2])


@pytest.mark.parametrize("module", BY_CLASS)
def test_a_constant_block_has_no_value_and_nan_is_an_error(module):
    _, labels = classes(12, 3)
    found = streamed(module, [np.full((12, 5, 2, 2), 0.1)], labels, (12,))
    assert all(np.isnan(values[0]) for name, values in found.items() if name != "linear_probe_chance")
    with pytest.raises(NotFinite, match="block 1, image 2"):
        broken = draw(12, 5, 2, 2)
        broken[2, 1] = np.nan
        streamed(module, [draw(12, 5, 2, 2), broken], labels, (12,))


def literal_covariance(block):
    tokens = np.stack([block[i, :, h, w] for i, h, w in np.ndindex(block.shape[0], *block.shape[2:])]).astype(float)
    values = np.linalg.svd(tokens - tokens.mean(axis=0), compute_uv=False) ** 2
    share = values / values.sum()
    share = share[share > 1e-14]
    return 1 / np.sum(share**2), np.exp(-np.sum(share * np.log(share)))


@pytest.mark.parametrize("shape", [(6, 5, 3, 3), (2, 40, 2, 2), (5, 1, 2, 3), (1, 4, 1, 2)])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_the_covariance_equals_that_of_singular_values(shape, offset):
    blocks = [
        draw(*shape) * np.arange(1, shape[1] + 1)[:, None, None] + offset,
        draw(*shape, seed=1).astype(np.float16),
    ]
    found = metrics.measure("covariance", blocks)
    for index, block in enumerate(blocks):
        expected = literal_covariance(block)
        assert [found[name][index] for name in covariance.BLOCK_COLUMNS] == pytest.approx(expected, rel=1e-7)
    ordered = streamed(covariance, blocks, np.zeros(len(blocks[0])), (1,) * len(blocks[0]))
    for name, values in found.items():
        np.testing.assert_allclose(ordered[name], values, rtol=1e-7)


def test_covariance_has_closed_forms():
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=np.float32)
    even = signs.T.reshape(1, 3, 8, 1)
    found = metrics.measure("covariance", [even, even * np.array([1, 1, 0], np.float32)[:, None, None], 0 * even + 0.1])
    for values in found.values():
        np.testing.assert_allclose(values, [3, 2, 0], rtol=1e-12)


def test_a_huge_outlier_in_half_precision_is_one_direction():
    block = draw(4, 6, 3, 3).astype(np.float16)
    block[0, 2, 0, 0] = 6e4
    found = metrics.measure("covariance", [block])
    assert [values[0] for values in found.values()] == pytest.approx(literal_covariance(block), rel=1e-6)


def literal_lens(said, final, label):
    p, q = (np.exp(z) / np.exp(z).sum() for z in (final, said))
    right = np.nan if not 0 <= label < len(said) else 100.0 * (said.argmax() == label)
    return right, 100.0 * (said.argmax() == final.argmax()), np.sum(p * np.log(p / q))


def test_the_lens_equals_a_literal_one_and_knows_labels_without_a_logit():
    said, final = draw(30, 5), draw(30, 5, seed=1)
    labels = np.random.default_rng(0).integers(-1, 7, 30)
    found = lens.lens_scalars(*map(torch.from_numpy, (said, final, labels)))
    expected = [literal_lens(*row) for row in zip(said, final, labels, strict=True)]
    np.testing.assert_allclose(np.array(list(found.values())).T, expected, rtol=1e-10)
    assert 0 < np.isnan(found["lens_top1"]).sum() < 30
    same = lens.lens_scalars(torch.from_numpy(final), torch.from_numpy(final))
    assert (same["lens_agreement"] == 100).all() and (same["lens_kl"] == 0).all() and np.isnan(same["lens_top1"]).all()


def test_huge_logits_stay_finite():
    found = lens.lens_scalars(torch.tensor([[3e4, -3e4]]).half(), torch.tensor([[-3e4, 3e4]]).half())
    assert found["lens_kl"][0] == pytest.approx(6e4, rel=1e-3)


def test_blocks_that_the_head_cannot_read_are_empty_and_a_network_without_a_head_has_nothing():
    final, said = torch.from_numpy(draw(4, 3)), torch.from_numpy(draw(4, 3, seed=1))
    metric = lens.Metric(Settings(), Context(shapes=((8, 2, 2),) * 3))
    metric.update(Outputs(logits=final, lens={1: said, 2: final}, targets=torch.tensor([0, 1, 2, -1])))
    found = metric.compute()
    assert set(found) == set(lens.IMAGE_COLUMNS)
    assert np.isnan(found["lens_kl"][0]).all() and (found["lens_kl"][2] == 0).all() and (found["lens_kl"][1] > 0).all()
    assert np.isnan(found["lens_top1"][2]).tolist() == [False, False, False, True]
    headless = lens.Metric()
    headless.update(Outputs(targets=torch.tensor([0])))
    assert headless.compute() == {}
    with pytest.raises(NotFinite, match="lens of block 2, image 4"):
        metric.update(Outputs(logits=final, lens={2: final * torch.nan}, targets=torch.zeros(4)))
