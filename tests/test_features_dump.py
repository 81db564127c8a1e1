"""The dump of features: what it holds, that it is whole or not at all, and that it says what it is."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from distillation_dynamics.files import read_json
from distillation_dynamics.metrics import features
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.spec.measure import Settings
from streams import outputs_of

SHAPES = ((6, 3, 4), (5, 2, 2))
BLOCKS = [np.random.default_rng(n).normal(size=(9, *shape)).astype(np.float32) for n, shape in enumerate(SHAPES)]
POSITIONS, LABELS = 10 + 3 * np.arange(9), np.arange(9) % 3


def context(folder, stack, labels=LABELS):
    names = [f"image{position}.png" for position in POSITIONS]
    return Context(
        *(POSITIONS, labels, names, SHAPES, ("blocks.0", "blocks.1")), folder=folder, stack=stack or ExitStack()
    )


def dump(folder, labels=LABELS, sizes=(4, 4, 1), **settings):
    """Write the dump of all images that come in batches of these sizes; return what its meta.json says."""
    with ExitStack() as stack:
        metric = features.Metric(Settings(**settings), context(folder, stack, labels))
        first = 0
        for size in sizes:
            part = slice(first, first + size)
            metric.update(outputs_of([b[part] for b in BLOCKS], positions=torch.from_numpy(POSITIONS[part])))
            first += size
        assert metric.compute() == {}
    metric.save(folder)
    return read_json(folder / "meta.json")


@pytest.mark.parametrize("tokens", [None, 3, 100])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_dump_holds_the_same_few_tokens_of_a_balanced_part_of_the_images(tmp_path, tokens, dtype):
    meta = dump(tmp_path, dump_images=6, dump_tokens=tokens, dtype=dtype)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["block00.npy", "block01.npy", "meta.json"]
    assert np.bincount(meta["labels"]).tolist() == [2, 2, 2] and meta["dtype"] == dtype
    chosen = np.isin(POSITIONS, meta["images"])
    assert meta["names"] == [f"image{position}.png" for position in POSITIONS[chosen]]
    assert meta["labels"] == LABELS[chosen].tolist() and meta["blocks"] == ["blocks.0", "blocks.1"]
    for number, block in enumerate(BLOCKS):
        kept = np.load(tmp_path / f"block{number:02d}.npy")
        places = meta["tokens"][number]
        assert kept.dtype == dtype and meta["shapes"][number] == list(kept.shape)
        assert meta["grids"][number] == list(SHAPES[number][1:])
        expected = block[chosen]
        if places is None:
            assert meta["axes"][number] == ["image", "channel", "row", "column"]
        else:
            assert meta["axes"][number] == ["image", "channel", "token"] and len(places) == 3 == len(set(places))
            expected = expected.reshape(*expected.shape[:2], -1)[:, :, places]
        np.testing.assert_array_equal(kept, expected.astype(dtype))
    assert (meta["tokens"][0] is None) == (tokens != 3)


def test_images_without_labels_are_spread_over_the_split(tmp_path):
    meta = dump(tmp_path, labels=np.full(9, -1), dump_images=3)
    assert meta["images"] == [10, 22, 34] and meta["labels"] == [-1, -1, -1]


def test_more_images_than_there_are_means_all_and_one_is_enough(tmp_path):
    assert dump(tmp_path / "all")["images"] == POSITIONS.tolist()
    assert len(dump(tmp_path / "one", dump_images=1)["images"]) == 1


def test_batches_change_nothing(tmp_path):
    for name, sizes in (("one", (9,)), ("many", (1,) * 9)):
        dump(tmp_path / name, sizes=sizes, dump_images=5)
    for number in range(2):
        one, many = (np.load(tmp_path / f"{name}/block{number:02d}.npy") for name in ("one", "many"))
        np.testing.assert_array_equal(one, many)


def test_what_breaks_off_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="of mine"), ExitStack() as stack:
        metric = features.Metric(Settings(), context(tmp_path, stack))
        metric.update(outputs_of([b[:4] for b in BLOCKS], positions=torch.from_numpy(POSITIONS[:4])))
        raise RuntimeError("of mine")
    assert not list(tmp_path.iterdir())
