"""CaiT's talking heads as batched products: what timm's give, with the same weights, in all that asks them."""

import re
from dataclasses import replace

import pytest
import timm
import torch

import zoo
from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.architectures import batched_heads
from distillation_dynamics.networks.attention import attention_maps
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.networks.observer import Observer
from distillation_dynamics.networks.parts import say_alike
from distillation_dynamics.outputs import Request
from distillation_dynamics.spec.network import ModelQuery

# Model -> its heads; two blocks of each, which change the stream as trained ones do.
SIZES = {"cait_xxs24_224": 4, "cait_s24_224": 8, "cait_m36_384": 16}
SIDE = 48


@pytest.fixture(params=SIZES)
def pair(request):
    """A model of timm, and the same with batched heads and the same weights, in evaluation."""

    def make(**changes):
        torch.manual_seed(0)
        arguments = {"img_size": SIDE, "num_classes": 10, "depth": 2, "init_values": 1.0}
        return timm.create_model(request.param, **arguments, **changes).eval()

    theirs, ours = make(), batched_heads.modify(make)
    assert theirs.blocks[0].attn.num_heads == SIZES[request.param]
    for (name, value), (other, own) in zip(theirs.state_dict().items(), ours.state_dict().items(), strict=True):
        assert name == other and torch.equal(value, own)
    with torch.no_grad():
        for network in (theirs, ours):
            torch.manual_seed(1)
            for parameter in network.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return theirs, ours


def images(count=3):
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_logits_are_timms_up_to_rounding(pair):
    theirs, ours = pair
    pixels = images()
    single = [network(pixels).double() for network in pair]
    exact = theirs.double()(pixels.double())
    torch.testing.assert_close(ours.double()(pixels.double()), exact, rtol=1e-11, atol=1e-11)
    errors = [float((logits - exact).abs().max() / exact.abs().max()) for logits in single]
    assert errors[1] < 1e-5 and errors[1] < 4 * errors[0]


def test_gradients_are_timms(pair):
    found = []
    for network in pair:
        pixels = images(2).double().requires_grad_()
        network.double().train()(pixels).logsumexp(dim=1).sum().backward()
        found.append([pixels.grad, *(parameter.grad for parameter in network.parameters())])
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11 * float(theirs.abs().max() + 1))


def test_it_answers_as_timms_all_that_a_network_is_asked(pair):
    pixels, labels = images(), torch.tensor([0, 4, 9])
    request = Request.of(("logits", "features", "prefix", "gradients", "lens", "pooled"))
    theirs, ours = (Observer(network.double())(pixels.double(), request, labels) for network in pair)
    torch.testing.assert_close(ours.logits, theirs.logits)
    torch.testing.assert_close(ours.pooled, theirs.pooled)
    for block in (0, 1):
        torch.testing.assert_close(ours.features[block], theirs.features[block])
        torch.testing.assert_close(ours.gradients[block].patches, theirs.gradients[block].patches)
        torch.testing.assert_close(ours.lens[block], theirs.lens[block])


def test_its_attention_and_values_are_read_as_timms(pair):
    pixels = images().double()
    maps = [attention_maps(network.double(), pixels) for network in pair]
    for theirs, ours in zip(*maps, strict=True):
        ((theirs,), (ours,)) = theirs, ours
        assert ours[1:] == theirs[1:] and ours.weights.shape[2] in SIZES.values()
        torch.testing.assert_close(ours.weights, theirs.weights)
    parts = [("logits", -1), ("attention", 1), ("values", 0)]
    said = [say_alike(network, pixels, parts) for network in pair]
    for part in parts:
        torch.testing.assert_close(said[1][part], said[0][part])


def test_a_study_asks_for_it_by_name_and_what_it_costs_is_known():
    asked = replace(zoo.model("cait"), architecture={"batched_heads": {}})
    made = build(asked, zoo.view())
    assert {type(block.attn) for block in made.blocks} == {batched_heads.BatchedHeads}
    query = ModelQuery(asked.name, asked.args, view=vars(zoo.view()), classes=asked.classes)
    plain, own = info_of(query), info_of(replace(query, architecture=asked.architecture))
    assert own.size == plain.size and own.shapes == plain.shapes and own.parameters == plain.parameters
    assert own.footprint.operations == plain.footprint.operations


def test_a_network_without_talking_heads_is_refused():
    asked = zoo.model("vit")
    query = ModelQuery(asked.name, asked.args, view=vars(zoo.view()), architecture={"batched_heads": {}}, classes=5)
    message = "model.architecture.batched_heads: does not fit vit_tiny_patch16_224 with "
    with pytest.raises(StudyError, match=f"^{re.escape(message)}.*its heads of attention are not mixed with each"):
        info_of(query)
