"""Saliency: which pixels of an image the logit of its class depends on, by three methods of captum.

In: a network in evaluation mode, images [B, C, H, W] as the network takes them (normalised), labels [B]. Out:
attributions of the same shape, and maps [B, H, W] of them. Each image is computed alone, so that its map does not
depend on the images beside it. Settings are those of Tian, Xu, Li, Distillation Dynamics, AAAI 2026.
"""

import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

from .gradient import gradients_on

METHODS = ("gradient", "smoothgrad", "integrated_gradients")
SAMPLES = 50  # noisy copies of an image in SmoothGrad
SD = 0.15  # of that noise, as a share of the image's range
STEPS = 50  # of the path in Integrated Gradients
# Copies of an image that go through the network at once.
CHUNK = 10


def saliency(network: nn.Module, images: Tensor, labels: Tensor, method: str, seed: int = 0) -> Tensor:
    """Attributions of each image's logit of its label to its values, [B, C, H, W] float32, on the images' device.

    With f the label's logit and x the image:
    `gradient`: abs(df/dx) (Simonyan, Vedaldi, Zisserman, ICLR workshop 2014).
    `smoothgrad`: mean of abs(df/dx) over SAMPLES copies of x with Gaussian noise of SD x (max x - min x) (Smilkov et
    al., 2017). The noise follows from `seed` alone, the same draws for every image (other draws on another kind of
    device); the global generator is left as it was.
    `integrated_gradients`: x times the mean of df/dx at k x / STEPS, k = 0..STEPS - 1, signed: a left Riemann sum along
    the line from zero, the data's mean colour, to x (Sundararajan, Taly, Yan, ICML 2017).

    Raises ValueError for an unknown method, a network in training mode, and NaN or infinity in an image.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    with gradients_on(network, images, labels) as (copies, targets):
        rows = [
            _attribute(network, image, target, method, seed)
            for image, target in zip(copies.split(1), targets.split(1), strict=True)
        ]
    return torch.cat(rows).detach().float()


def _attribute(network: nn.Module, image: Tensor, target: Tensor, method: str, seed: int) -> Tensor:
    """Attributions of one image [1, C, H, W]."""
    image.requires_grad_()
    if method == "gradient":
        return Saliency(network).attribute(image, target=target)
    if method == "integrated_gradients":
        return IntegratedGradients(network).attribute(
            image, target=target, n_steps=STEPS, method="riemann_left", internal_batch_size=CHUNK
        )
    low, high = image.detach().aminmax()
    with torch.random.fork_rng(devices=[image.device] if image.is_cuda else []):
        torch.manual_seed(seed)
        return NoiseTunnel(Saliency(network)).attribute(
            image,
            target=target,
            nt_type="smoothgrad",
            nt_samples=SAMPLES,
            nt_samples_batch_size=CHUNK,
            stdevs=SD * float(high - low),
        )


def saliency_map(attributions: Tensor) -> Tensor:
    """One map an image, [B, H, W]: the maximum over colour channels of abs(attributions [B, C, H, W])."""
    return attributions.abs().amax(dim=1)
