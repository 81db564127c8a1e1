"""Names for the jobs that gather: networks and arms of a study, and what each arm is."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..spec.base import From
from ..spec.tables import Arm, Names, Setting, Trained
from ..spec.training import TermSpec
from ..study.study import Study, Variant
from .graph import Graph

PUBLISHED = Path(__file__).parents[3] / "resources/published"


def names_of(graph: Graph) -> Names:
    """Return the names that a study's tables contain."""
    study = graph.study
    controls = {name: f"{name}_{network.control}" for name, network in study.networks.items()}
    arms = {name: _arm(arm) for name, arm in study.variants.items()}
    return Names(tuple(controls), controls, study.teacher, arms, study.baselines, study.seeds_of_one())


def _arm(arm: Variant) -> Arm:
    return Arm(arm.variant, arm.student, arm.teacher, tuple((term.name, term.objective) for term in arm.terms))


def setting_of(graph: Graph) -> Setting | None:
    """Return the setting of a study's students, with the published numbers to compare; None without students."""
    study, arms = graph.study, {}
    for name, arm in study.variants.items():
        student = study.students[arm.student]
        models = [student.model, study.networks[arm.teacher].model]
        said, taught = (
            " ".join([model.name, *(str(part) for part in (model.args, model.architecture) if part)])
            for model in models
        )
        blocks = len(study.model_info[arm.student].shapes), len(study.model_info[arm.teacher].shapes)
        architecture = str(student.model.architecture or "")
        arms[name] = Trained(said, taught, blocks, student.recipe.epochs, _with_teachers(study, arm), architecture)
    published = by_content(sorted(PUBLISHED.glob("*.csv")))
    return Setting(arms, study.data.classes, published, study.statistics.families) if arms else None


def _with_teachers(study: Study, arm: Variant) -> tuple[TermSpec, ...]:
    """Return the terms of an arm; a teacher other than the study's is an option of the terms that use it."""
    networks = [None if term.teacher is None else arm.sources[term.teacher].network for term in arm.terms]
    return tuple(
        term if name in (None, study.teacher) else replace(term, options=term.options | {"teacher": name})
        for term, name in zip(arm.terms, networks, strict=True)
    )


def by_content(files: Sequence[Path]) -> From:
    """Return files of the project as inputs of a job."""
    content = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return From(content, files=tuple(map(str, files)))
