"""A network that is measured: everything that a request may ask of it, batch after batch."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from ..errors import say_once
from ..outputs import Outputs, Request, asked_for
from .answers import forward, outputs_of
from .attention import attention_maps
from .blocks import block_names, chosen, classes_of
from .gradients import block_gradients
from .lens import lens


class Observer:
    """Answers requests to a network in evaluation mode."""

    def __init__(self, network: nn.Module):
        self.network = network
        self.block_names = block_names(network)

    def __call__(self, images: Tensor, request: Request, labels: Tensor | None = None) -> Outputs:
        """Return what is asked for images [B, C, H, W]; `labels` [B] are numbers of the head's logits (-1: none).

        One forward pass gives all but attention and gradients, which take one of their own each. Without a head there
        are no logits and no lens. Raises ValueError where gradients are asked of a network in training mode;
        NotFinite for NaN or infinity in gradients or under the lens.
        """
        network = self.network
        with torch.no_grad():
            outputs = self._passed(images, request)
            if request.attention:
                maps = attention_maps(network, images)
                outputs.attention = {block: maps[block] for block in chosen(network, request.attention)}
        if request.gradients:
            gradients = block_gradients(network, images, asked_for(labels))
            outputs.gradients = {block: gradients[block] for block in chosen(network, request.gradients)}
        if request.network:
            outputs.network, outputs.images = network, images
        return outputs

    def _passed(self, images: Tensor, request: Request) -> Outputs:
        if request.lens and classes_of(self.network) == 0:
            say_once(f"lens: its columns stay empty for {type(self.network).__name__}, which has no head")
            request = replace(request, lens=())
        passed = forward(self.network, images, request)
        outputs = outputs_of(self.network, request, passed)
        if request.lens:
            found = lens(self.network, asked_for(passed.final), passed.features, passed.prefix)
            outputs.lens = {block: found[block] for block in chosen(self.network, request.lens) if block in found}
        return outputs
