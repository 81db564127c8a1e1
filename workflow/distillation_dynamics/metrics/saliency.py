"""Saliency: which pixels of an image the logit of its class depends on, by three methods of captum.

In: a network in evaluation mode, images [B, C, H, W] as the network takes them (normalised), labels [B]. Out:
attributions of the same shape, and maps [B, H, W] of them. Each image is computed separately, so that its map does not
depend on the batch. Settings are those of Tian, Xu, Li, Distillation Dynamics, AAAI 2026. `Metric` fills the table
`saliency` with a map a row: the image itself and one map a method.
"""

from collections.abc import Iterator
from typing import Any

import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

from ..files import Column
from ..networks.gradients import gradients_on, known
from ..outputs import Outputs, asked_for
from ..spec.images import View
from .accumulator import Accumulator

REQUIRES = ("network",)
OPTIONS = ("methods",)
IMAGES = "saliency"
BATCH = 16
TABLES = {
    "saliency": {
        "method": Column("", "image, gradient, smoothgrad or integrated_gradients"),
        "image": Column("", "0-based position in the split"),
        "label": Column("", "class of the image, whose logit is explained; null for none"),
        "rows": Column("pixels", "rows of the map"),
        "columns": Column("pixels", "columns of the map"),
        "map": Column(
            "1 or logit",
            "row by row; image: intensity in [0, 1], mean over colours; methods: largest absolute attribution over "
            "colours, NaN where the head has no logit for the label",
        ),
    },
}
METHODS = ("gradient", "smoothgrad", "integrated_gradients")
SAMPLES = 50  # noisy copies of an image in SmoothGrad
SD = 0.15  # standard deviation of that noise, as a share of the image's range
STEPS = 50  # steps of the path in Integrated Gradients
# Copies of an image in one forward pass, if they fit the memory.
CHUNK = 10
# Seed of SmoothGrad's noise, the same for all networks and checkpoints.
NOISE_SEED = 0


def saliency(
    network: nn.Module, images: Tensor, labels: Tensor, method: str, seed: int = 0, chunk: int = CHUNK
) -> Tensor:
    """Attributions of each image's logit of its label to its values, [B, C, H, W] float32, on the images' device.

    With f the label's logit and x the image:
    `gradient`: abs(df/dx) (Simonyan, Vedaldi, Zisserman, ICLR workshop 2014).
    `smoothgrad`: mean of abs(df/dx) over SAMPLES copies of x with Gaussian noise of SD x (max x - min x) (Smilkov et
    al., 2017). The noise follows from `seed` alone, the same draws for every image (other draws on another kind of
    device); the global generator is left as it was.
    `integrated_gradients`: x times the mean of df/dx at k x / STEPS, k = 0..STEPS - 1, signed: a left Riemann sum along
    the line from zero, the data's mean colour, to x (Sundararajan, Taly, Yan, ICML 2017).

    `chunk` copies of an image go through the network at once. Raises ValueError for a network in training mode.
    """
    with gradients_on(network, images, labels) as (copies, targets):
        rows = [
            _attribute(network, image, target, method, seed, chunk)
            for image, target in zip(copies.split(1), targets.split(1), strict=True)
        ]
    return torch.cat(rows).detach().float()


def _attribute(network: nn.Module, image: Tensor, target: Tensor, method: str, seed: int, chunk: int) -> Tensor:
    """Attributions of one image [1, C, H, W]."""
    image.requires_grad_()
    if method == "gradient":
        return Saliency(network).attribute(image, target=target)
    if method == "integrated_gradients":
        return IntegratedGradients(network).attribute(
            image, target=target, n_steps=STEPS, method="riemann_left", internal_batch_size=chunk
        )
    low, high = image.detach().aminmax()
    with torch.random.fork_rng(devices=[image.device] if image.is_cuda else []):
        torch.manual_seed(seed)
        return NoiseTunnel(Saliency(network)).attribute(
            image,
            target=target,
            nt_type="smoothgrad",
            nt_samples=SAMPLES,
            nt_samples_batch_size=chunk,
            stdevs=SD * float(high - low),
        )


def saliency_map(attributions: Tensor) -> Tensor:
    """Return one map per image, [B, H, W]: the maximum over colour channels of abs(attributions [B, C, H, W])."""
    return attributions.abs().amax(dim=1)


def intensity(images: Tensor, view: View) -> Tensor:
    """Return normalised images [B, C, H, W] as intensity in [0, 1], mean over colours, [B, H, W]."""
    mean, std = (torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in (view.mean, view.std))
    return (images * std + mean).clamp(0, 1).mean(dim=1)


class Metric(Accumulator):
    """The rows of the table, image by image."""

    def begin(self) -> None:
        """Begin with no rows."""
        # Keyed by method, so that their order does not depend on the batches.
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def update(self, outputs: Outputs) -> None:
        """Add a batch of images, and what the network makes of them."""
        assert self.context.view is not None
        maps = {"image": intensity(asked_for(outputs.images), self.context.view)}
        maps |= {method: _maps(outputs, method, min(CHUNK, self.context.at_a_time)) for method in self.settings.methods}
        for method, values in maps.items():
            self._rows.setdefault(method, []).extend(_rows(method, outputs, values))

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each table of TABLES."""
        return {"saliency": [row for rows in self._rows.values() for row in rows]}


def _maps(outputs: Outputs, method: str, chunk: int) -> Tensor:
    """Return one map per image, [B, H, W]; NaN for images whose label has no logit."""
    network, images = asked_for(outputs.network), asked_for(outputs.images)
    labels = asked_for(outputs.targets).to(images.device)
    maps = torch.full((len(images), *images.shape[2:]), torch.nan, device=images.device)
    labelled = known(network, labels)
    if labelled.any():
        found = saliency(network, images[labelled], labels[labelled], method, NOISE_SEED, chunk)
        maps[labelled] = saliency_map(found)
    return maps


def _rows(method: str, outputs: Outputs, maps: Tensor) -> Iterator[dict[str, Any]]:
    """Yield a table's row for each of the maps [B, rows, columns]."""
    positions, labels = asked_for(outputs.positions).tolist(), asked_for(outputs.labels).tolist()
    for position, label, values in zip(positions, labels, maps.float().cpu().numpy(), strict=True):
        shape = {"rows": values.shape[0], "columns": values.shape[1]}
        yield {
            "method": method,
            "image": position,
            "label": label if label >= 0 else None,
            **shape,
            "map": values.ravel(),
        }
