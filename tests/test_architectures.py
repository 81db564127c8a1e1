"""Networks that an architecture of the library changes: against a literal forward pass, and in all that asks them."""

import copy
import importlib.util
import re
import sys
from dataclasses import replace
from functools import partial

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import zoo
from conftest import ROOT
from distillation_dynamics import extensions
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.task import code_of
from distillation_dynamics.metrics import saliency
from distillation_dynamics.networks import architectures, protocol
from distillation_dynamics.networks.build import build, describe
from distillation_dynamics.networks.controls import control
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.networks.observer import Observer
from distillation_dynamics.networks.released import load_released
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.objective import Objective
from distillation_dynamics.outputs import Request
from distillation_dynamics.spec.base import counted
from distillation_dynamics.spec.network import Model, ModelQuery, NetworkSize
from distillation_dynamics.spec.training import Optimizer, Recipe, Schedule
from distillation_dynamics.training.trainable import Trainable, make_optimizer
from helpers import changed, graph_of, load, small_config

FOLDER = ROOT / "workflow/distillation_dynamics/networks/architectures"
WIDTH = 36
# Of those that change a ViT.
ALL = {
    name: {"width": WIDTH} if known.options else {}
    for name, known in extensions.architectures().items()
    if name != "batched_heads"
}
CHANGED = [{name: options} for name, options in ALL.items()]
SIZE = 32


def model(architecture, family="vit", **arguments) -> Model:
    return replace(zoo.model(family, **arguments), architecture=architecture)


def network(architecture, family="vit", noise=0.1, **arguments):
    """A changed network in evaluation and float64, its parameters moved by noise."""
    torch.manual_seed(0)
    made = build(model(architecture, family, **arguments), zoo.view(SIZE))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return made.eval().double()


def linear(state, name, values):
    return values @ state[f"{name}.weight"].mT + state[f"{name}.bias"]


