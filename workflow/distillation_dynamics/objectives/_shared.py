"""Options that several objectives have; each names those that it takes in `SHARED`, and `OPTIONS` may change a default.

This file is read and not run, as `OPTIONS` of an objective are. What `normalise_target` and `robust` say is done to the
teacher's part in one place (`targets/_prepared.py`), before an objective is handed it.
"""

OPTIONS = {
    "temperature": {
        "type": "number",
        "minimum": 0.001,
        "maximum": 1000,
        "default": 1.0,
        "description": "Temperature that divides the logits of teacher and student; higher values soften both.",
    },
    "projector": {
        "type": "string",
        "enum": ["trained", "frozen", "orthogonal"],
        "default": "trained",
        "description": "Linear map from the student's channels to the teacher's: trained with the student, frozen at "
        "random weights, or trained and kept orthogonal.",
    },
    "normalise_target": {
        "type": "boolean",
        "default": False,
        "description": "Normalises each target token over its channels (mean 0, variance 1), which removes its scale.",
    },
    "robust": {
        "type": "number",
        "minimum": 1,
        "description": "Replaces target patches whose norm is above this many times the image's median by the mean of "
        "the others; default: keeps them.",
    },
    "mask_prefix": {
        "type": "boolean",
        "default": False,
        "description": "Compares patch tokens only, without class, distillation and register tokens.",
    },
}
