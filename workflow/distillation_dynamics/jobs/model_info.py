"""Properties of the networks of a study, asked from timm once and remembered.

Building a network needs torch, which takes seconds. The answer is kept under `results/.networks/`, named after
everything it depends on, so that later plans are fast. Imports no torch itself.
"""

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from ..errors import StudyError
from ..files import write_json
from ..networks.weights_file import LOCAL, check_safetensors, header, is_local, local_weights, other_weights
from ..spec.base import build, to_json
from ..spec.network import ModelInfo, ModelQuery
from . import own
from .asking import UnansweredError, ask
from .fingerprints import fingerprint

MODULE = "networks.inspection"


def describe(queries: dict[str, ModelQuery], cache: str | Path = "results/.networks") -> dict[str, ModelInfo]:
    """Return the properties of each network by owner, its key in a study (`networks.vit`, `student`).

    Raises StudyError that begins with the key at fault if timm cannot build a network or a view is unknown.
    """
    keys = {
        owner: to_json([one, version("timm"), _code(one), _local_files(owner, one)]) for owner, one in queries.items()
    }
    paths = {
        owner: Path(cache) / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json" for owner, key in keys.items()
    }
    found = {owner: own.read(path, ModelInfo) for owner, path in paths.items()}
    if missing := {owner: path for owner, path in paths.items() if found[owner] is None}:
        print("asking timm about the networks (once)", file=sys.stderr, flush=True)
        try:
            answered = ask(MODULE, to_json({owner: queries[owner] for owner in missing}))
        except UnansweredError as error:
            last = str(error)
            if not last.startswith("error: "):
                names = " and ".join(f"{owner}.model ({queries[owner].name})" for owner in missing)
                last = f"{names}: cannot be described ({last}); choose other arguments or another model"
            raise StudyError(last.removeprefix("error: ")) from error
        for owner, info in answered.items():
            write_json(missing[owner], info)
            found[owner] = build(ModelInfo, info)
    return {owner: info for owner, info in found.items() if info is not None}


def _code(query: ModelQuery) -> list[str]:
    return fingerprint(MODULE, *(f"networks.architectures.{name}" for name in query.architecture))


def _local_files(owner: str, query: ModelQuery) -> list[str]:
    """Return hashes of a local network's files: header of the weights, configuration files next to them."""
    if query.released is None or not is_local(query.released):
        return []
    path = local_weights(query.released, owner)
    check_safetensors(path, other_weights(owner))
    parts = [to_json(header(path)).encode()]
    configs = [path.with_name(name) for name in ("config.json", "preprocessor_config.json")]
    parts += [file.read_bytes() for file in configs if query.released.startswith(LOCAL) and file.is_file()]
    return [hashlib.sha256(part).hexdigest() for part in parts]