def norm(state, name, values):
    centred = values - values.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def block(state, name, values, heads):
    """A block of a ViT, literally: tokens [B, N, C]."""
    images, tokens, channels = values.shape
    qkv = linear(state, f"{name}.attn.qkv", norm(state, f"{name}.norm1", values))
    query, key, value = qkv.reshape(images, tokens, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    weights = (query @ key.mT / (channels // heads) ** 0.5).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).reshape(images, tokens, channels)
    values = values + linear(state, f"{name}.attn.proj", mixed)
    hidden = F.gelu(linear(state, f"{name}.mlp.fc1", norm(state, f"{name}.norm2", values)))
    return values + linear(state, f"{name}.mlp.fc2", hidden)


def stem(state, images):
    """Class token and patches with their positions, literally."""
    patches = F.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=8)
    patches = patches.flatten(2).mT
    return torch.cat([state["cls_token"].expand(len(images), -1, -1), patches], dim=1) + state["pos_embed"]


def literal(name, state, images):
    """Features of the last block [B, C, H, W] and logits of a ViT of two blocks that `name` changes, literally."""
    values = block(state, "blocks.0", stem(state, images), 2)
    if name == "lift":
        values = linear(state, "blocks.1.lift", block(state, "blocks.1.block", values, 2))
    elif name == "wide_last":
        values = block(state, "blocks.1.block", linear(state, "blocks.1.lift", values), 6)
    elif name == "normalised":
        values = norm(state, "blocks.1.norm", block(state, "blocks.1.block", values, 2))
    else:
        values = block(state, "blocks.1", values, 2)
    if name == "mean_pooled":
        pooled = norm(state, "fc_norm", values[:, 1:].mean(dim=1))
    else:
        pooled = norm(state, "norm", values)[:, 0]
    return values[:, 1:].mT.unflatten(2, (4, 4)), linear(state, "head", pooled)


@pytest.mark.parametrize("name", ALL)
def test_a_changed_network_computes_what_is_written(name):
    made, images = network({name: ALL[name]}), zoo.images()
    outputs = Observer(made)(images, Request.of(("features", "logits")))
    features, logits = literal(name, made.state_dict(), images)
    torch.testing.assert_close(outputs.features[1], features, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(outputs.logits, logits, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(made(images), logits, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("family", "prefix"), [("registers", 4), ("dinov2", 1), ("eva", 1), ("cait", 0)])
def test_the_mean_leaves_out_what_is_no_patch(family, prefix):
    torch.manual_seed(0)
    view = zoo.view(28 if family == "dinov2" else SIZE)
    made = build(model({"mean_pooled": {}}, family), view).eval().double()
    images = zoo.images(size=view.image_size)
    (tokens,) = made.forward_intermediates(images, indices=1, norm=False, intermediates_only=True)
    patches = tokens.flatten(2).mT
    pooled = made.norm(patches).mean(1) if family == "cait" else made.fc_norm(patches.mean(1))
    torch.testing.assert_close(made(images), made.head(pooled))
    assert made.num_prefix_tokens == prefix


def test_of_a_cait_the_layers_of_its_class_token_go():
    assert not [key for key in network({"mean_pooled": {}}, "cait").state_dict() if "token" in key]


def test_uniform_widening_comes_as_near_to_a_wide_last_block_as_its_heads_allow():
    model_of = partial(model, family="vit", depth=4, num_heads=4, embed_dim=16)
    sizes = {width: describe(model_of({}, embed_dim=width), zoo.view(SIZE))[0] for width in range(16, 65, 4)}
    aim, *_ = describe(model_of({"wide_last": {"width": 64}}), zoo.view(SIZE))
    found = build(model_of({"uniform": {"width": 64}}), zoo.view(SIZE))
    assert found.embed_dim == min(sizes, key=lambda width: abs(sizes[width] - aim)) and 16 < found.embed_dim < 64
    assert found.blocks[0].attn.num_heads == 4
    info = info_of(query(model_of({"uniform": {"width": 64}})))
    said = (
        f"{found.embed_dim} channels in every block, where 16 were: {sizes[found.embed_dim]:,} parameters; with a last"
    )
    assert info.note == f"{said} block of 64 channels there are {aim:,}" and info.parameters == sizes[found.embed_dim]


def query(asked: Model, **changes) -> ModelQuery:
    given = {"classes": asked.classes, "view": vars(zoo.view(SIZE)), "architecture": asked.architecture}
    return ModelQuery(asked.name, asked.args, asked.initialisation, **given | changes)


@pytest.mark.parametrize("architecture", CHANGED, ids=ALL)
def test_it_is_known_before_it_has_values(architecture):
    info, made = info_of(query(model(architecture))), network(architecture)
    assert info.parameters == sum(parameter.numel() for parameter in made.parameters())
    last = WIDTH if {"lift", "wide_last"} & architecture.keys() else made.embed_dim
    assert info.shapes == ((made.embed_dim, 4, 4), (last, 4, 4)) and info.classes == 5 and info.size.pooled == last
    assert [block.heads for block in info.size.blocks] == [2, 6 if "wide_last" in architecture else 2]


@pytest.mark.parametrize("architecture", CHANGED, ids=ALL)
def test_it_answers_all_that_a_network_is_asked(architecture):
    made, images, labels = network(architecture).float(), zoo.images().float(), torch.tensor([0, 4])
    asked = ("logits", "features", "prefix", "attention", "gradients", "lens", "pooled")
    heads = []
    said = Observer(made)(images, Request.of(asked), labels, lambda _, __, maps: heads.append(maps.weights.shape[2]))
    assert heads == [2, WIDTH // (12 // 2)] if "wide_last" in architecture else heads == [2, 2]
    torch.testing.assert_close(said.lens[1], said.logits, rtol=1e-4, atol=1e-4)
    widths = {block: values.shape[1] for block, values in said.features.items()}
    assert {block: values.classes.shape[2] for block, values in said.prefix.items()} == widths
    assert (0 in said.lens) is (widths[0] == widths[1])
    # By central differences, of the output of the last block.
    gradient = said.gradients[1]
    assert gradient.patches.shape == (2, 16, widths[1]) and gradient.patches.isfinite().all()
    direction, step = torch.randn_like(gradient.patches[0]), 1e-2
    ends = []
    for sign in (1, -1):
        hook = made.blocks[-1].register_forward_hook(lambda m, i, out, s=sign: torch.cat(
            [out[:, :1], out[:, 1:] + s * step * direction], dim=1))  # fmt: skip
        ends.append(made(images)[0, 0].item())
        hook.remove()
    expected = (ends[0] - ends[1]) / (2 * step)
    assert float((gradient.patches[0] * direction).sum()) == pytest.approx(expected, abs=2e-3)
    assert ("mean_pooled" in architecture) is bool(gradient.patches.any())
    torch.testing.assert_close(made.forward_head(made.forward_features(images), pre_logits=True), said.pooled)
    assert saliency.saliency(made, images, labels, "gradient").shape == images.shape


@pytest.mark.parametrize("architecture", CHANGED, ids=ALL)
def test_its_controls_are_of_the_same_architecture(architecture):
    made = network(architecture).float()
    asked, names = model(architecture), made.state_dict().keys()
    torch.manual_seed(3)
    fresh = build(asked, zoo.view(SIZE))
    untrained = control(made, asked, zoo.view(SIZE), "untrained", 3)
    permuted = control(made, asked, zoo.view(SIZE), "permuted", 3).state_dict()
    assert permuted.keys() == names
    for name, value in untrained.state_dict().items():
        assert value.equal(fresh.state_dict()[name])
        assert permuted[name].flatten().sort().values.equal(made.state_dict()[name].flatten().sort().values)


@pytest.mark.parametrize("architecture", CHANGED, ids=ALL)
def test_positions_and_biases_of_it_do_not_decay(architecture):
    optimizer = Optimizer("sgd", 1.0, 0.5)
    recipe = Recipe(1, 2, optimizer, Schedule("constant"))
    made = network(architecture)
    before = copy.deepcopy(made.state_dict())
    trainable = Trainable(made, Objective((), NetworkSize(5, 12, ())))
    stepped = make_optimizer(trainable, recipe)
    for parameter in made.parameters():
        parameter.grad = torch.zeros_like(parameter)
    stepped.step()
    stay = {name for name, value in made.state_dict().items() if value.equal(before[name])}
    assert stay == {name for name in before if before[name].ndim < 2 or name in ("cls_token", "pos_embed")}


@pytest.mark.parametrize("architecture", CHANGED, ids=ALL)
def test_its_weights_load_with_its_file_and_timm_alone(architecture, tmp_path):
    made = network(architecture).float()
    save_weights(tmp_path / "weights.safetensors", made)
    ((name, options),) = architecture.items()
    text = (FOLDER / f"{name}.py").read_text()
    assert not re.search(r"^(from|import) (?!collections|functools|typing|bisect|torch|timm)", text, re.MULTILINE)
    spec = importlib.util.spec_from_file_location("alone", FOLDER / f"{name}.py")
    alone = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(alone)
    asked = model({})
    make = partial(timm.create_model, asked.name, img_size=SIZE, num_classes=5, **asked.args)
    other = alone.modify(make, **options).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    images = zoo.images().float()
    assert other(images).equal(made(images))


@pytest.mark.parametrize(
    ("family", "architecture", "said"),
    [
        ("resnet", {"mean_pooled": {}}, "it has no class token, so that its head reads a mean of the patches already"),
        ("swin", {"lift": {"width": 48}}, "it is no plain Transformer, whose blocks are all of one width"),
        ("cait", {"lift": {"width": 48}}, "it is no plain Transformer, whose blocks are all of one width"),
        ("cait", {"normalised": {}}, "it is no plain Transformer"),
        ("distilled", {"mean_pooled": {}}, "AssertionError"),
        ("vit", {"wide_last": {"width": 20}}, "width: 20 is not a multiple of 6, the width of a head of attention"),
        ("vit", {"uniform": {"width": 6}}, "width: 6 is less than the 12 channels of the network"),
    ],
)
def test_what_does_not_fit_is_one_sentence_at_planning(family, architecture, said):
    (name,) = architecture
    with pytest.raises(StudyError, match=re.escape(said)) as error:
        info_of(query(model(architecture, family)))
    assert str(error.value).startswith(f"model.architecture.{name}: does not fit {zoo.FAMILIES[family][0]} with ")
    assert "choose another architecture or model" in str(error.value) and "\n" not in str(error.value)


def test_a_fault_of_the_model_itself_is_said_as_such():
    with pytest.raises(StudyError, match=r"^model\.args: timm cannot build"):
        info_of(query(model({"lift": {"width": 36}}, num_heads="many")))
    with pytest.raises(StudyError, match=r"^model\.args: .* cuts images into patches of 5 x 5 pixels"):
        info_of(query(model({"lift": {"width": 36}}, patch_size=5)))


class Wrapped(torch.nn.Module):
    """A network in another, as an architecture may give it, that keeps the protocol."""

    def __init__(self, network):
        super().__init__()
        self.network, self.num_classes, self.num_prefix_tokens = network, network.num_classes, 1
        self.feature_info = [info | {"module": f"network.{info['module']}"} for info in network.feature_info]
        for name in ("forward", "forward_features", "forward_head", "forward_intermediates"):
            setattr(self, name, getattr(network, name))

    def no_weight_decay(self):
        return {f"network.{name}" for name in self.network.no_weight_decay()}


def broken(**changes):
    """What an architecture does that breaks a part of the protocol."""

    def modify(make):
        network = Wrapped(make())
        for name, change in changes.items():
            setattr(network, name, change(network))
        return network

    return modify


BROKEN = {
    "feature_info names no module blocks.0": broken(feature_info=lambda n: n.network.feature_info),
    "feature_info names no block": broken(feature_info=lambda n: []),
    "num_classes is 7, but the head must have 5": broken(num_classes=lambda n: 7),
    "no_weight_decay does not name network.cls_token": broken(no_weight_decay=lambda n: n.network.no_weight_decay),
    "forward gives other logits than forward_head of what forward_features": broken(
        forward=lambda n: lambda images: 2 * n.forward_head(n.forward_features(images)) + 1
    ),
    "forward gives [2, 1] of 2 images, not [2, 5]": broken(
        forward=lambda n: lambda images: n.forward_head(n.forward_features(images))[:, :1]
    ),
    "forward_head with pre_logits gives [2, 17, 12] of 2 images": broken(
        forward_head=lambda n: lambda values, pre_logits=False: values if pre_logits else n.network.head(values[:, 0])
    ),
    "forward_intermediates, no_weight_decay (networks/protocol.py)": lambda make: torch.nn.Sequential(make()),
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied": broken(
        feature_info=lambda n: setattr(n.network, "head", torch.nn.Linear(13, 5)) or n.feature_info
    ),
}


@pytest.mark.parametrize("said", BROKEN)
def test_an_architecture_that_breaks_the_protocol_is_told_which_part(said, monkeypatch):
    mine = type("mine", (), {"modify": staticmethod(BROKEN[said])})
    monkeypatch.setitem(sys.modules, f"{architectures.__name__}.mine", mine)
    with pytest.raises(StudyError, match=re.escape(said)) as error:
        protocol.check(model({"mine": {}}), zoo.view(SIZE))
    assert str(error.value).startswith("model.architecture.mine: does not fit vit_tiny_patch16_224")


def test_a_network_in_another_keeps_the_protocol(monkeypatch):
    mine = type("mine", (), {"modify": staticmethod(broken())})
    monkeypatch.setitem(sys.modules, f"{architectures.__name__}.mine", mine)
    assert protocol.check(model({"mine": {}}), zoo.view(SIZE)) is None


def test_what_files_may_require_is_what_the_protocol_knows():
    assert set(extensions.ARCHITECTURE_REQUIRES) == protocol.REQUIRES.keys()


def test_released_weights_are_those_of_the_changed_network_or_refused(tmp_path):
    asked, made = model({"lift": {"width": WIDTH}}), network({"lift": {"width": WIDTH}}).float()
    save_weights(tmp_path / "own.safetensors", made)
    save_weights(tmp_path / "plain.safetensors", zoo.network("vit"))
    other = build(asked, zoo.view(SIZE)).eval()
    assert load_released(tmp_path / "own.safetensors", other, asked)["missing"] == []
    assert other(zoo.images().float()).equal(made(zoo.images().float()))
    said = r"it lacks blocks\.1\.block.* weights of vit_tiny_patch16_224 as it was released are not those of lift; no"
    with pytest.raises(StudyError, match=said):
        load_released(tmp_path / "plain.safetensors", other, asked, remedy="no")
    own, plain = (str(tmp_path / f"{name}.safetensors") for name in ("own", "plain"))
    assert info_of(query(asked, released=own)).classes == 5
    with pytest.raises(StudyError, match=r"^weights: .*plain\.safetensors: does not fit the model"):
        info_of(query(asked, released=plain))
    with pytest.raises(StudyError, match=r"the number of classes of .* with another architecture is unknown"):
        info_of(query(asked, released=own, classes=None))


def test_a_model_as_timm_makes_it_counts_as_it_did():
    assert counted(zoo.model("vit")).keys() == {"name", "args", "initialisation", "classes"}
    assert counted(model({"lift": {"width": 36}}))["architecture"] == {"lift": {"width": 36}}


def test_code_of_an_architecture_is_in_the_keys_of_jobs_that_build_it_and_of_no_others():
    plain = small_config()
    lifted = changed(plain, "student.model.architecture", {"lift": {"width": 48}})
    module = "networks.architectures.lift"
    before, after = ({(task.stage, task.name): task for task in graph_of(load(one)).tasks} for one in (plain, lifted))
    assert not [task for task in before.values() if any(module in part for part in task.code)]
    assert before.keys() == after.keys()
    of_student = {key for key in after if key[0] == "students" or (key[0] == "measure" and "students/" in key[1])}
    assert {key for key, task in after.items() if any(part.startswith(module) for part in task.code)} == of_student
    for key in of_student:
        assert set(after[key].code) - set(before[key].code) == set(code_of(key[0], module)) - set(code_of(key[0]))
    alone = [key for key in before if key[0] in ("data", "networks", "teacher_outputs")]
    assert len(alone) > 2 and all(before[key].key == after[key].key for key in alone)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lift": {}}, "student.model.architecture.lift: width must be given"),
        ({"lift": {"width": 0}}, "student.model.architecture.lift.width: 0 is less than the minimum of 1"),
        ({"lft": {}}, "student.model.architecture.lft: unknown key; did you mean lift"),
        ({"lift": {"width": 48, "deep": 1}}, "student.model.architecture.lift.deep: unknown key"),
        ("lift", "student.model.architecture: 'lift' is given, but a mapping"),
        (
            {"lift": {"width": 48}, "mean_pooled": {}},
            "student.model.architecture: lift, mean_pooled are given; leave one",
        ),
    ],
)
def test_what_is_misspelt_is_one_sentence(given, said):
    with pytest.raises(StudyError, match=f"^{re.escape(said)}[^\n]*$"):
        load(changed(small_config(), "student.model.architecture", given))


@pytest.mark.parametrize("architecture", CHANGED, ids=ALL)
def test_a_network_without_a_head_is_changed_alike(architecture):
    asked = replace(model(architecture), classes=0)
    info = info_of(query(asked))
    assert info.classes == 0 and info.size.pooled == info.shapes[-1][0]


def test_without_an_architecture_a_network_is_timms_to_the_bit():
    asked = zoo.model("vit")
    torch.manual_seed(5)
    own = build(asked, zoo.view(SIZE)).state_dict()
    torch.manual_seed(5)
    timms = timm.create_model(asked.name, img_size=SIZE, num_classes=5, **asked.args).state_dict()
    assert own.keys() == timms.keys() and all(value.equal(timms[name]) for name, value in own.items())
