"""Memory of measuring: what an image costs, how many pass at a time, and what a process takes of it."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

import zoo
from distillation_dynamics.jobs import memory, record, run
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.footprint import footprint_of
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.spec.base import From, counted, to_json
from distillation_dynamics.spec.images import ImageSet, View
from distillation_dynamics.spec.measure import Batches, MeasureJob
from distillation_dynamics.spec.network import (
    BlockSize,
    Checkpoints,
    Footprint,
    Model,
    ModelInfo,
    ModelQuery,
    NetworkSize,
)
from distillation_dynamics.spec.teacher_outputs import values_of
from pictures import make_folder, split_into

# A ViT-S/14 as DINOv2's: 12 blocks of 384 channels and 6 heads.
SMALL = "vit_small_patch14_dinov2"


def info(size, model=SMALL, classes=0):
    return info_of(ModelQuery(model, {}, classes=classes, default=View(3, size, (0.5,) * 3, (0.5,) * 3)))


@pytest.mark.parametrize("size, images, attention, gradients", [(224, 22, 22, 5), (518, 4, 2, 1)])
def test_as_many_images_pass_at_a_time_as_fit_the_budget(size, images, attention, gradients):
    found = memory.batches(info(size))
    assert found == Batches(images, attention, gradients)
    for count, one in zip((images, attention, gradients), vars(memory.of_image(info(size))).values(), strict=True):
        assert count * one <= memory.BUDGET < (count + 1) * one or count in (1, images)


@pytest.mark.parametrize("size, most", [(224, 4000), (518, 5000)])
def test_a_job_asks_for_what_its_batches_and_what_is_kept_take(size, most):
    one = info(size)
    sizes = zip(vars(memory.batches(one)).values(), vars(memory.of_image(one)).values(), strict=True)
    parts = sum(images * size for images, size in sizes)
    assert memory.megabytes(one) == (memory.PROCESS + 2**30 + parts + 8 * one.parameters) // 10**6
    assert 3650 < memory.megabytes(one) < most
    tiny = info_of(ModelQuery("vit_tiny_patch16_224", {}, classes=10, default=View(1, 32, (0.5,), (0.5,))))
    assert memory.megabytes(tiny) == 0, "the study's own number is enough"


@pytest.mark.parametrize("size", [224, 518])
def test_an_image_costs_what_its_attention_and_its_graph_hold(size):
    cost, tokens, width, heads, blocks = info(size).footprint, (size // 14) ** 2 + 1, 384, 6, 12
    hidden = 4 * 4 * width * tokens
    # The MLP's activation reads and makes its hidden values, the softmax the maps of a layer.
    assert cost.forward == pytest.approx(2 * hidden, rel=0.01)
    assert cost.attention == pytest.approx(2 * max(hidden, 4 * heads * tokens**2), rel=0.01)
    # Weights need no gradient: two norms keep what they read, attention its queries, keys and values, the MLP one.
    kept = 4 * blocks * tokens * width * (1 + 3 + 1 + 4)
    assert cost.graph == pytest.approx(kept, rel=0.08)
    products = 2 * blocks * (12 * tokens * width**2 + 2 * tokens**2 * width) + 2 * (tokens - 1) * 3 * 14**2 * width
    assert cost.operations == products


def test_maps_of_windows_and_no_maps_at_all_cost_what_they_are():
    swin, resnet = info(224, "swin_tiny_patch4_window7_224"), info(224, "resnet50")
    windows = 4 * 64 * 3 * 49**2
    assert swin.footprint.attention >= 2 * windows and resnet.footprint.attention == resnet.footprint.forward
    assert memory.batches(resnet).gradients < memory.batches(resnet).images


def test_a_network_is_left_as_it_was_when_its_costs_are_told():
    network, image = zoo.network("vit").eval(), zoo.images(1).float()
    needed = [parameter.requires_grad for parameter in network.parameters()]
    fused = [getattr(module, "fused_attn", None) for module in network.modules()]
    with torch.no_grad():
        assert footprint_of(network, image).graph > 0
    assert [parameter.requires_grad for parameter in network.parameters()] == needed
    assert [getattr(module, "fused_attn", None) for module in network.modules()] == fused


def made_up(values=1, **costs):
    size = NetworkSize(0, values, (BlockSize(values, 1, 1),))
    return ModelInfo(0, size, View(1, 1, (0.0,), (1.0,)), footprint=Footprint(**costs))


def test_batches_are_closed_forms_of_the_bytes_of_an_image():
    """Of an image and its block of 10 values: 4 + 3 x 40 + 24 x 10 + 2 x forward, and so on."""
    one = memory.of_image(made_up(10, forward=100, attention=1000, graph=10_000))
    assert one == Batches(4 + 120 + 240 + 200, 4 + 2000, 4 + 40 + 20_000)
    usual, huge = memory.batches(made_up()), made_up(1, forward=2**40, attention=2**40, graph=2**40)
    assert usual == Batches() and memory.batches(huge) == Batches(1, 1, 1)
    half = made_up(1, forward=memory.BUDGET // 66)
    assert memory.batches(half).images == 32
    graph = replace(half, footprint=Footprint(graph=memory.BUDGET // 8))
    assert memory.batches(graph) == Batches(64, 64, 3)


@pytest.mark.parametrize("size, logits, features, attention", [(224, 77, 46, 40), (518, 14, 8, 2)])
def test_teachers_are_asked_about_as_many_images_as_fit_the_budget(size, logits, features, attention):
    known = info(size, classes=10)
    image, cost = 4 * 3 * size**2, known.footprint
    of_blocks = [("features", block) for block in range(12)]
    for parts, operation, images in (
        ([("logits", -1)], cost.forward, logits),
        (of_blocks, cost.forward, features),
        ([*of_blocks, ("attention", 11)], cost.attention, attention),
    ):
        kept = 4 * sum(values_of(part, known.size) for part in parts)
        found = memory.answered(known, parts)
        assert found == images == memory.BUDGET // (image + kept + 2 * operation)
    assert memory.evaluated(known) == memory.BUDGET // (image + 2 * cost.forward)
    tiny = info_of(ModelQuery("vit_tiny_patch16_224", {}, classes=10, default=View(1, 32, (0.5,), (0.5,))))
    assert (memory.answered(tiny, of_blocks), memory.evaluated(tiny)) == (256, 128)
    huge = made_up(1, forward=2**40, attention=2**40)
    assert (memory.answered(huge, []), memory.evaluated(huge)) == (1, 1)


def test_usual_batches_are_in_no_key_and_others_are():
    job = MeasureJob("magnitude", None, (), {}, None, out="")
    assert "batches" not in to_json(counted(job))
    assert json.loads(to_json(counted(replace(job, batches=Batches(32)))))["batches"]["images"] == 32


MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
# What a process of torch takes before it computes anything, MB; 400 to 800 by its version.
TORCH = 200
MEASURE = """
import json, sys
from distillation_dynamics.jobs.run import peak_mb
from distillation_dynamics.spec.base import from_json
from distillation_dynamics.spec.measure import MeasureJob
from distillation_dynamics.stages import measure
measure.main([from_json(MeasureJob, json.dumps(job)) for job in json.load(open(sys.argv[1]))])
print(peak_mb())
"""


def alone(*command):
    """Run Python by a shell, which is small: a process begins with the peak of the one that starts it."""
    line = f"{shlex.join([sys.executable, *map(str, command)])}; exit $?"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_peak_is_that_of_the_process_and_of_all_of_torchrun_on_a_machine(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    ballast = bytearray(300_000_000)
    one = run.peak_mb()
    assert len(ballast) / 1e6 < one < MACHINE
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert run.peak_mb() == pytest.approx(4 * one, rel=0.05)
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    before = float(alone("-c", "from distillation_dynamics.jobs.run import peak_mb; print(peak_mb())"))
    code = "from distillation_dynamics.jobs.run import peak_mb; x = b'1' * 500_000_000; del x; print(peak_mb())"
    assert before + 450 < float(alone("-c", code)) < before + 600, "what was given back counts, too"


def test_units_are_those_of_the_system(monkeypatch):
    usage = {run.resource.RUSAGE_SELF: 3_000_000, run.resource.RUSAGE_CHILDREN: 5_000_000}
    monkeypatch.setattr(run.resource, "getrusage", lambda who: type("Usage", (), {"ru_maxrss": usage[who]}))
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for platform, expected in (("linux", 5120.0), ("darwin", 5.0)):
        monkeypatch.setattr(run.sys, "platform", platform)
        assert run.peak_mb() == expected


def test_every_job_of_a_study_records_a_peak(project):
    results = project / "results"
    found = list(record.all_under(results))
    assert found and all(0 < known["peak_mb"] < MACHINE for _, known in found)
    computed = [known["peak_mb"] for _, known in found if known["stage"] in ("networks", "students", "measure")]
    assert computed and min(computed) > TORCH
    by_key = {known["key"]: known["peak_mb"] for path, known in found if "runs" in path.parts}
    published = [known for path, known in found if known["stage"] == "students" and "runs" not in path.parts]
    assert published and all(known["peak_mb"] == by_key[known["key"]] for known in published)


def test_a_measurement_stays_under_what_it_is_reckoned_to_take(tmp_path):
    """Four blocks of a ViT-S/14 at 224 pixels, by what asks for attention maps, gradients, and all features."""
    query = ModelQuery(SMALL, {"depth": 4}, classes=0, default=View(3, 224, (0.5,) * 3, (0.5,) * 3))
    known, model = info_of(query), Model(SMALL, {"depth": 4}, "timm", 0)
    make_folder(tmp_path / "pictures", 2, 14)
    images = split_into(tmp_path / "data", tmp_path / "pictures", classes=2, view=known.view)
    save_weights(tmp_path / "model.safetensors", build(model, known.view))
    weights = From("weights", files=(str(tmp_path / "model.safetensors"),))
    network = Checkpoints(model, ("vit",), None, (None,), ("trained",), known.shapes, weights)
    batches = memory.batches(known)
    assert batches.gradients < 28 and memory.megabytes(known) > 0
    jobs = [
        MeasureJob(name, network, (ImageSet("balanced", images, "test", 28, 2),), options, None, batches, out=out)
        for name, options in (
            ("attention", {}),
            ("gradient", {}),
            ("entropy", {"entropy_bins": 100}),
            ("magnitude", {}),
        )
        for out in [str(tmp_path / name)]
    ]
    (tmp_path / "jobs.json").write_text(f"[{', '.join(map(to_json, jobs))}]")
    (tmp_path / "measure.py").write_text(MEASURE)
    peak = float(alone(tmp_path / "measure.py", tmp_path / "jobs.json").split()[-1])
    assert TORCH < peak < memory.megabytes(known)
