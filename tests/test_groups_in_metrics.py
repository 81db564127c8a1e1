"""Images of one photograph are held out together, neighbours are those of others, and standard errors know them."""

import numpy as np
import pytest
import torch

from distillation_dynamics import errors
from distillation_dynamics.metrics import collapse, linear_probe, nearest_probe, tabulated
from distillation_dynamics.metrics._linear import nearest, of_groups
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.metrics.pairs import agreement, cka, mismatch, neighbours, procrustes
from distillation_dynamics.outputs import Outputs
from distillation_dynamics.spec.measure import Settings
from test_comparison import ONE, TWO, answers, keep, literal_procrustes
from test_probes import literal_nearest, literal_probe

PROBES = [linear_probe, nearest_probe]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def crops(photographs=60, each=6, classes=4, channels=24, noise=0.3, seed=0):
    """Rows of several crops of photographs that say nothing of their class, with labels and groups, in any order."""
    groups = np.repeat(np.arange(photographs), each)
    rows = draw(photographs, channels, seed=seed)[groups] + noise * draw(len(groups), channels, seed=seed + 1)
    order = np.random.default_rng(seed).permutation(len(groups))
    return rows[order], (groups % classes)[order], 1000 - groups[order]


def streamed(module, rows, labels, groups=None, positions=None):
    positions = np.arange(len(rows)) if positions is None else positions
    known = {} if groups is None else {"groups": groups}
    metric = module.Metric(Settings(), Context(positions=positions, labels=labels, **known))
    for part in (slice(0, 7), slice(7, None)):
        metric.update(
            Outputs(
                features={0: torch.from_numpy(rows[part, :, None, None])},
                labels=torch.from_numpy(labels[part]),
                positions=torch.from_numpy(positions[part]),
            )
        )
    return metric.compute()


@pytest.mark.parametrize("module", PROBES)
def test_probes_of_what_says_nothing_of_classes_fall_to_chance_by_photograph(module):
    name = next(iter(module.BLOCK_COLUMNS))
    known, unknown = [], []
    for seed in range(6):
        rows, labels, groups = crops(channels=96, seed=10 * seed)
        known.append(streamed(module, rows, labels, groups)[name][0])
        unknown.append(streamed(module, rows, labels)[name][0])
    assert np.mean(unknown) > 90 and abs(np.mean(known) - 25) < 6


@pytest.mark.parametrize("module", [*PROBES, collapse])
def test_without_groups_of_several_images_nothing_changes(module):
    rows, labels, _ = crops(each=1)
    alone = streamed(module, rows, labels)
    assert streamed(module, rows, labels, 900 - np.arange(60)) == alone


def test_folds_hold_whole_groups_evenly_and_belong_to_the_images_and_not_to_their_places():
    _, labels, groups = crops(classes=3)
    positions = np.random.default_rng(5).permutation(len(labels)) + 50
    fold = linear_probe.probe_folds(labels, positions, 0, groups)
    of_group = {group: set(fold[groups == group]) for group in np.unique(groups)}
    assert all(len(folds) == 1 for folds in of_group.values())
    for value in range(3):
        own = [min(of_group[group]) for group in np.unique(groups[labels == value])]
        assert np.bincount(own, minlength=5).tolist() == [4] * 5
    order = np.random.default_rng(0).permutation(len(labels))
    again = linear_probe.probe_folds(labels[order], positions[order], 0, 7 * groups[order] - 3)
    np.testing.assert_array_equal(again, fold[order])
    assert (linear_probe.probe_folds(labels, positions, 1, groups) != fold).any()


def literal_folds(labels, positions, groups, seed=0):
    """Deal out the groups of one class after the other, each in its drawn order, to the five folds in turn."""
    members = {group: [i for i in range(len(labels)) if groups[i] == group] for group in groups.tolist()}
    first = {group: min(positions[i] for i in own) for group, own in members.items()}
    drawn = {group: np.random.default_rng([seed, int(position)]).random() for group, position in first.items()}
    class_of = {group: max(sorted({*labels[own]}), key=labels[own].tolist().count) for group, own in members.items()}
    dealt = sorted(members, key=lambda group: (class_of[group], drawn[group], first[group]))
    return np.array([dealt.index(group) % 5 for group in groups])


@pytest.mark.parametrize(
    ("photographs", "classes", "mixed"), [(40, 4, False), (4, 2, False), (6, 3, False), (40, 4, True)]
)
def test_the_linear_probe_is_ridge_regression_over_folds_of_groups(photographs, classes, mixed):
    for seed in range(4):
        rows, labels, groups = crops(photographs, 5, classes, channels=9, seed=10 * seed)
        rows = rows + draw(classes, 9, seed=seed + 100)[labels]
        labels = np.where(np.arange(len(labels)) % 7 == 0, 0, labels) if mixed else labels
        positions = np.random.default_rng(seed).permutation(len(labels))
        fold = literal_folds(labels, positions, groups)
        found = streamed(linear_probe, rows, labels, groups, positions)["linear_probe_top1"][0]
        np.testing.assert_array_equal(linear_probe.probe_folds(labels, positions, 0, groups), fold)
        assert found == pytest.approx(literal_probe(rows, labels, fold)) and len(set(fold)) == min(5, photographs)


