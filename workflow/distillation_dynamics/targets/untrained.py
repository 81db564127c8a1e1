"""An untrained network of the teacher's architecture: the effect of any fixed function of the image.

Its weights are those of the teacher's control (`networks.<name>.control`: untrained or unit_layer_scale).
"""

WEIGHTS = "untrained"
