"""Networks are compared by the rows that each keeps once: rows, pair metrics, the stage `compare`."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from distillation_dynamics import errors
from distillation_dynamics.errors import StudyError
from distillation_dynamics.metrics import rows as module
from distillation_dynamics.metrics._linear import nearest
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.metrics.keys import MAY_BE_MISSING
from distillation_dynamics.metrics.pairs import agreement, cka, mismatch, neighbours, procrustes
from distillation_dynamics.metrics.pairs.activations import Activations, matched
from distillation_dynamics.outputs import NotFinite, Outputs
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.compare import CompareJob, KeptActivations
from distillation_dynamics.spec.measure import Settings
from distillation_dynamics.stages import compare as stage

IMAGES, CLASSES, TOKENS = 30, 6, 3
PAIRS = [cka, mismatch, neighbours, procrustes]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def answers(shapes, images=IMAGES, classes=CLASSES, seed=0):
    """Logits and features of a made-up network that sees what others see, in float32."""
    cause = draw(images, 4, seed=99)
    features = [
        torch.from_numpy(
            np.einsum("nk,kchw->nchw", cause, draw(4, *shape, seed=seed + i)) + draw(images, *shape, seed=seed + 50 + i)
        ).float()
        for i, shape in enumerate(shapes)
    ]
    logits = torch.from_numpy(cause @ draw(4, classes, seed=1) + draw(images, classes, seed=seed)).float()
    return (logits if classes else None), features


def keep(folder, logits, features, names=None, labels=None, sizes=None, positions=None, groups=()):
    """The rows of such answers, through the metric."""
    images = len(features[0])
    names = [f"{i}.png" for i in range(images)] if names is None else names
    labels = np.arange(images) % CLASSES if labels is None else np.array(labels)
    positions = np.arange(5, 5 + images) if positions is None else positions
    blocks = [f"blocks.{i}" for i in range(len(features))]
    context = Context(names=names, block_names=blocks, groups=np.array(groups, dtype=int))
    metric = module.Metric(Settings(tokens=TOKENS), context)
    start = 0
    for size in sizes or (images,):
        part = slice(start, start + size)
        start += size
        metric.update(
            Outputs(
                logits=None if logits is None else logits[part],
                features={index: block[part] for index, block in enumerate(features)},
                targets=torch.from_numpy(labels[part]),
                positions=torch.from_numpy(positions[part]),
            )
        )
    assert metric.compute() == {}
    metric.save(folder)
    return Activations(folder / "rows.safetensors")


ONE = (6, 2, 3), (10, 2, 3), (4, 1, 1)
TWO = (5, 2, 3), (40, 2, 3), (7, 4, 4), (6, 1, 1)


@pytest.fixture
def pair(tmp_path):
    """Rows of two networks, and what they were kept from."""
    first, second = answers(ONE), answers(TWO, seed=1000)
    return keep(tmp_path / "a", *first), keep(tmp_path / "b", *second), first, second


def test_rows_hold_what_the_network_said_whatever_the_batches(tmp_path, pair):
    rows, _, (logits, features), _ = pair
    parts = keep(tmp_path / "c", logits, features, sizes=(1, 22, 7))
    assert rows.image_count == IMAGES and rows.blocks == 3 and rows.block_names == ["blocks.0", "blocks.1", "blocks.2"]
    assert rows.grids == [(2, 3), (2, 3), (1, 1)] and rows.tokens_per_image == [3, 3, 1]
    assert rows.labels.tolist() == [i % CLASSES for i in range(IMAGES)]
    for found in (rows, parts):
        np.testing.assert_array_equal(found.logits, logits)
        for index, block in enumerate(features):
            tokens = block.double().movedim(1, 3).flatten(0, 2).numpy()
            np.testing.assert_allclose(found.pooled(index), block.mean(dim=(2, 3)), atol=1e-6)
            np.testing.assert_allclose(found.gram(index), tokens.T @ tokens, rtol=1e-10, atol=1e-10)
            assert found.gram(index).dtype == np.float64 and found.pooled(index).dtype == np.float32
            size = block.shape[2] * block.shape[3]
            expected = []
            for image in range(IMAGES):
                places = np.random.default_rng([0, 5 + image]).permutation(size)[:TOKENS]
                expected += [block[image].flatten(1)[:, place].numpy() for place in places]
            np.testing.assert_array_equal(found.tokens(index), expected)


def test_equal_rows_are_equal_bytes(tmp_path):
    # What safetensors writes of several keys of metadata comes in an order that changes.
    contents = {keep(tmp_path / str(i), *answers(ONE)).path.read_bytes() for i in range(10)}
    assert len(contents) == 1


def test_a_network_without_a_head_keeps_no_logits_and_half_precision_becomes_single(tmp_path):
    _, features = answers(ONE)
    rows = keep(tmp_path, None, [block.half() for block in features])
    assert rows.logits is None
    np.testing.assert_allclose(rows.pooled(0), features[0].half().double().mean(dim=(2, 3)), atol=1e-6)


def test_what_is_not_finite_is_an_error(tmp_path):
    logits, features = answers(ONE)
    features[1][4, 0, 0, 0] = torch.inf
    with pytest.raises(NotFinite, match="block 1, image 4"):
        keep(tmp_path, logits, features)
    logits, features = answers(ONE)
    logits[22, 3] = torch.nan
    with pytest.raises(NotFinite, match="logits, image 22"):
        keep(tmp_path, logits, features, sizes=(3, 10, 17))
    assert not list(tmp_path.iterdir())


def test_rows_that_cannot_be_read_are_errors_that_name_the_file(tmp_path, pair):
    with pytest.raises(StudyError, match=r"nothing\.safetensors does not exist"):
        Activations(tmp_path / "nothing.safetensors")
    whole = (tmp_path / "a/rows.safetensors").read_bytes()
    for content in (whole[:-4], b"", whole[:20], b"x" * 100):
        (tmp_path / "broken.safetensors").write_bytes(content)
        with pytest.raises(StudyError, match=r"broken\.safetensors holds no rows of a network .* delete it"):
            Activations(tmp_path / "broken.safetensors")


def test_rows_of_other_images_are_an_error_that_says_which(tmp_path):
    logits, features = answers(ONE)
    names = [f"{i}.png" for i in range(IMAGES)]
    rows = keep(tmp_path / "a", logits, features)
    matched(rows, keep(tmp_path / "b", logits, features))
    swapped = [*names[:7], names[8], names[7], *names[9:]]
    with pytest.raises(
        StudyError, match=r"image 7 .*a/rows.* has 7\.png and .*c/rows.* has 8\.png; delete both"
    ) as said:
        matched(rows, keep(tmp_path / "c", logits, features, names=swapped))
    assert "\n" not in str(said.value)
    shorter = keep(tmp_path / "d", logits[:29], [block[:29] for block in features])
    with pytest.raises(StudyError, match=r"image 29 .*a/rows.* has 29\.png and .*d/rows.* has no more"):
        matched(rows, shorter)


def test_cka_of_rows_is_that_of_every_pair_and_of_tokens_where_grids_are_alike(pair):
    first, second, *_ = pair
    found = cka.compare(first, second)
    for i, j in np.ndindex(3, 4):
        expected = cka.unbiased_cka(first.pooled(i), second.pooled(j))
        assert found["cka_images"][i, j] == pytest.approx(expected, rel=1e-10)
        if ONE[i][1:] == TWO[j][1:]:
            expected = cka.unbiased_cka(first.tokens(i), second.tokens(j))
            assert found["cka_tokens"][i, j] == pytest.approx(expected, rel=1e-10)
            assert found["tokens_per_image"][i, j] == (3 if i < 2 else 1)
        else:
            assert np.isnan(found["cka_tokens"][i, j]) and found["tokens_per_image"][i, j] == 0


def test_cka_of_tokens_is_their_own_where_all_blocks_have_one_grid(tmp_path):
    first, second = (keep(tmp_path / str(i), *answers([(6, 2, 3), (8, 2, 3)], seed=1000 * i)) for i in range(2))
    found = cka.compare(first, second)["cka_tokens"]
    expected = [[cka.unbiased_cka(first.tokens(i), second.tokens(j)) for j in range(2)] for i in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_grids_of_as_many_tokens_but_another_form_are_not_alike(tmp_path):
    first, second = (keep(tmp_path / str(i), *answers([shape])) for i, shape in enumerate([(5, 2, 3), (5, 3, 2)]))
    assert np.isnan(cka.compare(first, second)["cka_tokens"]).all()


def test_mismatch_is_that_of_tokens_whose_channels_were_pooled(pair):
    first, second, (_, ours), (_, theirs) = pair
    found = mismatch.compare(first, second)
    for i, j in np.ndindex(3, 4):
        own, other = (block.double().movedim(1, 3).flatten(0, 2) for block in (ours[i], theirs[j]))
        sides = {"": own}
        if other.shape[1] >= own.shape[1]:
            sides["other_"] = torch.nn.functional.adaptive_avg_pool1d(other[:, None], own.shape[1])[:, 0]
        else:
            assert np.isnan(found["other_rank_95"][i, j]) and np.isnan(found["other_bandwidth_95"][i, j])
        for side, values in sides.items():
            energies = np.linalg.svd(values.numpy(), compute_uv=False) ** 2
            assert found[f"{side}rank_95"][i, j] == 1 + np.argmax(np.cumsum(energies) / energies.sum() >= 0.95)
            power = (np.abs(np.fft.rfft(values.numpy(), axis=1)) ** 2).sum(axis=0)
            power[1 : (values.shape[1] + 1) // 2] *= 2
            reached = 1 + np.argmax(np.cumsum(power) / power.sum() >= 0.95)
            assert found[f"{side}bandwidth_95"][i, j] == pytest.approx(reached / len(power))
    assert np.isnan(found["other_rank_95"]).any() and not np.isnan(found["other_rank_95"]).all()


def literal_neighbours(x, y, k):
    shared = 0
    for i in range(len(x)):
        near = []
        for rows in (x, y):
            cosine = [r @ rows[i] / np.linalg.norm(r) / np.linalg.norm(rows[i]) for r in rows]
            near.append({*[j for j in np.argsort(cosine)[::-1] if j != i][:k]})
        shared += len(near[0] & near[1])
    return shared / len(x) / k


def mutual_neighbours(x, y, k=neighbours.NEIGHBOURS):
    near = [[None if (found := nearest(rows, k)) is None else found[0]] for rows in (x, y)]
    return neighbours._overlaps(*near, len(x), k)[0, 0]


def procrustes_distance(x, y):
    return procrustes._distance(procrustes._normalised(x), procrustes._normalised(y))


@pytest.mark.parametrize("images", [30, 12, 7, 2])
def test_mutual_neighbours_equal_a_literal_version(tmp_path, images, monkeypatch):
    monkeypatch.setattr("distillation_dynamics.metrics._linear.CHUNK_VALUES", 100)
    first = keep(tmp_path / "a", *answers(ONE, images))
    second = keep(tmp_path / "b", *answers(TWO, images, seed=1000))
    found, k = neighbours.compare(first, second), min(10, images - 1)
    assert (found["neighbours_k"] == k).all() and (found["neighbours_chance"] == k / (images - 1)).all()
    for i, j in np.ndindex(3, 4):
        x, y = (np.array(rows, dtype=np.float64) for rows in (first.pooled(i), second.pooled(j)))
        assert found["neighbours"][i, j] == pytest.approx(literal_neighbours(x, y, k))
        assert mutual_neighbours(x, y, k) == pytest.approx(literal_neighbours(x, y, k))


def literal_procrustes(x, y):
    x, y = (rows - rows.mean(axis=0) for rows in (x, y))
    x, y = (rows / np.linalg.norm(rows) for rows in (x, y))
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (x, y))
    left, _, right = np.linalg.svd(y.T @ x)
    return np.linalg.norm(x - y @ left @ right)


def test_procrustes_equals_the_distance_after_the_best_rotation(pair):
    first, second, *_ = pair
    found = procrustes.compare(first, second)
    order = np.random.default_rng(0).permutation(IMAGES)
    for i, j in np.ndindex(3, 4):
        x, y = (np.array(rows, dtype=np.float64) for rows in (first.pooled(i), second.pooled(j)))
        assert found["procrustes"][i, j] == pytest.approx(literal_procrustes(x, y), abs=1e-10)
        assert found["procrustes_shuffled"][i, j] == pytest.approx(literal_procrustes(x, y[order]), abs=1e-10)
        assert procrustes_distance(x, y) == pytest.approx(found["procrustes"][i, j], abs=1e-10)
    # These networks see the same; 40 channels fit any 30 images.
    others = [0, 2, 3]
    assert (found["procrustes"][:, others] < found["procrustes_shuffled"][:, others]).mean() > 0.8


@pytest.mark.parametrize("channels", [6, 40])
def test_a_rotated_copy_is_the_same_network_by_every_measure(channels):
    x = draw(30, channels)
    y = 3 * x @ np.linalg.qr(draw(channels, channels, seed=1))[0]
    assert cka.unbiased_cka(x, y) == pytest.approx(1, abs=1e-12)
    assert procrustes_distance(x, y + 5) == pytest.approx(0, abs=1e-6)
    assert mutual_neighbours(x, y) == 1


def test_unrelated_networks_are_near_the_values_of_chance():
    shares = [mutual_neighbours(draw(80, 20, seed=s), draw(80, 30, seed=s + 50)) for s in range(10)]
    assert np.mean(shares) == pytest.approx(10 / 79, abs=0.01)


def test_agreement_and_accuracy_are_those_of_the_logits(tmp_path, pair):
    first, second, (ours, features), (theirs, _) = pair
    found = agreement.compare(first, second)
    assert (found["agreement"], found["kl"]) == agreement.agreement(ours.numpy(), theirs.numpy())
    labels = np.arange(IMAGES) % CLASSES
    assert found["top1"] == pytest.approx(100 * (ours.numpy().argmax(axis=1) == labels).mean())
    assert found["other_top1"] == pytest.approx(100 * (theirs.numpy().argmax(axis=1) == labels).mean())
    unlabelled = keep(tmp_path / "c", ours, features, labels=[-1] * IMAGES)
    assert np.isnan(agreement.compare(unlabelled, second)["top1"])
    for logits, known in ((None, False), (ours[:, :3], True)):
        found = agreement.compare(keep(tmp_path / "d", logits, features), second)
        assert np.isnan([found["agreement"], found["kl"]]).all() and np.isfinite(found["top1"]) == known


@pytest.mark.parametrize("images", [1, 2, 3])
def test_few_images_leave_empty_what_they_cannot_tell_and_say_so_once(tmp_path, capsys, images):
    errors.say_once.cache_clear()
    first, second = (keep(tmp_path / n, *answers(shapes, images)) for n, shapes in (("a", ONE), ("b", TWO)))
    for _ in range(2):
        found = {metric.__name__: metric.compare(first, second) for metric in PAIRS}
    cka_found = found[cka.__name__]
    assert np.isnan(cka_found["cka_images"]).all()
    assert capsys.readouterr().err.count("CKA needs at least 4 images") == 1
    assert np.isnan(found[neighbours.__name__]["neighbours"]).all() == (images == 1)
    assert np.isnan(found[procrustes.__name__]["procrustes"]).all() == (images == 1)
    assert np.isfinite(found[mismatch.__name__]["rank_95"]).all()


def test_a_block_that_sees_no_difference_is_empty_and_leaves_the_others_alone(tmp_path):
    logits, features = answers(ONE)
    features[1] = torch.full_like(features[1], 0.1)
    first, second = keep(tmp_path / "a", logits, features), keep(tmp_path / "b", *answers(TWO))
    for metric, column in ((cka, "cka_images"), (neighbours, "neighbours"), (procrustes, "procrustes")):
        np.testing.assert_array_equal(np.isnan(metric.compare(first, second)[column]).all(axis=1), [False, True, False])


def named(network, seed, epoch, rows):
    return KeptActivations(network, seed, epoch, From("key", files=(str(rows.path),)))


@pytest.mark.parametrize("metric", ["cka", "mismatch", "neighbours", "procrustes", "agreement"])
def test_the_stage_writes_a_row_a_pair_of_networks_or_of_blocks(tmp_path, pair, metric):
    first, second, *_ = pair
    sides = named("soft", 3, 2, first), named("teacher", None, None, second)
    job = CompareJob(metric, (sides, sides[::-1], (sides[0], sides[0])), out=str(tmp_path / "out"))
    stage.main(job)
    table = pd.read_parquet(tmp_path / f"out/{metric}.parquet")
    loaded = {m.__name__.rpartition(".")[2]: m for m in (*PAIRS, agreement)}[metric]
    if metric == "agreement":
        assert table["network"].tolist() == ["soft", "teacher", "soft"] and len(table) == 3
        expected = loaded.compare(first, second)
        assert table.loc[0, list(expected)].to_dict() == pytest.approx(expected)
    else:
        assert len(table) == 3 * 4 + 4 * 3 + 3 * 3
        expected = loaded.compare(first, second)
        part = table[:12].set_index(["block", "other_block"])
        assert (part["other_block_name"] == [f"blocks.{j}" for _, j in part.index]).all()
        assert (part["block_name"] == [f"blocks.{i}" for i, _ in part.index]).all()
        for name, values in expected.items():
            np.testing.assert_array_equal([part.loc[place, name] for place in np.ndindex(3, 4)], values.ravel())
    row = table.iloc[0]
    assert (row["seed"], row["epoch"]) == (3, 2) and row[["other_seed", "other_epoch"]].isna().all()
    schema = pq.read_schema(tmp_path / f"out/{metric}.parquet")
    assert {str(schema.field(name).type) for name in MAY_BE_MISSING} == {"int64"}
    assert (table["images"] == IMAGES).all() and row["other"] == "teacher"
    for field in pq.read_schema(tmp_path / f"out/{metric}.parquet"):
        assert field.metadata[b"description"]


def test_the_stage_refuses_networks_that_saw_other_images(tmp_path, pair):
    first, *_ = pair
    other = keep(tmp_path / "c", *answers(TWO), names=[f"other{i}" for i in range(IMAGES)])
    with pytest.raises(StudyError, match="their images differ"):
        stage.main(CompareJob("cka", ((named("a", 0, 0, first), named("b", 0, 0, other)),), out=str(tmp_path / "o")))
    assert not (tmp_path / "o").exists()


def test_a_metric_that_fills_other_columns_than_it_documents_is_an_error(tmp_path, pair, monkeypatch):
    first, second, *_ = pair
    job = CompareJob("cka", ((named("a", 0, 0, first), named("b", 0, 0, second)),), out=str(tmp_path / "o"))
    for found, message in (
        ({"cka_images": np.zeros((3, 4))}, r"returned nothing of cka_tokens, tokens_per_image, which"),
        (
            dict.fromkeys(cka.PAIR_COLUMNS, np.zeros((4, 3))),
            r"as cka_images; wanted is a number for each pair of blocks, \[3, 4\]",
        ),
    ):
        monkeypatch.setattr(cka, "compare", lambda a, b, found=found: found)
        with pytest.raises(StudyError, match=message):
            stage.main(job)


def test_pairs_but_for_mismatch_do_without_torch(root):
    code = (
        "import sys\n"
        "from distillation_dynamics.stages import compare, map\n"
        "from distillation_dynamics.metrics.pairs import agreement, cka, neighbours, procrustes\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root / "workflow", check=False).returncode == 0
