"""What the tests of metrics share: features as the outputs of a network, and a metric's passes over them."""

import torch

from distillation_dynamics.outputs import Outputs


def outputs_of(blocks, **more):
    """Return blocks [b, C, H, W], arrays or tensors, as the features of a batch."""
    return Outputs(features={number: torch.as_tensor(block) for number, block in enumerate(blocks)}, **more)


def measure(metric, batches):
    """Stream batches (outputs, or the blocks of features) through all passes of a metric; return what it computed."""
    batches = [batch if isinstance(batch, Outputs) else outputs_of(batch) for batch in batches]
    for number in range(metric.passes):
        if number:
            metric.next_pass()
        for batch in batches:
            metric.update(batch)
    return metric.compute()
