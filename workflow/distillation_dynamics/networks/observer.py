"""Runs a network for metrics: answers any request, batch after batch."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..errors import say_once
from ..outputs import GradientOf, Outputs, Request, asked_for
from ..spec.measure import Batches
from .answers import forward, outputs_of
from .attention import Attend, Layer, attending, attention_layers
from .blocks import block_names, chosen, classes_of
from .device import give_back
from .gradients import block_gradients, joined, known, repeated
from .lens import lens

# Number of images used to find layers with maps between patches.
FEW = 2
USUAL = Batches()


class Observer:
    """Answers requests to a network in evaluation mode; `batches` limits memory."""

    def __init__(self, network: nn.Module, batches: Batches = USUAL):
        self.network, self.batches = network, batches
        self.block_names = block_names(network)
        self._layers: dict[str, Layer] | None = None
        self._unlabelled: list[GradientOf] | None = None

    def __call__(
        self, images: Tensor, request: Request, labels: Tensor | None = None, take: Attend | None = None
    ) -> Outputs:
        """Return the requested outputs for images [B, C, H, W]; `labels` [B] are indices of logits (-1: none).

        One forward pass gives all but gradients, which need their own pass with `batches` images at a time. Attention
        maps are passed to `take` layer by layer, also a few images at a time, and not kept. Without a head there are no
        logits and no lens. Raises ValueError if gradients are requested of a network in training mode; NotFinite for
        NaN or infinity in gradients or lens.
        """
        network = self.network
        # Free the memory of the previous batch.
        give_back()
        with torch.no_grad():
            outputs = self._passed(images, request, take)
        if request.gradients:
            gradients = self._gradients(images, asked_for(labels))
            outputs.gradients = {block: gradients[block] for block in chosen(network, request.gradients)}
        if request.network:
            outputs.network, outputs.images = network, images
        return outputs

    def _passed(self, images: Tensor, request: Request, take: Attend | None) -> Outputs:
        if request.lens and classes_of(self.network) == 0:
            say_once(f"lens: its columns stay empty for {type(self.network).__name__}, which has no head")
            request = replace(request, lens=())
        with self._attending(images, request, take):
            passed = forward(self.network, images, request)
        outputs = outputs_of(self.network, request, passed)
        if request.lens:
            found = lens(self.network, asked_for(passed.final), passed.features, passed.prefix)
            outputs.lens = {block: found[block] for block in chosen(self.network, request.lens) if block in found}
        return outputs

    def _gradients(self, images: Tensor, labels: Tensor) -> list[GradientOf]:
        if known(self.network, labels).any():
            parts = zip(images.split(self.batches.gradients), labels.split(self.batches.gradients), strict=True)
            return joined([block_gradients(self.network, *part) for part in parts])
        if self._unlabelled is None:
            # Only NaN; one image is enough for the shapes.
            self._unlabelled = block_gradients(self.network, images[:1], labels[:1])
        return repeated(self._unlabelled, len(images))

    def _attending(self, images: Tensor, request: Request, take: Attend | None) -> AbstractContextManager[None]:
        if not request.attention:
            return nullcontext()
        if self._layers is None:
            self._layers = attention_layers(self.network, images[:FEW])
        blocks = chosen(self.network, request.attention)
        layers = {name: layer for name, layer in self._layers.items() if layer.block in blocks}
        return attending(self.network, layers, asked_for(take), len(images), self.batches.attention)
