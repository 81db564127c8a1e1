"""The map of all networks, blocks and epochs: distances that are a metric, classical scaling, the stage `map`."""

import numpy as np
import pandas as pd
import pytest

from distillation_dynamics import errors
from distillation_dynamics.errors import StudyError
from distillation_dynamics.spec.compare import MapJob
from distillation_dynamics.stages import map as stage
from distillation_dynamics.stages.map import classical_scaling, kernel_vector, shape_distances
from test_comparison import ONE, TWO, answers, draw, keep, named


def literal_distance(x, y):
    """Angle between centred kernels, with H K H."""
    n = len(x)
    centring = np.eye(n) - 1 / n
    k, el = (centring @ rows @ rows.T @ centring for rows in (x, y))
    return np.arccos(min(1, np.sum(k * el) / np.sqrt(np.sum(k * k) * np.sum(el * el))))


def test_distances_are_angles_between_centred_kernels(monkeypatch):
    monkeypatch.setattr(stage, "CHUNK", 50)
    blocks = [draw(20, width, seed=width) + 4 for width in (1, 3, 8, 30)]
    found = shape_distances(np.stack([kernel_vector(block) for block in blocks]))
    expected = [[literal_distance(x, y) if x is not y else 0 for y in blocks] for x in blocks]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_array_equal(found, found.T)
    for i, j, k in np.ndindex(4, 4, 4):
        assert found[i, k] <= found[i, j] + found[j, k] + 1e-6


@pytest.mark.parametrize("count", [3, 40])
def test_points_of_a_plane_come_back_with_their_distances(count):
    points = draw(count, 2) * [3, 1]
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    found, share = classical_scaling(distances)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), distances, atol=1e-8)
    assert share == pytest.approx(1) and found[:, 0].var() > found[:, 1].var()
    again, _ = classical_scaling(distances[::-1, ::-1])
    np.testing.assert_allclose(again[::-1], found, atol=1e-8)
    assert (np.take_along_axis(found, np.abs(found).argmax(axis=0)[None], axis=0) > 0).all()


def test_the_share_is_that_of_the_eigenvalues():
    points = draw(25, 5) * [5, 4, 3, 2, 1]
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    energies = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) ** 2
    assert classical_scaling(distances)[1] == pytest.approx(energies[:2].sum() / energies.sum())
    # Corners of a square by steps along its sides: no plane has these distances.
    steps = np.abs(np.subtract.outer(range(4), range(4)))
    steps = np.minimum(steps, 4 - steps).astype(float)
    inner = -0.5 * (np.eye(4) - 1 / 4) @ steps**2 @ (np.eye(4) - 1 / 4)
    values = np.linalg.eigvalsh(inner)
    assert values[0] < -0.1 and classical_scaling(steps)[1] == pytest.approx(values[-2:].sum() / np.abs(values).sum())


@pytest.mark.parametrize("count", [1, 2])
def test_one_and_two_points_have_a_place(count):
    found, share = classical_scaling(0.5 - 0.5 * np.eye(count))
    assert found.shape == (count, 2) and np.isfinite(found).all() and share == pytest.approx(1)
    assert np.ptp(found[:, 0]) == pytest.approx(0.5 * (count - 1)) and (found[:, 1] == 0).all()


def test_the_stage_places_every_block_of_every_network(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "MOST_IMAGES", 12)
    networks = {name: answers(shapes, seed=seed) for name, shapes, seed in (("a", ONE, 0), ("b", TWO, 500))}
    rows = [keep(tmp_path / name, *said) for name, said in networks.items()]
    job = MapJob((named("a", None, None, rows[0]), named("b", 2, 3, rows[1])), out=str(tmp_path))
    stage.main(job)
    table = pd.read_parquet(tmp_path / "map.parquet")
    first = (tmp_path / "map.parquet").read_bytes()
    stage.main(job)
    assert (tmp_path / "map.parquet").read_bytes() == first
    assert list(zip(table["network"], table["block"], strict=True)) == [
        *(("a", i) for i in range(3)),
        *(("b", i) for i in range(4)),
    ]
    assert table["epoch"].isna().tolist() == [True] * 3 + [False] * 4 and (table["images"] == 12).all()
    assert set(table["epoch"].dropna()) == {3}
    taken = [0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29]
    pooled = [np.array(side.pooled(b), np.float64)[taken] for side in rows for b in range(side.blocks)]
    distances = np.array([[literal_distance(x, y) if x is not y else 0 for y in pooled] for x in pooled])
    points, share = classical_scaling(distances)
    np.testing.assert_allclose(table[["x", "y"]], points, atol=1e-4)
    np.testing.assert_allclose(table["explained"], share, atol=1e-4)


def test_a_block_that_sees_no_difference_has_no_place_and_other_images_are_an_error(tmp_path, capsys):
    errors.say_once.cache_clear()
    logits, features = answers(ONE)
    features[2] = 0 * features[2] + 3
    rows = keep(tmp_path / "a", logits, features)
    stage.main(MapJob((named("a", 0, 0, rows),), out=str(tmp_path)))
    table = pd.read_parquet(tmp_path / "map.parquet")
    assert table["x"].isna().tolist() == [False, False, True] and "1 of 3 blocks" in capsys.readouterr().err
    other = keep(tmp_path / "b", logits, features, names=[f"x{i}" for i in range(30)])
    with pytest.raises(StudyError, match="their images differ"):
        stage.main(MapJob((named("a", 0, 0, rows), named("b", 0, 0, other)), out=str(tmp_path)))


@pytest.mark.parametrize("images", [1, 2])
def test_of_one_image_nothing_has_a_place_and_of_two_all_have_the_same(tmp_path, images):
    rows = keep(tmp_path, *answers(ONE, images))
    stage.main(MapJob((named("a", 0, 0, rows),), out=str(tmp_path)))
    table = pd.read_parquet(tmp_path / "map.parquet")
    assert table["x"].isna().all() if images == 1 else (table[["x", "y"]].abs() < 2e-3).all(axis=None)
