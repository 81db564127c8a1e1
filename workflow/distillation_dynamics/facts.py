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
from .spec.base import from_json, to_json
from .spec.images import View
from .spec.network import Model, ModelFacts


def describe(view: View, cache: str | Path = "results/.models", **models: Model) -> list[ModelFacts]:
    """Return the facts of each model on images like `view`'s; raise StudyError naming the one timm cannot build."""
    shape = {"image_size": view.image_size, "channels": view.channels, "classes": view.classes}
    keys = [to_json([shape, model, version("timm"), fingerprint("models")]) for model in models.values()]
    paths = [Path(cache) / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json" for key in keys]
    if missing := {owner: path for owner, path in zip(models, paths, strict=True) if not path.is_file()}:
        texts = to_json(view), to_json({owner: models[owner] for owner in missing})
        print("asking timm what the networks are (once)", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "distillation_dynamics.models", *texts]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            if not last.startswith("error: "):
                names = " and ".join(f"{owner}.model ({models[owner].name})" for owner in missing)
                last = f"{names}: cannot be described ({last}); choose other arguments or another model"
            raise StudyError(last.removeprefix("error: "))
        for owner, facts in json.loads(done.stdout).items():
            write_json(missing[owner], facts)
    return [from_json(ModelFacts, json.dumps(read_json(path))) for path in paths]