def test_folds_of_groups_that_hold_images_of_several_classes_go_by_most_of_them():
    labels = np.array([0, 0, 1, 1, 1, 0, 0, 1, 2, 2])
    groups = np.array([5, 5, 5, 3, 3, 3, 9, 9, 1, 2])
    fold = linear_probe.probe_folds(labels, np.arange(10), 0, groups)
    assert len({fold[groups == group].tolist()[0] for group in (5, 9)}) == 2
    assert all(len(set(fold[groups == group])) == 1 for group in groups)


@pytest.mark.parametrize(("photographs", "each", "classes"), [(20, 3, 4), (8, 5, 2), (30, 2, 5), (6, 2, 3)])
def test_the_nearest_probe_equals_a_literal_one_of_other_groups(photographs, each, classes, monkeypatch):
    monkeypatch.setattr("distillation_dynamics.metrics._linear.CHUNK_VALUES", 100)
    for seed in range(4):
        rows, labels, groups = crops(photographs, each, classes, channels=6, noise=1, seed=10 * seed)
        rows = rows + draw(classes, 6, seed=seed + 100)[labels]
        groups[:2] = groups[0], groups[0]  # A group of two classes, perhaps.
        found = nearest_probe.nearest_probe_top1(rows, labels, groups)
        assert found == pytest.approx(literal_nearest(rows, labels, groups))


@pytest.mark.parametrize("module", PROBES)
def test_a_class_of_one_photograph_leaves_the_probes_empty_and_says_so_once(module, capsys):
    errors.say_once.cache_clear()
    rows, labels, groups = crops(8, 3, 4)
    groups[labels == 2] = 77
    for _ in range(2):
        assert streamed(module, rows, labels, groups) == {}
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "all images of a class are of one group (data.groups)" in said
    assert streamed(collapse, rows, labels, groups) == streamed(collapse, rows, labels)
    labels[labels == 2] = -1
    assert set(streamed(module, rows, labels, groups)) == set(module.BLOCK_COLUMNS)


def test_the_mean_of_groups_is_in_the_order_of_their_first_images():
    rows, groups = draw(6, 3), np.array([8, 2, 8, 5, 2, 2])
    expected = [rows[[0, 2]].mean(axis=0), rows[[1, 4, 5]].mean(axis=0), rows[3]]
    np.testing.assert_allclose(of_groups(rows, groups), expected, rtol=1e-12)
    assert of_groups(rows, np.arange(6)[::-1]) is rows


