"""Names in weights files: the right prefix is the one that fits, and names of transformers are translated to timm's."""

import re

import pytest
import torch
from safetensors.torch import save_file

from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.networks.released import AS_IT_IS, load_released
from distillation_dynamics.spec.network import ModelQuery
from test_released import REMEDY, alike, network_of, resampled, save

VIT, SMALL = "vit_tiny_patch16_224", {"embed_dim": 24, "depth": 2, "num_heads": 2, "patch_size": 8}


def given(classes=4, seed=0, name=VIT, **arguments):
    model, network = network_of(name, SMALL | arguments, 32, classes, seed=seed)
    return model, network


def under(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def loads(path, model, seed=1):
    """A network of the model that took up a file, and what was said of it."""
    _, ours = network_of(model.name, model.args, 32, model.classes, seed=seed)
    return ours, load_released(path, ours, model, remedy=REMEDY)


PREFIXES = (
    *("module.", "backbone.", "model.", "student.", "teacher.", "encoder.", "module.backbone.", "model.encoder.net."),
    *("_anything.at.all.", "blocks.", "0."),
)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_taken_off_whatever_it_is_and_said(tmp_path, capsys, prefix):
    model, theirs = given()
    path = save(tmp_path / "some.safetensors", under(prefix, theirs.state_dict()))
    ours, said = loads(path, model)
    alike(ours, theirs.state_dict())
    assert said == AS_IT_IS | {"prefix": prefix}
    assert capsys.readouterr().out == f"{path}: names read without {prefix}\n"


def test_what_lies_beside_the_network_is_not_used_and_what_torch_compiled_is_read(tmp_path):
    model, theirs = given(classes=0)
    state = {f"net.{name.replace('blocks.0.', 'blocks.0._orig_mod.')}": v for name, v in theirs.state_dict().items()}
    state = under("_orig_mod.", state) | {"head.weight": torch.ones(4, 24), "centre": torch.ones(3)}
    ours, said = loads(save(tmp_path / "some.safetensors", state), model)
    alike(ours, theirs.state_dict())
    assert said["prefix"] == "net." and said["unused"] == ["centre", "head.weight"]


def test_a_prefix_goes_with_another_size_and_with_names_that_timm_translates(tmp_path):
    _, theirs = network_of("vit_small_patch14_dinov2", {"embed_dim": 24, "depth": 2, "num_heads": 2}, 56, 0)
    state = theirs.state_dict() | {"mask_token": torch.zeros(1, 24)}
    path = save(tmp_path / "dino.safetensors", under("teacher.backbone.", state))
    model, ours = network_of("vit_small_patch14_dinov2", {"embed_dim": 24, "depth": 2, "num_heads": 2}, 28, 0, seed=1)
    said = load_released(path, ours, model)
    grid = resampled(theirs.pos_embed[:, 1:].detach(), 2)
    torch.testing.assert_close(ours.pos_embed[:, 1:].detach(), grid, rtol=0, atol=0)
    assert said["prefix"] == "teacher.backbone." and said["resampled"] == {"pos_embed": [[1, 17, 24], [1, 5, 24]]}


@pytest.mark.parametrize("average", ["teacher.", "model_ema.", "target_encoder.", "momentum.backbone."])
@pytest.mark.parametrize("other", ["student.", "a.", "z."])
def test_of_several_networks_the_average_is_taken_and_the_others_are_named(tmp_path, capsys, average, other):
    model, theirs = given()
    _, second = given(seed=2)
    path = save(tmp_path / "both.safetensors", under(other, second.state_dict()) | under(average, theirs.state_dict()))
    ours, said = loads(path, model)
    alike(ours, theirs.state_dict())
    assert said["prefix"] == average and said["others"] == [other]
    assert f"names read without {average}, and not those with {other}; not used: " in capsys.readouterr().out


def test_of_several_networks_of_which_none_is_the_average_none_is_taken(tmp_path):
    model, theirs = given()
    path = save(tmp_path / "both.safetensors", under("a.", theirs.state_dict()) | under("b.", theirs.state_dict()))
    with pytest.raises(
        StudyError, match=r"holds 2 networks that fit \(a\., b\.\); write the tensors of one .*" + REMEDY
    ):
        loads(path, model)


def test_names_that_fit_as_they_are_are_left_so(tmp_path):
    model, theirs = given()
    _, second = given(seed=2)
    ours, said = loads(
        save(tmp_path / "both.safetensors", theirs.state_dict() | under("teacher.", second.state_dict())), model
    )
    alike(ours, theirs.state_dict())
    assert said["prefix"] == "" and len(said["unused"]) == len(theirs.state_dict())


@pytest.mark.parametrize(
    ("classes", "depth", "message"),
    [
        (4, 3, r"\(its names without teacher\.backbone\.\): is not this architecture .*: it lacks blocks\.2\."),
        (7, 2, r"\(its names without teacher\.backbone\.\): its head has 4 classes, but the model's has 7"),
    ],
)
def test_what_does_not_fit_without_its_prefix_is_said_of_it(tmp_path, classes, depth, message):
    _, theirs = given()
    model, _ = given(classes, depth=depth)
    path = save(tmp_path / "some.safetensors", under("teacher.backbone.", theirs.state_dict()))
    with pytest.raises(StudyError, match=message):
        loads(path, model)


# Of a tower and of a block: what transformers calls it in a file, and what timm does.
TOWER = {
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
BLOCK = {
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
}
BLOCK_OF_DINOV2 = {
    "attention.output.dense": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "norm1": "norm1",
    "norm2": "norm2",
}
BLOCK_OF_CLIP = {
    "self_attn.out_proj": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
}
# In memory, since version 5.
BLOCK_IN_MEMORY = {
    "attention.o_proj": "attn.proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
}


def blocks_of(state, at, names, thirds):
    """The tensors of two blocks under `at`, by the names of a block and of query, key and value."""
    found = {}
    for number in range(2):
        for theirs, ours in names.items():
            for kind in ("weight", "bias"):
                found[f"{at}.{number}.{theirs}.{kind}"] = state[f"blocks.{number}.{ours}.{kind}"]
        for kind in ("weight", "bias"):
            whole = state[f"blocks.{number}.attn.qkv.{kind}"]
            for place, theirs in enumerate(thirds):
                found[f"{at}.{number}.{theirs}.{kind}"] = whole[24 * place : 24 * (place + 1)]
    return found


THIRDS = ("attention.attention.query", "attention.attention.key", "attention.attention.value")


def vit(state):
    return {theirs: state[ours] for theirs, ours in TOWER.items()} | blocks_of(state, "encoder.layer", BLOCK, THIRDS)


def vit_in_memory(state):
    thirds = [f"attention.{part}_proj" for part in "qkv"]
    tower = {theirs: state[ours] for theirs, ours in TOWER.items()}
    return under("vit.", tower | blocks_of(state, "layers", BLOCK_IN_MEMORY, thirds))


def vit_with_head(state):
    heads = {"classifier.weight": state["head.weight"], "classifier.bias": state["head.bias"]}
    return under("vit.", vit(state)) | heads


def deit(state):
    heads = {"cls_classifier": "head", "distillation_classifier": "head_dist"}
    found = {f"{name}.{kind}": state[f"{ours}.{kind}"] for name, ours in heads.items() for kind in ("weight", "bias")}
    return found | under("deit.", vit(state) | {"embeddings.distillation_token": state["dist_token"]})


def dinov2(state):
    tower = {theirs: state[ours] for theirs, ours in TOWER.items()}
    found = tower | blocks_of(state, "encoder.layer", BLOCK_OF_DINOV2, THIRDS)
    for number in range(2):
        for scale in (1, 2):
            name = f"encoder.layer.{number}.layer_scale{scale}.lambda1"
            found[name] = state[f"blocks.{number}.ls{scale}.gamma"]
    return found | {"embeddings.mask_token": torch.ones(1, 24)}


def dinov2_with_registers(state):
    found = dinov2(state)
    place = torch.full((1, 1, 24), 0.25)
    found["embeddings.register_tokens"] = state["reg_token"]
    found["embeddings.position_embeddings"] = torch.cat([place, state["pos_embed"]], dim=1)
    # A sum that is exact, so that it can be taken apart to the bit.
    state["cls_token"] = (state["cls_token"] * 64).round() / 64
    found["embeddings.cls_token"] = state["cls_token"] - place
    return found


def clip(state):
    tower = {
        "embeddings.class_embedding": state["cls_token"][0, 0],
        "embeddings.position_embedding.weight": state["pos_embed"][0],
        "embeddings.position_ids": torch.arange(17)[None],
        "embeddings.patch_embedding.weight": state["patch_embed.proj.weight"],
        **{f"pre_layrnorm.{kind}": state[f"norm_pre.{kind}"] for kind in ("weight", "bias")},
        **{f"post_layernorm.{kind}": state[f"norm.{kind}"] for kind in ("weight", "bias")},
    }
    thirds = [f"self_attn.{part}_proj" for part in "qkv"]
    found = under("vision_model.", tower | blocks_of(state, "encoder.layers", BLOCK_OF_CLIP, thirds))
    text = {"text_model.embeddings.token_embedding.weight": torch.ones(3, 2), "logit_scale": torch.ones(())}
    # timm's head has a bias, which the projection has not.
    state["head.bias"] = torch.zeros(4)
    return found | text | {"visual_projection.weight": state["head.weight"]}


# Model of timm, classes, literal mapping, prefix of its tower.
OF_TRANSFORMERS = {
    "vit": (VIT, 0, vit, ""),
    "vit in memory": (VIT, 0, vit_in_memory, "vit."),
    "vit with a head": (VIT, 4, vit_with_head, "vit."),
    "deit": ("deit_tiny_distilled_patch16_224", 4, deit, "deit."),
    "dinov2": ("vit_small_patch14_dinov2", 0, dinov2, ""),
    "dinov2 with registers": ("vit_small_patch14_reg4_dinov2", 0, dinov2_with_registers, ""),
    "clip": ("vit_base_patch32_clip_quickgelu_224", 4, clip, "vision_model."),
}


@pytest.mark.parametrize("around", ["", "module."])
@pytest.mark.parametrize("kind", OF_TRANSFORMERS)
def test_networks_of_transformers_are_loaded_bit_for_bit(tmp_path, capsys, kind, around):
    name, classes, mapped, prefix = OF_TRANSFORMERS[kind]
    model, theirs = given(classes, name=name)
    expected = dict(theirs.state_dict())
    path = save(tmp_path / "hf.safetensors", under(around, mapped(expected)))
    ours, said = loads(path, model)
    alike(ours, expected)
    assert ours.state_dict().keys() == expected.keys()
    assert said["prefix"] == around + prefix and said["library"] == "transformers"
    assert not said["missing"] and not said["resampled"] and not said["renamed"]
    assert all(re.search(r"mask_token|position_ids|text_model|logit_scale", name) for name in said["unused"])
    assert "names of transformers brought to timm's" in capsys.readouterr().out


def test_a_network_of_transformers_is_resampled_and_its_heads_tell_their_classes(tmp_path):
    _, theirs = given(4)
    path = save(tmp_path / "hf.safetensors", vit_with_head(theirs.state_dict()))
    model, ours = network_of(VIT, SMALL, 64, 4, seed=1)
    load_released(path, ours, model)
    torch.testing.assert_close(ours.pos_embed[:, 1:], resampled(theirs.pos_embed[:, 1:], 8), rtol=0, atol=0)
    view = {"channels": 3, "image_size": 64, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    info = info_of(ModelQuery(VIT, SMALL, view=view, released=str(path)))
    assert info.classes == 4 and info.view.image_size == 64
    assert info.note == f"{path}: names read without vit.; names of transformers brought to timm's"


def test_a_head_that_reads_more_than_one_token_is_none_of_timms(tmp_path):
    model, theirs = given(0, name="vit_small_patch14_dinov2")
    state = under("dinov2.", dinov2(theirs.state_dict()))
    state |= {"classifier.weight": torch.ones(4, 48), "classifier.bias": torch.ones(4)}
    path = save(tmp_path / "hf.safetensors", state)
    ours, said = loads(path, model)
    alike(ours, theirs.state_dict())
    assert said["unused"] == ["classifier.bias", "classifier.weight", "dinov2.embeddings.mask_token"]
    with pytest.raises(StudyError, match=r"has no head, but the model has one of 4 classes; set num_classes: 0"):
        loads(path, given(4, name="vit_small_patch14_dinov2")[0])


OTHERS = {
    "BEiT": {"encoder.layer.0.lambda_1": 24, "encoder.layer.0.attention.attention.query.weight": 24},
    "Swin": {"swin.encoder.layers.0.blocks.0.attention.self.query.weight": 24},
    "SigLIP": {"vision_model.embeddings.patch_embedding.bias": 24, "vision_model.head.probe": 24},
    "DINOv3": {"layer.0.attention.q_proj.weight": 24, "embeddings.register_tokens": 24},
    "ConvNeXt": {"convnext.encoder.stages.0.layers.0.dwconv.weight": 24},
    "ResNet": {"resnet.embedder.embedder.convolution.weight": 24},
    "another network": {"groupvit.encoder.layers.3.self_attn.q_proj.weight": 3},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_of_other_networks_of_transformers_a_sentence_says_what_to_do(tmp_path, kind):
    model, _ = given(name="vit_tiny_patch16_224")
    path = tmp_path / "hf.safetensors"
    save_file({name: torch.ones(size) for name, size in OTHERS[kind].items()}, path)
    with pytest.raises(StudyError, match=rf"has the names of transformers \({kind}\); those of its ViT, .*") as error:
        loads(path, model)
    said = str(error.value)
    assert "hf-hub:timm/vit_tiny_patch16_224.augreg_in21k" in said and said.endswith(REMEDY) and "\n" not in said


def test_a_network_of_transformers_with_a_part_that_is_not_known_is_not_read_in_part(tmp_path):
    model, theirs = given(0)
    state = vit(theirs.state_dict()) | {"encoder.layer.1.attention.attention.gate.weight": torch.ones(24)}
    with pytest.raises(StudyError, match=r"has the names of transformers \(another network\)"):
        loads(save(tmp_path / "hf.safetensors", state), model)
    state = vit(theirs.state_dict())
    del state["encoder.layer.1.attention.attention.key.bias"]
    with pytest.raises(StudyError, match=r"has the names of transformers"):
        loads(save(tmp_path / "hf.safetensors", state), model)


def test_a_network_of_transformers_of_another_size_is_refused_in_timms_names(tmp_path):
    _, theirs = given(0)
    path = save(tmp_path / "hf.safetensors", vit(theirs.state_dict()))
    with pytest.raises(StudyError, match=r"is not this architecture .*: it lacks blocks\.2\."):
        loads(path, given(0, depth=5)[0])
    with pytest.raises(StudyError, match=r"blocks\.0\.\S+ has shape"):
        loads(path, given(0, embed_dim=36)[0])
