"""The teacher's architecture untrained in its place: what any fixed function of the image does.

Its weights are those of the teacher's control (`networks.<name>.control`: untrained or unit_layer_scale).
"""

WEIGHTS = "untrained"
