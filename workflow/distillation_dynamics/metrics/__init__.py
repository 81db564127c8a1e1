"""Measures of a network's block features: channel spectrum, token entropy and activation magnitude.

In: features [L, B, C, H, W] (block, image, channel, row, column), or a sequence of L blocks [B, C, H, W], in
NumPy or PyTorch. Out: NumPy float64. The definitions are those of Tian, Xu, Li, Distillation Dynamics, AAAI
2026.
"""

from .entropy import layer_entropy, token_entropy, value_range
from .magnitude import activation_magnitude, image_scalars
from .similarity import cosine_to_first
from .spectrum import channel_spectrum, image_intensity, spectral_intensity

__all__ = [
    "activation_magnitude",
    "channel_spectrum",
    "cosine_to_first",
    "image_intensity",
    "image_scalars",
    "layer_entropy",
    "spectral_intensity",
    "token_entropy",
    "value_range",
]
