"""Attention maps against a softmax computed by hand, entropy and distance against loops and closed forms."""

import copy
import warnings
import weakref

import numpy as np
import pytest
import torch

import zoo
from distillation_dynamics.metrics import attention
from distillation_dynamics.metrics.accumulator import Context
from distillation_dynamics.networks.attention import _grid, attending, attention_layers, attention_maps, softmaxes
from distillation_dynamics.networks.blocks import block_names, features
from distillation_dynamics.outputs import AttentionMap, Outputs, Shape

# For each block (layers, windows, heads, rows, columns, prefix, stride).
FAMILIES = {
    "vit": [(1, 1, 2, 4, 4, 1, 8)] * 2,
    "distilled": [(1, 1, 2, 4, 4, 2, 8)] * 2,
    "mean_pooled": [(1, 1, 2, 4, 4, 0, 8)] * 2,
    "mean_pooled_with_class": [(1, 1, 2, 4, 4, 1, 8)] * 2,
    "mae": [(1, 1, 2, 4, 4, 1, 8)] * 2,
    "cait": [(1, 1, 2, 4, 4, 0, 8)] * 2,
    "swin": [(2, 16, 1, 4, 4, 0, 2), (1, 4, 2, 4, 4, 0, 4)],
    # Windows of 5 on grids of 16 and 8 are padded to 20 and 10.
    "swin_padded": [(2, 16, 1, 5, 5, 0, 2), (1, 4, 2, 5, 5, 0, 4)],
}


# Of their own biases, rotations and windows.
FAMILIES_BESIDE = [*FAMILIES, "registers", "beit", "dinov3", "eva", "naflex", "tiny_vit", "levit", "volo"]


def build(family, **more):
    return zoo.network(family, noise=0.3, **more).double()


@torch.no_grad()
def attend(network, images, layers, take, at_a_time=2):
    """Pass images through a network, and give its maps to `take`; return the features."""
    with attending(network, layers, take, len(images), at_a_time):
        return features(network, images)