GROUPS = np.array([n // 3 for n in range(24)] + [30, 31, 32, 33, 34, 35])


@pytest.fixture
def pair(tmp_path):
    """Rows of two networks on crops of 14 photographs."""
    return [
        keep(tmp_path / name, *answers(shapes, seed=seed), groups=GROUPS)
        for name, shapes, seed in (("a", ONE, 0), ("b", TWO, 1000))
    ]


def test_rows_know_the_groups(pair, tmp_path):
    assert pair[0].groups.tolist() == GROUPS.tolist()
    alone = keep(tmp_path / "c", *answers(ONE))
    assert alone.groups.tolist() == list(range(30)) and alone.photographs(0) is not None
    np.testing.assert_array_equal(alone.photographs(0), alone.pooled(0))


def literal_neighbours(x, y, groups, k):
    shared = 0
    for i in range(len(x)):
        near = []
        for rows in (x, y):
            cosine = [r @ rows[i] / np.linalg.norm(r) / np.linalg.norm(rows[i]) for r in rows]
            near.append({*[j for j in np.argsort(cosine)[::-1] if groups[j] != groups[i]][:k]})
        shared += len(near[0] & near[1])
    return shared / len(x) / k


def test_mutual_neighbours_are_of_other_photographs(pair):
    first, second = pair
    found = neighbours.compare(first, second)
    assert (found["neighbours_k"] == 10).all()
    np.testing.assert_allclose(found["neighbours_chance"], (24 * 10 / 27 + 6 * 10 / 29) / 30)
    for i, j in np.ndindex(3, 4):
        x, y = (np.array(rows, dtype=np.float64) for rows in (first.pooled(i), second.pooled(j)))
        assert found["neighbours"][i, j] == pytest.approx(literal_neighbours(x, y, GROUPS, 10))


def test_neighbours_of_unrelated_networks_that_know_photographs_are_at_chance(tmp_path):
    shares = []
    groups = np.repeat(np.arange(20), 4)
    for seed in range(10):
        near = [nearest(crops(20, 4, channels=30, seed=s)[0][np.argsort(crops(20, 4, seed=s)[2])], 10, groups)[0]
                for s in (seed, seed + 50)]  # fmt: skip
        shares.append(np.mean([len({*a} & {*b}) for a, b in zip(*near, strict=True)]) / 10)
    assert np.mean(shares) == pytest.approx(10 / 76, abs=0.015)


def test_photographs_are_the_rows_of_cka_and_procrustes(pair, tmp_path):
    first, second = pair
    likeness, distance = cka.compare(first, second), procrustes.compare(first, second)
    order = np.random.default_rng(0).permutation(14)
    kept = [0, 3, 6, 9, 12, 15, 18, 21, *range(24, 30)]
    for i, j in np.ndindex(3, 4):
        x, y = (
            np.array([np.array(rows, np.float64)[group == GROUPS].mean(axis=0) for group in dict.fromkeys(GROUPS)])
            for rows in (first.pooled(i), second.pooled(j))
        )
        assert likeness["cka_images"][i, j] == pytest.approx(cka.unbiased_cka(x, y), abs=1e-9)
        assert distance["procrustes"][i, j] == pytest.approx(literal_procrustes(x, y), abs=1e-6)
        assert distance["procrustes_shuffled"][i, j] == pytest.approx(literal_procrustes(x, y[order]), abs=1e-6)
        if first.grids[i] == second.grids[j]:
            x, y = (
                np.array(rows, np.float64).reshape(30, -1, rows.shape[1])[kept].reshape(-1, rows.shape[1])
                for rows in (first.tokens(i), second.tokens(j))
            )
            assert likeness["cka_tokens"][i, j] == pytest.approx(cka.unbiased_cka(x, y), abs=1e-9)


def test_one_photograph_leaves_empty_what_it_cannot_tell(tmp_path, capsys):
    errors.say_once.cache_clear()
    first, second = (
        keep(tmp_path / name, *answers(shapes, 6), groups=np.zeros(6, int)) for name, shapes in (("a", ONE), ("b", TWO))
    )
    found = neighbours.compare(first, second)
    assert np.isnan(found["neighbours"]).all() and (found["neighbours_k"] == 0).all()
    assert np.isnan(cka.compare(first, second)["cka_images"]).all()
    assert np.isnan(procrustes.compare(first, second)["procrustes"]).all()
    said = capsys.readouterr().err
    assert "neighbours need images of two groups" in said and "CKA needs at least 4 images (or groups)" in said
    # What is a mean over images or tokens asks nothing of them.
    alone = [keep(tmp_path / name, *answers(shapes, 6)) for name, shapes in (("c", ONE), ("d", TWO))]
    for metric in (agreement, mismatch):
        for ours, theirs in zip(metric.compare(first, second).values(), metric.compare(*alone).values(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_standard_errors_are_those_of_clusters():
    values, groups = draw(200), np.repeat(np.arange(50), 4)
    mean, error = tabulated._mean_and_error(values, np.arange(200))
    assert (mean, error) == (values.mean(), values.std(ddof=1) / np.sqrt(200))
    of_groups = values.reshape(50, 4).mean(axis=1)
    mean, error = tabulated._mean_and_error(values, groups)
    assert mean == values.mean() and error == pytest.approx(of_groups.std(ddof=1) / np.sqrt(50), rel=1e-12)
    # Copies of a value are one observation.
    copies = np.repeat(values[:50], 4)
    assert tabulated._mean_and_error(copies, groups)[1] == pytest.approx(values[:50].std(ddof=1) / np.sqrt(50))
    with_gaps = np.where(np.arange(200) % 4 > 0, np.nan, values)
    assert tabulated._mean_and_error(with_gaps, groups)[1] == pytest.approx(values[::4].std(ddof=1) / np.sqrt(50))
    assert np.isnan(tabulated._mean_and_error(values, np.zeros(200, int))[1])
    assert np.isnan(tabulated._mean_and_error(np.full(4, np.nan), np.arange(4))).all()


def test_standard_errors_of_groups_of_several_sizes_cover_the_mean():
    generator, sizes = np.random.default_rng(0), np.array([1, 2, 5, 9] * 25)
    groups, covered = np.repeat(np.arange(100), sizes), []
    for _ in range(400):
        values = generator.normal(size=100)[groups] + 0.3 * generator.normal(size=len(groups))
        mean, error = tabulated._mean_and_error(values, groups)
        covered.append(abs(mean) < 1.96 * error)
    assert 0.9 < np.mean(covered) < 0.98
