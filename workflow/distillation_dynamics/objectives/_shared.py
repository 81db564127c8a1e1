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
        "description": "that the logits of both are divided by",
    },
    "projector": {
        "type": "string",
        "enum": ["trained", "frozen", "orthogonal"],
        "default": "trained",
        "description": "linear map of the student's channels to the teacher's: trained with the student, kept as it is "
        "drawn, or trained and kept orthogonal",
    },
    "normalise_target": {
        "type": "boolean",
        "default": False,
        "description": "each token of the target gets mean 0 and variance 1 over its channels (LayerNorm)",
    },
    "robust": {
        "type": "number",
        "minimum": 1,
        "description": "patches of the target whose norm is above this many times the median norm of their image's are "
        "replaced by the mean of the others; left out: none are",
    },
    "mask_prefix": {
        "type": "boolean",
        "default": False,
        "description": "leave class, distillation and register tokens out, and compare patches alone",
    },
}