def random_map(shape, rows, columns, prefix, stride=3.0, sharpness=2.0, seed=0):
    tokens = rows * columns + prefix
    logits = torch.randn(*shape, tokens, tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return AttentionMap((sharpness * logits).softmax(dim=-1), rows, columns, prefix, stride)


def metric_of(network):
    return attention.Metric(context=Context(block_names=block_names(network)))


def reference_entropy(block, image):
    values = []
    for layer in block:
        windows, heads, tokens, _ = layer.weights[image].shape
        for window, head, query in np.ndindex(windows, heads, tokens):
            bits = 0.0
            for key in range(tokens):
                p = float(layer.weights[image, window, head, query, key])
                bits -= p * np.log2(p) if p > 0 else 0.0
            values.append(bits)
    return np.mean(values)


def reference_distance(block, image):
    values = []
    for layer in block:
        windows, heads, tokens, _ = layer.weights[image].shape
        for window, head, query in np.ndindex(windows, heads, tokens - layer.prefix):
            total = reach = 0.0
            for key in range(tokens - layer.prefix):
                p = float(layer.weights[image, window, head, layer.prefix + query, layer.prefix + key])
                (row, column), (other_row, other_column) = divmod(query, layer.columns), divmod(key, layer.columns)
                reach += p * layer.stride * np.hypot(row - other_row, column - other_column)
                total += p
            values.append(reach / total)
    return np.mean(values)


@pytest.mark.parametrize("rows, columns, prefix", [(3, 4, 1), (4, 3, 0), (2, 2, 2), (1, 5, 1), (1, 1, 1), (1, 1, 0)])
def test_entropy_and_distance_equal_literal_loops(rows, columns, prefix):
    one = [random_map((3, 1, 2), rows, columns, prefix)]
    two = [random_map((3, 4, 1), rows, columns, 0, stride=2.0, seed=seed) for seed in (1, 2)]
    maps = [one, [], two]
    entropy, distance = attention.attention_entropy(maps), attention.attention_distance(maps)
    assert entropy.dtype == distance.dtype == np.float64
    for block in (0, 2):
        for image in range(3):
            expected = reference_entropy(maps[block], image)
            np.testing.assert_allclose(entropy[block, image], expected, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(
                distance[block, image], reference_distance(maps[block], image), rtol=1e-12, atol=1e-14
            )
    assert np.isnan(entropy[1]).all() and np.isnan(distance[1]).all()


@pytest.mark.parametrize("prefix", [0, 1])
def test_attention_to_oneself_has_neither_entropy_nor_distance(prefix):
    layer = AttentionMap(torch.eye(12 + prefix).expand(2, 4, 3, -1, -1), 3, 4, prefix, 8.0)
    np.testing.assert_array_equal(attention.attention_entropy([[layer]]), 0)
    np.testing.assert_array_equal(attention.attention_distance([[layer]]), 0)


def test_a_query_with_all_attention_on_the_class_token_has_no_distance():
    weights = torch.zeros(1, 1, 1, 3, 3)
    weights[..., :, 0] = 1
    weights[..., 1, :] = torch.tensor([0.5, 0.0, 0.5])
    layer = AttentionMap(weights, 1, 2, 1, 4.0)
    np.testing.assert_allclose(attention.attention_distance([[layer]]), 4)
    weights[..., 1, :] = torch.tensor([1.0, 0.0, 0.0])
    assert np.isnan(attention.attention_distance([[layer]])).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_normalised_maps_of_its_own_windows(family):
    network, images = build(family), zoo.images()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = attention_maps(network, images)
    for block, (layers, windows, heads, rows, columns, prefix, stride) in zip(maps, FAMILIES[family], strict=True):
        assert len(block) == layers
        for layer in block:
            tokens = rows * columns + prefix
            assert layer.weights.shape == (2, windows, heads, tokens, tokens)
            assert layer[1:] == (rows, columns, prefix, stride)
            torch.testing.assert_close(layer.weights.sum(dim=-1), torch.ones(2, windows, heads, tokens).double())
    longest = [np.hypot(rows - 1, columns - 1) * stride for *_, rows, columns, _, stride in FAMILIES[family]]
    distance, entropy = attention.attention_distance(maps), attention.attention_entropy(maps)
    assert (distance > 0).all() and (distance < np.array(longest)[:, None]).all()
    most = [np.log2(rows * columns + prefix) for *_, rows, columns, prefix, _ in FAMILIES[family]]
    assert (entropy > 0).all() and (entropy < np.array(most)[:, None]).all()


@pytest.mark.parametrize("family", ["vit", "distilled", "cait"])
@torch.no_grad()
def test_maps_are_the_softmax_of_queries_and_keys(family):
    network, images = build(family), zoo.images()
    x = network.patch_embed(images)
    x = x + network.pos_embed if family == "cait" else network._pos_embed(x)
    for block, (layer,) in zip(network.blocks, attention_maps(network, images), strict=True):
        width = x.shape[2] // 2
        q, k, _ = block.attn.qkv(block.norm1(x)).chunk(3, dim=2)
        scores = torch.stack(
            [q[..., h * width : (h + 1) * width] @ k[..., h * width : (h + 1) * width].mT for h in (0, 1)], dim=1
        ) / np.sqrt(width)
        if family == "cait":
            mix, bias = block.attn.proj_l.weight, block.attn.proj_l.bias
            scores = torch.stack([mix[h, 0] * scores[:, 0] + mix[h, 1] * scores[:, 1] + bias[h] for h in (0, 1)], 1)
        weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
        torch.testing.assert_close(layer.weights[:, 0], weights, rtol=1e-9, atol=1e-14)
        x = block(x)


@pytest.mark.parametrize("at_a_time", [1, 2, 3])
@pytest.mark.parametrize("family", FAMILIES_BESIDE)
@torch.no_grad()
def test_maps_beside_fused_kernels_are_those_without_and_leave_the_pass_as_it_is(family, at_a_time):
    network, images, found = build(family), zoo.images(3), {}
    layers = attention_layers(network, images)

    def take(block, number, layer):
        found.setdefault((block, number), []).append(layer.weights.clone())

    given = attend(network, images, layers, take, at_a_time)
    assert all(a.equal(b) for a, b in zip(given, features(network, images), strict=True))
    with softmaxes(network, block_names(network)) as weights:
        features(network, images)
    assert layers and found.keys() == {(layer.block, layer.number) for layer in layers.values()}
    for name, layer in layers.items():
        parts = found[layer.block, layer.number]
        assert [len(part) for part in parts] == [len(part) for part in images.split(at_a_time)]
        expected = weights[name].unflatten(0, (3, -1))
        torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-9, atol=1e-13)


@torch.no_grad()
def test_windows_of_swin_belong_to_their_image_in_row_major_order():
    network, images = build("swin"), zoo.images()
    layer = attention_maps(network, images)[0][0]
    block = network.layers[0].blocks[0]
    x = block.norm1(network.layers[0].downsample(network.patch_embed(images)))
    attn = block.attn
    for image, window in np.ndindex(2, 16):
        row, column = divmod(window, 4)
        tokens = x[image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].reshape(16, 12)
        q, k, _ = attn.qkv(tokens).chunk(3, dim=1)
        bias = attn.relative_position_bias_table[attn.relative_position_index.view(-1), 0].view(16, 16)
        weights = (q @ k.T / np.sqrt(12) + bias).softmax(dim=-1)
        torch.testing.assert_close(layer.weights[image, window, 0], weights, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("family", ["vit", "cait", "swin"])
def test_the_callers_network_is_left_as_it_was(family):
    network, images = build(family, drop_path_rate=0.0), zoo.images()
    network.train()
    before = copy.deepcopy(network.state_dict())
    fused = [getattr(module, "fused_attn", None) for module in network.modules()]
    logits = network(images)
    attention_maps(network, images)
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert [getattr(module, "fused_attn", None) for module in network.modules()] == fused
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert network(images).equal(logits)


@pytest.mark.parametrize("family", ["vit", "swin", "cait"])
def test_the_stream_equals_the_whole(family):
    network, images = build(family), zoo.images(5)
    metric, layers = metric_of(network), attention_layers(network, images)
    for batch in (slice(0, 2), slice(2, 5)):
        attend(network, images[batch], layers, metric.attend)
        metric.update(Outputs())
    streamed, maps = metric.compute(), attention_maps(network, images)
    assert set(streamed) == {*attention.IMAGE_COLUMNS, *attention.BLOCK_COLUMNS}
    keys = [np.mean([np.log2(layer.weights.shape[-1]) for layer in block]) if block else np.nan for block in maps]
    np.testing.assert_allclose(streamed["attention_entropy_uniform"], keys)
    # No attention is more even than that without any preference.
    assert (np.nanmax(streamed["attention_entropy"], axis=1) <= np.array(keys) + 1e-6).all()
    np.testing.assert_allclose(streamed["attention_entropy"], attention.attention_entropy(maps), rtol=1e-12)
    np.testing.assert_allclose(streamed["attention_distance"], attention.attention_distance(maps), rtol=1e-12)


def test_a_block_has_no_maps_of_blocks_whose_number_only_begins_like_its_own():
    maps = attention_maps(build("vit", depth=11), zoo.images(1))
    assert [len(block) for block in maps] == [1] * 11


def test_windows_as_large_as_the_grid_of_a_layer_that_names_no_window_are_not_among_its_patches():
    network = build("vit")
    assert _grid(network, "blocks.0.attn", torch.Size([2, 2, 16, 16]), Shape(12, 4, 4), images=2) == (4, 4, 0)
    assert _grid(network, "blocks.0.attn", torch.Size([8, 2, 16, 16]), Shape(12, 4, 4), images=2) is None


def test_a_network_without_attention_has_no_maps_and_fills_no_column():
    network = build("resnet")
    metric = metric_of(network)
    maps = attention_maps(network, zoo.images())
    assert maps == [[] for _ in block_names(network)]
    attend(network, zoo.images(), attention_layers(network, zoo.images()), metric.attend)
    metric.update(Outputs())
    assert metric.compute() == {}
    assert attention.attention_entropy(maps).shape == (4, 0)


def test_maps_are_given_away_one_by_one_and_gone_afterwards():
    network, images, alive, seen = build("vit", depth=3), zoo.images(), [], []

    def take(block, number, layer):
        assert [ref() is None for ref in alive] == [True] * block
        alive.append(weakref.ref(layer.weights.untyped_storage()))
        seen.append((block, number, layer.weights.shape))

    attend(network, images, attention_layers(network, images[:1]), take)
    assert seen == [(block, 0, (2, 1, 2, 17, 17)) for block in range(3)]


@pytest.mark.parametrize("values", [1, 2 * 17 * 17, 2**20])
def test_maps_are_widened_a_few_images_at_a_time(values, monkeypatch):
    maps, measures = (
        attention_maps(build("vit"), zoo.images(5)),
        (attention.attention_entropy, attention.attention_distance),
    )
    whole = [measure(maps) for measure in measures]
    monkeypatch.setattr(attention, "CHUNK_VALUES", values)
    for measure, expected in zip(measures, whole, strict=True):
        np.testing.assert_allclose(measure(maps), expected, rtol=1e-14)


def test_nan_in_the_stream_names_the_image_among_all():
    network, images = build("vit"), zoo.images(5)
    metric, layers = metric_of(network), attention_layers(network, images)
    attend(network, images[:2], layers, metric.attend)
    metric.update(Outputs())
    attend(network, images[2:4], layers, metric.attend)
    layer = random_map((1, 1, 2), 4, 4, 1)
    layer.weights[0, 0, 1, 3, 3] = np.nan
    with pytest.raises(ValueError, match="attention: block 1, image 4 holds NaN or infinity"):
        metric.attend(1, 0, layer)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["attention_entropy", "attention_distance"])
def test_nan_or_infinity_is_an_error_that_names_block_and_image(bad, name):
    broken = random_map((3, 1, 2), 2, 2, 1)
    broken.weights[2, 0, 1, 3, 3] = bad
    with pytest.raises(ValueError, match="attention: block 1, image 2 holds NaN or infinity"):
        getattr(attention, name)([[random_map((3, 1, 2), 2, 2, 1)], [broken]])


def test_half_precision_is_widened_before_anything_is_summed():
    layer = random_map((2, 1, 2), 4, 4, 1)
    half = layer._replace(weights=layer.weights.half())
    wide = layer._replace(weights=layer.weights.half().double())
    for name in ("attention_entropy", "attention_distance"):
        np.testing.assert_array_equal(getattr(attention, name)([[half]]), getattr(attention, name)([[wide]]))


def test_gradients_flow_through_what_a_pass_left():
    network, images = build("vit"), zoo.images()
    with softmaxes(network, ["blocks.1"]) as weights:
        network(images)
    assert list(weights) == ["blocks.1.attn"]
    weights["blocks.1.attn"].square().sum().backward()
    found = network.blocks[0].attn.qkv.weight.grad
    assert found.abs().sum() > 0 and network.blocks[1].mlp.fc1.weight.grad is None
    parameter, step = network.blocks[0].attn.qkv.weight, 1e-6
    place = np.unravel_index(int(found.abs().argmax()), found.shape)
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter[place] += sign * step
            values.append(attention_maps(network, images)[1][0].weights.square().sum().item())
            parameter[place] -= sign * step
    np.testing.assert_allclose(found[place].item(), (values[0] - values[1]) / (2 * step), rtol=1e-5)
