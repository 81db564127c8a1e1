"""Trains a head for a network that has none: a linear classifier on its pooled features of labelled images.

Features are standardised; the classifier is multinomial logistic regression with an L2 penalty, fitted by L-BFGS in
float64. The penalty is the one with the least loss on the validation images. Standardisation is folded into the weights
of timm's own classifier, so the network is a plain timm network afterwards.
"""

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from torch import nn

from .. import distributed
from ..data.split import Split
from ..errors import StudyError
from ..outputs import Request, asked_for
from ..spec.networks import EVALUATION_BATCH
from .answers import run
from .blocks import TimmNetwork

# Factors of half the squared weights (for standardised features) added to the mean cross-entropy, weak to strong.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
MOST_STEPS = 300


def fit(rows: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [K, D] and bias [K] that minimise mean cross-entropy + penalty / 2 x squared weights.

    `rows` [n, D] are standardised, `labels` [n] are class indices; the bias has no penalty.
    """
    wanted = np.eye(classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = np.split(flat.reshape(classes, -1), [rows.shape[1]], axis=1)
        logits = rows @ weight.T + bias.T
        value = (
            np.mean(logsumexp(logits, axis=1) - (logits * wanted).sum(axis=1)) + penalty / 2 * np.square(weight).sum()
        )
        off = (softmax(logits, axis=1) - wanted) / len(rows)
        return value, np.column_stack([off.T @ rows + penalty * weight, off.sum(axis=0)]).ravel()

    start = np.zeros(classes * (rows.shape[1] + 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS}).x
    weight, bias = np.split(found.reshape(classes, -1), [rows.shape[1]], axis=1)
    return weight, bias[:, 0]


def pooled(network: nn.Module, images: Split, device: torch.device, workers: int, size: int) -> np.ndarray:
    """Return the pooled features of all images of a split, [n, D] in float64, computed `size` images at a time."""
    network.to(device).eval()
    with torch.inference_mode():
        batches = images.evaluation(size, workers, device)
        said = [run(network, batch.images, Request(pooled=True)) for batch in batches]
        parts = [asked_for(outputs.pooled).float() for outputs in said]
    return distributed.joined(torch.cat(parts), len(images)).cpu().double().numpy()


def add_head(
    network: TimmNetwork,
    classes: int,
    images: Split,
    held: Split | None,
    device: torch.device,
    workers: int = 0,
    size: int = EVALUATION_BATCH,
) -> dict[str, Any]:
    """Train a linear classifier for `classes` on pooled features of `images`, and set it as the network's head.

    `size` images pass at a time. `held` selects the penalty; without it the second one is used. Returns a summary for
    `result.json`. Raises StudyError, beginning with the key, if timm's classifier is not a linear layer on the pooled
    features, or features are not finite.
    """
    rows = pooled(network, images, device, workers, size)
    if not np.isfinite(rows).all():
        raise StudyError("weights: its pooled features are not finite; give other weights")
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    # A constant feature has a spread from rounding, which must not become a divisor.
    spread[spread <= 1e-12 * np.abs(centre)] = 1.0
    others = None if held is None else (pooled(network, held, device, workers, size) - centre) / spread

    def held_out(weight: np.ndarray, bias: np.ndarray) -> float:
        assert others is not None and held is not None
        logits = others @ weight.T + bias
        return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(logits)), held.labels]))

    penalties = PENALTIES[1:2] if held is None else PENALTIES
    standardised = (rows - centre) / spread
    fitted = {penalty: fit(standardised, images.labels, classes, penalty) for penalty in penalties}
    penalty = min(fitted, key=lambda one: held_out(*fitted[one])) if len(fitted) > 1 else penalties[0]
    weight, bias = fitted[penalty]
    weight = weight / spread
    network.reset_classifier(classes)
    head = network.get_classifier()
    if not isinstance(head, nn.Linear) or head.weight.shape != weight.shape or head.bias is None:
        raise StudyError(
            f"head.probe: the classifier of {type(network).__name__} is no linear layer of its {rows.shape[1]} pooled "
            "features; choose another network, or leave head out and use only its features"
        )
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias - weight @ centre))
    network.to(device).eval()
    return {"probe_images": len(images), "probe_penalty": penalty}
