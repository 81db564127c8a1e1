"""Options shared by objectives; each objective lists its own in `SHARED` and may change a default in `OPTIONS`.

This file is read and not run, like the `OPTIONS` of an objective. `normalise_target` and `robust` are applied to the
teacher's output in `targets/_prepared.py` before an objective receives it.
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
