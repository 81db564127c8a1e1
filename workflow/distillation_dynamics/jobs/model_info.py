"""What the networks of a study are, asked from timm once and remembered.

Building a network needs torch, which costs seconds; the answer is kept under `results/.networks/`, named by everything
it depends on, so that planning a study costs nothing the second time. Imports no torch itself.
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
    """Return what each network is, by owner, the key that names it in a study (`networks.vit`, `student`).

    Raises StudyError beginning with the key at fault, where timm cannot build a network or a view is not known.
    """
    keys = {owner: to_json([one, version("timm"), _code(one), _beside(owner, one)]) for owner, one in queries.items()}
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


def _beside(owner: str, query: ModelQuery) -> list[str]:
    """Return hashes of what is read of local weights: their header, and files of configuration beside them."""
    if query.released is None or not is_local(query.released):
        return []
    path = local_weights(query.released, owner)
    check_safetensors(path, other_weights(owner))
    parts = [to_json(header(path)).encode()]
    beside = [path.with_name(name) for name in ("config.json", "preprocessor_config.json")]
    parts += [file.read_bytes() for file in beside if query.released.startswith(LOCAL) and file.is_file()]
    return [hashlib.sha256(part).hexdigest() for part in parts]
