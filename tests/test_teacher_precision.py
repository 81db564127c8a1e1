"""The precision in which teachers answer: stored and online alike, said where it counts, refused where it cannot be."""

import json
from dataclasses import replace

import pytest
import torch

import zoo
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.device import check_precision
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.paper import methods
from distillation_dynamics.report import head
from distillation_dynamics.stages import cohorts, teacher_outputs
from distillation_dynamics.training.teacher import CachedTeacher, OnlineTeacher
from helpers import graph_of, images_of, load, run_job, small_config, tiny_study
from losses import LOGITS

CPU = torch.device("cpu")
BOTH = [LOGITS, ("features", 0), ("attention", 1)]
BFLOAT16 = {"teacher": {"precision": "bfloat16"}}
# Of the largest value: bfloat16 has 8 bits.
CLOSE = 3e-2


def far(values, others):
    """The largest difference, of the largest value."""
    return float((values - others).abs().max() / others.abs().max())


@pytest.fixture
def able(monkeypatch):
    """A CPU that computes in bfloat16, whichever this is."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)


@pytest.mark.parametrize("family", ["cait", "vit", "resnet"])
def test_answers_in_bfloat16_are_near_those_in_float32(family):
    network, pixels = zoo.network(family), zoo.images(count=4).float()
    parts = BOTH if family != "resnet" else BOTH[:2]
    plain, half = (OnlineTeacher(network, precision=one)(None, pixels, 0, parts) for one in ("float32", "bfloat16"))
    for part in parts:
        assert half[part].dtype == torch.float32 and 0 < far(half[part], plain[part]) < CLOSE


def test_an_answer_in_bfloat16_is_the_same_whatever_a_student_trains_in():
    teacher, pixels = OnlineTeacher(zoo.network("cait"), precision="bfloat16"), zoo.images(count=4).float()
    alone = teacher(None, pixels, 0, BOTH)
    with torch.autocast("cpu", torch.bfloat16):
        beside = teacher(None, pixels, 0, BOTH)
    for part in BOTH:
        assert torch.equal(alone[part], beside[part])


def test_stored_answers_are_in_the_precision_of_online_ones(tmp_path):
    result = tiny_study(tmp_path)
    torch.manual_seed(0)
    network = build(result.model(result.teacher), result.view(result.teacher))
    images = Split(images_of(result, tmp_path / "data"), "train", 80)
    teacher_outputs.write(tmp_path / "outputs", network, images, None, BOTH, CPU, precision="bfloat16")
    cached = CachedTeacher(tmp_path / "outputs", BOTH, None)
    cached.verify(network, images, CPU, seed=0, precision="bfloat16")
    batch = next(images.training(16, None, 3, [0]))
    stored, asked, plain = (
        ask(batch, batch.images, 0, BOTH)
        for ask in (cached, OnlineTeacher(network, precision="bfloat16"), OnlineTeacher(network))
    )
    for part in BOTH:
        assert stored[part].dtype == torch.float32
        assert far(stored[part], asked[part]) < CLOSE and far(stored[part], plain[part]) > 1e-3
    with pytest.raises(StudyError, match="differs from what the teacher says now"):
        cached.verify(network, images, CPU, seed=0)


def test_the_precision_is_in_the_keys_of_what_depends_on_it_alone():
    plain, said, half = (
        {f"{task.stage} {task.name}": task.key for task in graph_of(load(small_config(**given))).tasks}
        for given in ({}, {"compute": {"teacher": {"precision": "float32"}}}, {"compute": BFLOAT16})
    )
    assert plain == said and plain.keys() == half.keys()
    moved = {name for name in plain if plain[name] != half[name]}
    assert not {name for name in moved if name.startswith(("data", "networks", "measure networks"))}
    trained = {name for name in plain if name.startswith(("students", "teacher_outputs"))}
    assert moved & trained == {name for name in trained if not name.startswith("students none")}


def test_a_student_says_in_what_precision_it_was_taught(tmp_path, able):
    result = tiny_study(tmp_path)
    torch.manual_seed(0)
    weights = tmp_path / "local/model.safetensors"
    save_weights(weights, build(result.model(result.teacher), result.view(result.teacher)))
    for precision in ("float32", "bfloat16"):
        job = run_job(result, tmp_path, "everything", tmp_path / precision, weights)
        job = replace(job, teachers=tuple(replace(one, precision=precision) for one in job.teachers))
        cohorts.main([job])
        said = json.loads((tmp_path / precision / "result.json").read_text())
        assert said["teacher_precision"] == precision


def test_report_and_methods_say_it():
    assert head.answering({"compute": BFLOAT16}) == "bfloat16" and head.answering({}) == "float32"
    config = load(small_config(compute=BFLOAT16)).configuration
    assert "; teacher cait, whose answers are bfloat16" in head._student(
        config["student"], "cait", head.answering(config)
    )
    assert methods.answering is head.answering


def test_a_cpu_without_bfloat16_refuses_it(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False, raising=False)
    check_precision("float32", CPU)
    with pytest.raises(
        StudyError, match=r"^compute\.teacher\.precision: this machine's CPU cannot compute in bfloat16"
    ):
        check_precision("bfloat16", CPU)


def test_a_gpu_without_bfloat16_refuses_it(monkeypatch):
    able = {"Tesla V100": False, "H200": True}
    for name, said in able.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda said=said, **_: said)
        if said:
            check_precision("bfloat16", torch.device("cuda", 0))
        else:
            with pytest.raises(StudyError, match=f"^compute.teacher.precision: {name} cannot compute in bfloat16"):
                check_precision("bfloat16", torch.device("cuda", 0))
