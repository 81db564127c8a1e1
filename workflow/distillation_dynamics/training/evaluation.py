"""Evaluates networks: logits on a split, their top-1 and cross-entropy."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import distributed
from ..data.split import Split
from ..spec.networks import EVALUATION_BATCH


@torch.inference_mode()
def predict(
    networks: list[nn.Module],
    images: Split,
    device: torch.device,
    workers: int = 0,
    own: Callable[[int], AbstractContextManager] = lambda number: nullcontext(),
    size: int = EVALUATION_BATCH,
) -> list[np.ndarray]:
    """Return each network's logits [N, K], float32, on all images of a split in order; images are read once.

    `size` images pass at a time. The networks are left in evaluation mode. Computation for network `number` alone runs
    inside `own(number)`.
    """
    parts: list[list[Tensor]] = [[] for _ in networks]
    for network in networks:
        network.to(device).eval()
    for batch in images.evaluation(size, workers, device):
        for number, network in enumerate(networks):
            with own(number):
                parts[number].append(network(batch.images).float())
    return [distributed.joined(torch.cat(part), len(images)).cpu().numpy() for part in parts]


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the percentage of images whose largest logit [N, K] is the label's [N]."""
    return float(100 * np.mean(logits.argmax(axis=1) == labels))


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return top-1 in percent and mean cross-entropy in nats of logits [N, K]."""
    loss = F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    return top1(logits, labels), float(loss)
