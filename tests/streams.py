"""What the tests of metrics share: features as the outputs of a network, and a metric's passes over them."""

import torch

from distillation_dynamics.metrics import _histogram
from distillation_dynamics.metrics.blocks import checked, extremes
from distillation_dynamics.outputs import Outputs


def outputs_of(blocks, **more):
    """Return blocks [b, C, H, W], arrays or tensors, as the features of a batch."""
    return Outputs(features={number: torch.as_tensor(block) for number, block in enumerate(blocks)}, **more)


def measure(metric, batches):
    """Stream batches through all passes of a metric; return what it computed.

    A batch is outputs, or the blocks of features, or what `attend` is given and outputs.
    """
    pairs = [batch if isinstance(batch, tuple) else ((), batch) for batch in batches]
    pairs = [(maps, batch if isinstance(batch, Outputs) else outputs_of(batch)) for maps, batch in pairs]
    for number in range(metric.passes):
        if number:
            metric.next_pass()
        for maps, batch in pairs:
            for given in maps:
                metric.attend(*given)
            metric.update(batch)
    return metric.compute()


def token_entropy(features, bins=100, limits=None):
    """Entropy of the tokens of all blocks, [B, H, W] each, in bins over `limits` (None: over all their values)."""
    blocks = [checked(block, index) for index, block in enumerate(features)]
    if limits is None:
        lows, highs = zip(*(extremes(block, index) for index, block in enumerate(blocks)), strict=True)
        limits = min(lows), max(highs)
    edges = _histogram.bin_edges(bins, *limits)
    return [_histogram.token_entropy(block, index, edges) for index, block in enumerate(blocks)]


def layer_entropy(features, bins=100, limits=None):
    """Mean entropy of the tokens of each block."""
    return [bits.mean() for bits in token_entropy(features, bins, limits)]
