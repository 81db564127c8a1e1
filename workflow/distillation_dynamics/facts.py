"""What the models of a study are, asked from timm once and remembered.

Building a model needs torch, which costs seconds; the answer is kept under `results/.models/`, named by everything it
depends on, so that planning a study costs nothing the second time. Imports no torch itself.
"""

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from .errors import StudyError
from .files import read_json, write_json
from .sources import fingerprint
from .study import Data, Model, ModelFacts, from_json, to_json


def describe(data: Data, model: Model, cache: str | Path = "results/.models") -> ModelFacts:
    """Return the facts of `model` on images like `data`'s; raise StudyError when timm cannot build it."""
    shape = {"image_size": data.image_size, "channels": data.channels, "classes": data.classes}
    key = to_json([shape, model, version("timm"), fingerprint("models")])
    path = Path(cache) / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if not path.is_file():
        command = [sys.executable, "-m", "distillation_dynamics.models", to_json(data), to_json(model)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["it ended without a word"]
            raise StudyError(lines[-1].removeprefix("error: "))
        write_json(path, json.loads(done.stdout)[0])
    return from_json(ModelFacts, json.dumps(read_json(path)))
