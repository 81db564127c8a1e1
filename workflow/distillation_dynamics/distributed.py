"""Training in several processes, as torchrun starts them; in a single process every function is the identity.

Each process takes every world-th image of a batch. Losses are means over the batch, so the mean of the processes'
gradients is the gradient of the whole batch; batch statistics are summed over processes (`summed`).
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def world() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process; process 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started, if it did, while the block runs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients of all processes in one transfer; does nothing in a single process.

    Instead of DistributedDataParallel, since a batch may come in parts, and several networks train in turn.
    """
    if world() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def share_buffers(network: nn.Module) -> None:
    """Copy the buffers (running statistics) of the first process to all."""
    if world() > 1:
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)


def share(positions: np.ndarray) -> np.ndarray:
    """Return this process's part of the positions in a batch or split."""
    return positions[rank() :: world()]


def summed(value: Tensor) -> Tensor:
    """Return the sum of a tensor over processes, differentiable."""
    return value if world() == 1 else all_reduce(value)


def gathered(rows: Tensor) -> Tensor:
    """Return the rows of all processes, concatenated and differentiable; each process has the same number."""
    if world() == 1:
        return rows
    whole = rows.new_zeros(world(), *rows.shape)
    whole[rank()] = rows
    return summed(whole).flatten(0, 1)


def mean(values: Tensor) -> Tensor:
    """Return the mean of a tensor over processes, not differentiable."""
    if world() > 1:
        dist.all_reduce(values)
        values = values / world()
    return values


def anywhere(flag: bool, device: torch.device) -> bool:
    """Return whether `flag` is set in any process."""
    if world() == 1:
        return flag
    found = torch.tensor(float(flag), device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


def joined(rows: Tensor, count: int) -> Tensor:
    """Return all `count` rows in order, from the `share` of each process."""
    if world() == 1:
        return rows
    length = -(-count // world())
    padded = torch.cat([rows, rows.new_zeros(length - len(rows), *rows.shape[1:])])
    parts = [torch.empty_like(padded) for _ in range(world())]
    dist.all_gather(parts, padded.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


def collected(value: Any) -> list:
    """Return a Python value of all processes as a list."""
    values = [value] * world()
    if world() > 1:
        dist.all_gather_object(values, value)
    return values
