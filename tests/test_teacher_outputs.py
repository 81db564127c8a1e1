"""Teacher outputs on the training images: equal when stored and when computed, and their size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import costs
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.content import DATA, Content
from distillation_dynamics.jobs.trained import WEIGHTS_OF
from distillation_dynamics.networks import acceptance
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.spec.base import counted
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.teacher_outputs import TEACHER_PRECISION
from distillation_dynamics.spec.training import Augmentation
from distillation_dynamics.stages import teacher_outputs
from distillation_dynamics.training.evaluation import predict
from distillation_dynamics.training.teacher import CachedTeacher, Conversion, OnlineTeacher
from helpers import changed, graph_of, images_of, load, small_config, smoke_config, tiny_study
from losses import LOGITS

CPU = torch.device("cpu")
BLOCKS = [("features", 0), ("features", 2)]
BOTH = [LOGITS, *BLOCKS]


@pytest.fixture
def tiny(tmp_path):
    """A tiny study and a weights file of its teacher."""
    result = tiny_study(tmp_path)
    torch.manual_seed(0)
    network = build(result.model(result.teacher), result.view(result.teacher))
    folder = tmp_path / "local"
    save_weights(folder / "model.safetensors", network)
    return result, network, folder / "model.safetensors"


def stored(tmp_path, result, network, augmentation=None):
    images = Split(images_of(result, tmp_path / "data"), "train", 80)
    teacher_outputs.write(tmp_path / "outputs", network, images, augmentation, BOTH, CPU)
    return images, CachedTeacher(tmp_path / "outputs", BOTH, augmentation)


def test_stored_outputs_are_what_the_teacher_says(tmp_path, tiny):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    online = OnlineTeacher(network)
    for batch in images.training(16, None, 3, [1]):
        ours, theirs = (ask(batch, batch.images, 1, BOTH) for ask in (cached, online))
        assert list(ours) == list(theirs) == BOTH
        for part in BOTH:
            torch.testing.assert_close(ours[part], theirs[part], rtol=1e-4, atol=1e-5)


def test_stored_outputs_are_given_only_as_far_as_they_are_wanted(tmp_path, tiny):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    batch = next(images.training(16, None, 3, [0]))
    for wanted in ([("features", 2)], [LOGITS]):
        assert list(cached(batch, batch.images, 0, wanted)) == wanted


@pytest.mark.parametrize("size", [1, 5, 16, 40])
def test_a_teacher_asked_for_parts_of_a_batch_says_the_same_of_the_whole(tmp_path, tiny, size):
    result, network, _ = tiny
    batch = next(Split(images_of(result, tmp_path / "data"), "train").training(16, None, 3, [0]))
    whole, parts = (OnlineTeacher(network, at_a_time)(batch, batch.images, 0, BOTH) for at_a_time in (None, size))
    assert list(parts) == BOTH
    for ours, theirs in zip(parts.values(), whole.values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_each_of_a_fixed_number_of_views_has_its_own_outputs(tmp_path, tiny):
    result, network, _ = tiny
    augmentation = Augmentation(0.25, "pixel", (0.5, 1.0), 0.5, 0.0, views=2)
    images, cached = stored(tmp_path, result, network, augmentation)
    assert cached.arrays[LOGITS].shape == (2, 80, 10)
    online = OnlineTeacher(network)
    for epoch in (0, 3):
        for batch in images.training(16, augmentation, 1, [epoch]):
            ours, theirs = (ask(batch, batch.images, epoch, [LOGITS])[LOGITS] for ask in (cached, online))
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 80, 1000])
def test_answers_are_the_same_however_many_images_pass_at_a_time(tmp_path, tiny, size):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    teacher_outputs.write(tmp_path / "more", network, images, None, BOTH, CPU, size=size)
    others = CachedTeacher(tmp_path / "more", BOTH, None)
    for part in BOTH:
        np.testing.assert_allclose(others.arrays[part], cached.arrays[part], rtol=1e-4, atol=1e-5)
    # All of the images that are checked pass, and not the first of them alone.
    passed = []
    network.blocks[0].register_forward_pre_hook(lambda module, given: passed.append(len(given[0])))
    others.verify(network, images, CPU, seed=0, size=size)
    assert size > 64 or len(passed) == -(-64 // size)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_network_is_evaluated_the_same_however_many_images_pass_at_a_time(tmp_path, tiny, size):
    result, network, _ = tiny
    images = Split(images_of(result, tmp_path / "data"), "test")
    (usual,), (other,) = predict([network], images, CPU), predict([network], images, CPU, size=size)
    np.testing.assert_allclose(other, usual, rtol=1e-4, atol=1e-5)


def test_usual_numbers_of_images_at_a_time_are_in_no_key_and_others_are(tiny):
    result, _, _ = tiny
    graph = graph_of(result)
    run, network, (outputs,) = graph.runs["hard", 0], graph.networks[result.teacher], graph.outputs.values()
    (source,) = run.job.teachers
    assert (network.job.batch, outputs.job.batch, source.batch) == (128, 256, 256)
    for job in (network.job, outputs.job, source):
        assert "batch" not in counted(job) and counted(replace(job, batch=3))["batch"] == 3


@pytest.mark.parametrize("name", ["logits.npy", "block02.npy"])
def test_the_check_of_stored_outputs_passes_when_whole_and_fails_when_corrupt(tmp_path, tiny, name):
    result, network, _ = tiny
    images, cached = stored(tmp_path, result, network)
    cached.verify(network, images, CPU, seed=0)
    values = np.load(tmp_path / "outputs" / name)
    values += np.float32(0.5)
    np.save(tmp_path / "outputs" / name, values)
    broken = CachedTeacher(tmp_path / "outputs", BOTH, None)
    with pytest.raises(StudyError, match=f"{name}: differs from what the teacher says now"):
        broken.verify(network, images, CPU, seed=0)
    np.save(tmp_path / "outputs" / name, values[:, :40])
    broken = CachedTeacher(tmp_path / "outputs", BOTH, None)
    with pytest.raises(StudyError, match=f"{name}: holds shape"):
        broken.verify(network, images, CPU, seed=0)


def test_a_teacher_asked_for_features_alone_stops_early(tiny):
    _, network, _ = tiny
    online = OnlineTeacher(network)
    seen = []
    network.blocks[1].register_forward_hook(lambda *_: seen.append(1))
    answer = online(None, torch.randn(2, 1, 28, 28), 0, [("features", 0)])
    assert list(answer) == [("features", 0)] and not seen


def test_the_room_that_stored_outputs_take_is_known_before_and_too_much_is_not_begun(tmp_path, tiny, monkeypatch):
    result, network, _ = tiny
    graph = graph_of(result)
    images, out = Split(images_of(result, tmp_path / "data"), "train", 80), tmp_path / "outputs"
    (task,) = graph.outputs.values()
    parts = task.job.parts
    teacher_outputs.write(out, network, images, None, parts, CPU)
    size = sum(np.load(path).nbytes for path in out.iterdir())
    assert costs.outputs_bytes(graph, task) == size
    monkeypatch.setattr(acceptance, "MOST_STORED", size)
    acceptance.check_stored(size, out)
    monkeypatch.setattr(acceptance, "MOST_STORED", size - 1)
    with pytest.raises(
        StudyError, match=r"^student\.recipe: the teacher's outputs .* give student\.recipe\.augmentation"
    ):
        teacher_outputs.write(tmp_path / "more", network, images, None, parts, CPU)
    assert not (tmp_path / "more").exists()
    monkeypatch.setattr(acceptance, "MOST_STORED", 1e30)
    with pytest.raises(StudyError, match=r"GB are free"):
        acceptance.check_stored(10**29, tmp_path / "not/yet/there")


@pytest.mark.parametrize(
    ("taken_from", "train_images", "counts", "images"),
    [
        ("train", None, {"train": 100, "test": 40}, 80),
        ("test", None, {"train": 100, "test": 40}, 100),
        ("train", 70, {"train": 100, "test": 40}, 70),
        ("train", 70, {}, 70),
        ("train", None, {"test": 40}, None),
    ],
)
def test_outputs_of_so_many_images_as_are_trained_on_are_planned(tmp_path, taken_from, train_images, counts, images):
    changes = {"data.validation.taken_from": taken_from, "student.recipe.train_images": train_images}
    config = smoke_config()
    for key, value in {"data.validation.per_class": 2, "compare.images": 20, **changes}.items():
        config = changed(config, key, value)
    if train_images is None:
        del config["student"]["recipe"]["train_images"]
    graph = build_graph(
        load(config), Content({DATA: {"train": "a", "test": "b"}}, counts={DATA: counts}), str(tmp_path)
    )
    (task,) = graph.outputs.values()
    assert graph.training_images(task.job.train_images) == images
    channels, rows, columns = graph.study.model_info[graph.study.teacher].shapes[0]
    blocks = sum(kind == "features" for kind, _ in task.job.parts)
    size = None if images is None else 4 * images * (10 + blocks * channels * rows * columns)
    assert costs.outputs_bytes(graph, task) == size


STUDENTS, TEACHERS = (
    View(1, 28, (0.3,), (0.4,)),
    View(3, 56, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), interpolation="bilinear"),
)


def test_what_a_teacher_sees_is_the_students_picture_in_its_own_view():
    raw = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    pixels = (raw - 0.3) / 0.4
    seen = Conversion(STUDENTS, replace(TEACHERS, image_size=28))(pixels)
    for channel, (mean, std) in enumerate(zip(TEACHERS.mean, TEACHERS.std, strict=True)):
        torch.testing.assert_close(seen[:, channel], (raw[:, 0] - mean) / std)
    larger = Conversion(STUDENTS, TEACHERS)(pixels)
    assert larger.shape == (2, 3, 56, 56)
    as_values = larger * torch.tensor(TEACHERS.std).view(1, 3, 1, 1) + torch.tensor(TEACHERS.mean).view(1, 3, 1, 1)
    torch.testing.assert_close(as_values[:, 1].mean(dim=(1, 2)), raw[:, 0].mean(dim=(1, 2)), rtol=1e-2, atol=0)
    assert Conversion(STUDENTS, STUDENTS)(pixels) is pixels


def test_a_teacher_of_another_view_answers_stored_and_asked_alike(tmp_path, tiny):
    result, _, _ = tiny
    view, name = result.view(result.teacher), result.teacher
    theirs = replace(view, mean=(0.1,), std=(0.7,), image_size=56)
    torch.manual_seed(0)
    network, see = build(result.model(name), theirs), Conversion(view, theirs)
    images = Split(images_of(result, tmp_path / "data"), "train", 80)
    teacher_outputs.write(tmp_path / "outputs", network, images, None, BOTH, CPU, see=see)
    cached, online = CachedTeacher(tmp_path / "outputs", BOTH, None), OnlineTeacher(network, None, see)
    cached.verify(network, images, CPU, seed=0, see=see)
    batch = next(images.training(16, None, 3, [0]))
    ours, asked = (ask(batch, batch.images, 0, BOTH) for ask in (cached, online))
    for part in BOTH:
        torch.testing.assert_close(ours[part], asked[part], rtol=1e-4, atol=1e-5)
    assert ours["features", 0].shape[2:] == tuple(2 * side for side in result.model_info[name].shapes[0][1:])
    with pytest.raises(StudyError, match="differs from what the teacher says now"):
        cached.verify(network, images, CPU, seed=0, see=Conversion(view, replace(theirs, mean=(0.5,))))


def test_a_teacher_answers_in_one_precision_whatever_a_student_trains_in(tmp_path, tiny):
    result, _, _ = tiny
    network = build(result.model(result.teacher), result.view(result.teacher))
    images = Split(images_of(result, tmp_path / "data"), "train", 80)
    teacher_outputs.write(tmp_path / "outputs", network, images, None, BOTH, CPU)
    cached, online = CachedTeacher(tmp_path / "outputs", BOTH, None), OnlineTeacher(network)
    batch = next(images.training(16, None, 3, [0]))
    plain = online(batch, batch.images, 0, BOTH)
    with torch.autocast("cpu", torch.bfloat16):
        assert (batch.images[0, 0] @ batch.images[0, 0].T).dtype == torch.bfloat16
        asked = online(batch, batch.images, 0, BOTH)
    stored = cached(batch, batch.images, 0, BOTH)
    for part in BOTH:
        assert asked[part].dtype == stored[part].dtype == getattr(torch, TEACHER_PRECISION)
        assert torch.equal(asked[part], plain[part])
        torch.testing.assert_close(asked[part], stored[part], rtol=1e-4, atol=1e-5)


def test_answers_of_a_trained_teacher_and_of_its_untrained_twin_are_stored_apart():
    pairs = {"weight": 0.2, "pairs": "last"}
    variants = {
        "soft": {"cross_entropy": {"weight": 1}},
        "last": {"cross_entropy": {"weight": 1}, "spectral": pairs},
        "untrained": {"cross_entropy": {"weight": 1}, "spectral": pairs | {"target": "untrained"}},
    }
    graph = graph_of(load(small_config(variants=variants)))
    stored = {source.weights: task for (source, _), task in graph.outputs.items()}
    assert len(stored) == 2 and len({task.key for task in stored.values()}) == 2
    assert len({task.folder for task in stored.values()}) == 2
    files = {weights: task.job.weights.files[0] for weights, task in stored.items()}
    assert {weights: file.split("/")[-1] for weights, file in files.items()} == WEIGHTS_OF
