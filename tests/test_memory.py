"""Memory of measuring: what an image costs, how many pass at a time, and what a process takes of it."""

import json
from dataclasses import replace

import pytest
import torch

import zoo
from distillation_dynamics.jobs import memory
from distillation_dynamics.networks.footprint import footprint_of
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.spec.base import counted, to_json
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.measure import Batches, MeasureJob
from distillation_dynamics.spec.network import BlockSize, Footprint, ModelInfo, ModelQuery, NetworkSize

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


def test_usual_batches_are_in_no_key_and_others_are():
    job = MeasureJob("magnitude", None, (), {}, None, out="")
    assert "batches" not in to_json(counted(job))
    assert json.loads(to_json(counted(replace(job, batches=Batches(32)))))["batches"]["images"] == 32
