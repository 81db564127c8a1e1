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


def describe(data: Data, *models: Model, cache: str | Path = "results/.models") -> list[ModelFacts]:
    """Return the facts of each model on images like `data`'s; raise StudyError when timm cannot build one."""
    shape = {"image_size": data.image_size, "channels": data.channels, "classes": data.classes}
    keys = [to_json([shape, model, version("timm"), fingerprint("models")]) for model in models]
    paths = [Path(cache) / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json" for key in keys]
    if missing := [(path, model) for path, model in zip(paths, models, strict=True) if not path.is_file()]:
        texts = [to_json(part) for part in (data, *(model for _, model in missing))]
        command = [sys.executable, "-m", "distillation_dynamics.models", *texts]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["it ended without a word"]
            raise StudyError(lines[-1].removeprefix("error: "))
        for (path, _), facts in zip(missing, json.loads(done.stdout), strict=True):
            write_json(path, facts)
    return [from_json(ModelFacts, json.dumps(read_json(path))) for path in paths]
