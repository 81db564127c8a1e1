"""Single terms of a loss, made up for tests of what objectives compute: made of sizes alone, in float64."""

from importlib import import_module

import torch

from distillation_dynamics import extensions
from distillation_dynamics.objective import Pair
from distillation_dynamics.spec.network import BlockSize, NetworkSize

STUDENT, TEACHER = BlockSize(6, 3, 4, 1, 0, 2, 6), BlockSize(10, 3, 4, 1, 0, 4, 10)


def made(name, *pairs, **options):
    """The term of an objective for pairs of blocks (by default one of STUDENT and TEACHER) in float64."""
    pairs = [Pair(*pair) for pair in pairs or [(STUDENT, TEACHER)]]
    networks = [NetworkSize(5, blocks[-1].channels, blocks) for blocks in zip(*pairs, strict=True)]
    declared = extensions.objectives()[name].options.items()
    defaults = {key: option.default for key, option in declared if option.default is not None}
    torch.manual_seed(0)
    return import_module(f"distillation_dynamics.objectives.{name}").Loss(defaults | options, *networks, pairs).double()


def features(seed, size=STUDENT, images=5, scale=1.0):
    """Random features [images, C, H, W] of a block."""
    shape = images, size.channels, size.rows, size.columns
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def both(images=5, seed=0, pair=(STUDENT, TEACHER), scale=1.0):
    """Random features of student and teacher in a pair of blocks."""
    return tuple(features(seed + place, size, images, scale) for place, size in enumerate(pair))
