"""Networks of a finished study from its records: model, view, weights.

In: the folder of a study, and a name. Out: a `Member`. A record says what a file was made from, even if the
configuration changed since. Imports no torch.
"""

from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StudyError, nearest
from ..files import read_json, sha256
from ..jobs import record
from ..jobs.task import SHARED
from ..spec.base import build
from ..spec.images import View
from ..spec.network import Model
from ..spec.runs import CHECKPOINT, WEIGHTS


class Member(NamedTuple):
    """A network or a student of a study: `name` is its network or variant, `seed` None of networks."""

    name: str
    seed: int | None
    model: Model
    view: View
    weights: Path
    sha256: str
    job: dict[str, Any]
    result: dict[str, Any]

    @property
    def folder(self) -> str:
        """Folder name of the network."""
        return self.name if self.seed is None else f"{self.name}_seed{self.seed}"


def student(folder: Path, variant: str, seed: int | None) -> Member:
    """Return a student (`seed` None: the first) with its final weights; raise StudyError if missing or damaged."""
    students = folder / "students"
    _among("VARIANT", variant, [path.name for path in sorted(students.glob("*")) if path.is_dir()], folder)
    seeds = [path.name.removeprefix("seed") for path in sorted((students / variant).glob("seed*"))]
    if seed is None and seeds:
        seed = min(map(int, seeds))
    _among("SEED", str(seed), seeds, folder)
    home = students / variant / f"seed{seed}"
    known = _record(home)
    job = known["job"]
    return _member(home, known, CHECKPOINT.format(max(job["kept"])), variant, seed, job["images"]["view"])


def network(folder: Path, study: dict[str, Any], name: str) -> Member:
    """Return a network of a study; raise StudyError if it is missing or incomplete."""
    _among("NETWORK", name, list(study["configuration"]["networks"]), folder)
    home = folder.parent / SHARED / "networks" / Path(study["shared_folders"][f"networks {name}"]).name
    known = _record(home)
    return _member(home, known, WEIGHTS[0], name, None, known["job"]["view"])


def _among(what: str, name: str, known: list[str], folder: Path) -> None:
    if name not in known:
        hint = nearest(name, known) if known else "it has none"
        raise StudyError(f"{what}: {name} is not in the study of {folder}; {hint}")


def _record(home: Path) -> dict[str, Any]:
    known = record.read(home / record.NAME)
    if known is None:
        raise StudyError(f"{home}: is not finished; run snakemake with its study first")
    return known


def _member(home: Path, known: dict[str, Any], file: str, name: str, seed: int | None, view: dict) -> Member:
    digest = known["files"][file]["sha256"]
    path = home / file
    if not path.is_file() or sha256(path) != digest:
        raise StudyError(f"{path}: has changed since it was written; run snakemake with its study again")
    seen = build(View, view | {side: tuple(view[side]) for side in ("mean", "std")})
    model = build(Model, known["job"]["model"])
    return Member(name, seed, model, seen, path, digest, known["job"], read_json(home / "result.json"))
