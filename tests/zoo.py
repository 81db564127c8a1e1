"""The networks of all tests: small ones of many families of timm, each built once a process.

`model(family)` says what it is, `network(family)` returns a copy of its own of the network built of it.
"""

import copy
from functools import cache

import torch

from distillation_dynamics.networks.build import build
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model

VIT = {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2}
PYRAMID = {"embed_dims": (8, 12, 16, 24), "num_heads": (1, 2, 2, 4), "depths": (1, 1, 2, 1)}
SWIN = {"patch_size": 2, "embed_dim": 12, "depths": (2, 1), "num_heads": (1, 2), "window_size": 4}
# Family -> timm's name, and what makes it small.
FAMILIES = {
    "vit": ("vit_tiny_patch16_224", VIT),
    "registers": ("vit_tiny_patch16_224", VIT | {"reg_tokens": 3}),
    "mean_pooled": ("vit_tiny_patch16_224", VIT | {"global_pool": "avg", "class_token": False}),
    "mean_pooled_with_class": ("vit_tiny_patch16_224", VIT | {"global_pool": "avg"}),
    "mean_pooled_with_registers": ("vit_tiny_patch16_224", VIT | {"global_pool": "avg", "reg_tokens": 2}),
    "distilled": ("deit_tiny_distilled_patch16_224", VIT),
    "mae": ("vit_base_patch16_224.mae", VIT),
    "dinov2": ("vit_small_patch14_dinov2", {"embed_dim": 24, "depth": 4, "num_heads": 2}),
    "deit3": ("deit3_small_patch16_224", {"embed_dim": 24, "depth": 4, "num_heads": 2, "patch_size": 7}),
    "dinov3": ("vit_small_patch16_dinov3", VIT | {"embed_dim": 24}),
    "eupe": ("vit_tiny_patch16_dinov3_qkvb", VIT | {"embed_dim": 24}),
    "flexivit": ("flexivit_small", VIT),
    "beit": ("beit_base_patch16_224", VIT),
    "beitv2": ("beitv2_base_patch16_224", VIT),
    "siglip": ("vit_base_patch16_siglip_224", VIT),
    "naflex": ("naflexvit_base_patch16_gap", VIT),
    "naflex_siglip2": ("naflexvit_base_patch16_siglip", VIT),
    "naflex_radio": ("naflexvit_base_patch16_radio_v3", VIT | {"pos_embed_grid_size": (6, 6)}),
    "radio": ("vit_so400m_patch16_radio_v4", VIT | {"mlp_ratio": 2}),
    "eva": ("eva02_tiny_patch14_224", {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}),
    "cait": ("cait_xxs24_224", {"patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}),
    "swin": ("swin_tiny_patch4_window7_224", SWIN),
    # Windows of 5 on grids of 16 and 8 are padded to 20 and 10.
    "swin_padded": ("swin_tiny_patch4_window7_224", SWIN | {"window_size": 5}),
    # Other numbers of channels than of rows and columns at 32 pixels.
    "resnet": ("resnet10t", {"stem_width": 8, "channels": (12, 16, 20, 24)}),
    "convnext": ("test_convnext", {}),
    "efficientnet": ("test_efficientnet", {}),
    "regnet": ("regnetx_002", {}),
    "hiera": ("hiera_tiny_224", {"embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1)}),
    "twins": ("twins_svt_small", PYRAMID | {"wss": (2,) * 4}),
    "twins_pcpvt": ("twins_pcpvt_small", PYRAMID),
    "pvt": ("pvt_v2_b0", {"embed_dims": (8, 8, 10, 16)}),
    "davit": ("davit_tiny", {"embed_dims": (8, 8, 16, 16), "num_heads": (1, 1, 2, 2), "depths": (1, 1, 1, 1)}),
    "tiny_vit": (
        "tiny_vit_5m_224",
        {"embed_dims": (8, 8, 16, 16), "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2), "window_sizes": (4,) * 4},
    ),
    "mvitv2": ("mvitv2_tiny", {}),
    # As many channels a head as there are patches of an image of 64 pixels.
    "xcit": ("xcit_nano_12_p16_224", {"embed_dim": 32, "num_heads": 2, "depth": 2}),
    "tnt": (
        "tnt_s_legacy_patch16_224",
        {"embed_dim": 16, "inner_dim": 8, "depth": 2, "num_heads_inner": 2, "num_heads_outer": 2},
    ),
    "crossvit": (
        "crossvit_tiny_240",
        {"embed_dim": (8, 16), "num_heads": (1, 2), "depth": ((1, 2, 0), (1, 2, 0)), "img_scale": (1, 1)},
    ),
    "coat": ("coat_lite_tiny", {"embed_dims": (16, 16, 24, 32), "serial_depths": (1, 1, 1, 1)}),
    "vgg": ("vgg11", {"mlp_ratio": 1 / 64}),
    "nest": ("nest_tiny", {}),
    "rexnet": ("rexnet_100", {"width_mult": 0.3}),
    "volo": ("volo_d1_224", {}),
    "pit": ("pit_ti_224", {"base_dims": (8, 8, 8), "depth": (1, 1, 1), "heads": (1, 2, 2)}),
    "hrnet": ("hrnet_w18_small", {}),
    "levit": ("levit_128s", {"embed_dim": (16, 24), "num_heads": (1, 2), "depth": (1, 1), "key_dim": 8}),
}


def view(size=32, channels=3) -> View:
    """The images of the zoo, as they are."""
    return View(channels, size, (0.0,) * channels, (1.0,) * channels)


def of_depth(family, depth) -> dict:
    """The argument that makes a family so deep, where it is one of plain blocks."""
    return {"depth": depth} if isinstance(FAMILIES[family][1].get("depth"), int) else {}


def model(family, classes=5, **arguments) -> Model:
    """What a network of a family is, with other arguments than the zoo's where they are given."""
    name, small = FAMILIES[family]
    return Model(name, small | arguments, "timm", classes)


def network(family, size=32, classes=5, noise=0.1, seed=0, **arguments) -> torch.nn.Module:
    """A network of a family in evaluation, its parameters moved by random `noise`.

    timm starts heads, projections and positions near zero, where all gradients and attention look alike.
    """
    return copy.deepcopy(_built(family, size, classes, noise, seed, **arguments))


@cache
def _built(family, size, classes, noise, seed, **arguments):
    torch.manual_seed(seed)
    result = build(model(family, classes, **arguments), view(size))
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return result.eval()


def images(count=2, size=32, seed=1) -> torch.Tensor:
    """Random images [N, 3, size, size] in float64."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
