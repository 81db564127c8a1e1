"""The check of a study's configuration before anything runs.

`load` takes the merged configuration, fills in defaults, reports every fault in one sentence each and returns a
`Study`. Each stage gets only its slice of it (`spec`). Imports no torch.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib import import_module
from typing import Any

from .. import extensions
from ..errors import StudyError, nearest
from ..spec.base import build
from ..spec.configured import SOURCES, Data, Network, Student
from ..spec.images import View
from ..spec.measure import Settings
from ..spec.network import ModelInfo, ModelQuery
from . import checks, faults
from .pairs import pair_faults, variant_terms
from .schema import load_schema, with_defaults
from .study import STUDENT, Measure, Study

Describe = Callable[[dict[str, ModelQuery]], dict[str, ModelInfo]]


def load(config: dict[str, Any], describe: Describe) -> Study:
    """Check `config` and return the study; `describe` tells what networks are, by name.

    Raises StudyError with one line a fault: the key, what is allowed, and the nearest valid name where one is near.
    """
    _refuse(faults.of_values(config))
    schema = load_schema()
    config = with_defaults(json.loads(json.dumps(config)), schema, schema)
    _refuse(faults.of_schema(config, schema))
    _refuse(
        [
            *faults.of_name(config["name"]),
            *faults.of_names(config),
            *checks.whole_faults(config),
            *checks.group_faults(config),
        ]
    )
    view = _whole_view(config["view"])
    data = _images("data", config["data"], view)
    probes = {name: _images(f"probes.{name}", part) for name, part in config["probes"].items()}
    for part in config["networks"].values():
        _spell_one_way(part, "weights")
    networks = {name: build(Network, part) for name, part in config["networks"].items()}
    student = build(Student, config["student"]) if "student" in config else None
    _refuse(
        [
            *checks.data_faults(data),
            *(fault for name, network in networks.items() for fault in checks.network_faults(name, network)),
            *checks.recipe_faults(config, data),
            *checks.compute_faults(config),
        ]
    )
    model_info = _info(describe, networks, student, view, data.classes)
    variants = _variants(config, model_info)
    study = Study(
        name=config["name"],
        seeds=tuple(config["seeds"]),
        data=data,
        probes=probes,
        networks=networks,
        teacher=config.get("teacher"),
        student=student,
        variants=variants,
        baseline=_baseline(config, variants),
        measure=_measure(config),
        figures=config["figures"],
        compute=config["compute"],
        state_minutes=float(config["state_minutes"]),
        package_versions=config["package_versions"],
        model_info=model_info,
        configuration=config,
    )
    _refuse(checks.measure_faults(study))
    if study.teacher is not None:
        _refuse(checks.teacher_faults(study, study.teacher))
        _refuse(pair_faults(study, study.teacher))
    return study


def _refuse(found: Iterable[str]) -> None:
    if sentences := list(found):
        raise StudyError("\n".join(sentences))


def _spell_one_way(part: dict[str, Any], key: str) -> None:
    """Spell a path one way: `./images/` is `images`; the name of a model on a hub is no path."""
    value = part.get(key)
    kind, colon, name = value.partition(":") if value else ("", "", "")
    if colon and kind in ("hf-hub", "local-dir"):
        part[key] = value if kind == "hf-hub" else f"local-dir:{os.path.normpath(name)}"
    elif value:
        part[key] = os.path.normpath(value)


def _whole_view(given: dict[str, Any]) -> View | None:
    """Return the study's view where everything that it needs is given."""
    return build(View, given) if all(key in given for key in checks.VIEW) else None


def _images(key: str, given: dict[str, Any], view: View | None = None) -> Data:
    """Return an image set with the files of each source, spelt one way, and how many images they hold, where it tells.

    Raises StudyError where there is none, or one that cannot be used.
    """
    reader = import_module(f"..data.sources.{given['source']}", __package__)
    part = given | {"packed": reader.PACKED, "rows": {}}
    for source in SOURCES:
        if source in given:
            part[source] = list(reader.find(given[source], f"{key}.{source}"))
            count = reader.count(part[source], given.get("classes"), f"{key}.{source}")
            if count is not None:
                part["rows"][source] = count
    return build(Data, part | {"view": None if view is None else asdict(view)})


def _info(
    describe: Describe, networks: dict[str, Network], student: Student | None, view: View | None, classes: int | None
) -> dict[str, ModelInfo]:
    """Return what is known of each network, and of the student, before it has weights."""
    queries = {}
    for name, network in networks.items():
        model, released = network.model, None if network.source == "pretrain" else network.weights
        own = classes if network.source == "pretrain" else None
        queries[f"networks.{name}"] = ModelQuery(
            *(model.name, model.args, model.initialisation), own, network.view, view, released
        )
    if student is not None:
        model = student.model
        queries[STUDENT] = ModelQuery(model.name, model.args, model.initialisation, classes, {}, view)
    return {owner.removeprefix("networks."): info for owner, info in describe(queries).items()}


def _variants(config: dict[str, Any], model_info: dict[str, ModelInfo]) -> dict[str, tuple]:
    """Return the variants, the plain ones first, whatever the order in the file: that order must not matter."""
    if "variants" not in config:
        return {}
    depths = len(model_info[STUDENT].shapes), len(model_info[config["teacher"]].shapes)
    variants = {name: variant_terms(name, terms, *depths) for name, terms in config["variants"].items()}
    return dict(sorted(variants.items(), key=lambda item: (len(item[1]), item[0])))


def _baseline(config: dict[str, Any], variants: dict[str, tuple]) -> str | None:
    if not variants:
        return None
    baseline = config["statistics"].get("baseline", next(iter(variants)))
    if baseline not in variants:
        known = nearest(baseline, list(variants))
        raise StudyError(f"statistics.baseline: there is no variant {faults.said(baseline)}; {known}")
    return baseline


def _measure(config: dict[str, Any]) -> Measure:
    """Return what is measured; what the comparison needs of networks is among it."""
    measure, saliency, compare = config["measure"], config["saliency"], config["compare"]
    settings = {key: value for key, value in measure.items() if key in Settings.__dataclass_fields__}
    settings |= {"tokens": compare["tokens"], "methods": saliency["methods"]}
    return Measure(
        *(measure.get("images"), measure.get("published_images"), saliency.get("images"), compare.get("images")),
        *(tuple(sorted(measure["metrics"])), tuple(sorted(compare["metrics"]))),
        tuple(sorted({*measure["first_seed_only"], *compare["first_seed_only"]})),
        build(Settings, settings),
    )


def metrics_of(study: Study, network: str | None = None, seed: int | None = None) -> dict[str, extensions.Metric]:
    """Return the metrics that are measured of a network (None: of a student of that seed), by name.

    The rows that comparisons take are among them wherever it is compared.
    """
    without = set(study.networks[network].without) if network is not None else _only_once(study, seed)
    names = {*study.measure.metrics} - without
    if pairs_of(study, seed):
        names |= {"rows"} - (without if network is not None else set())
    return {name: metric for name, metric in extensions.metrics().items() if name in names}


def pairs_of(study: Study, seed: int | None = None) -> tuple[str, ...]:
    """Return the pair metrics that are measured of networks (None), or of students of that seed with the teacher."""
    return tuple(name for name in study.measure.pairs if name not in _only_once(study, seed))


def _only_once(study: Study, seed: int | None) -> set[str]:
    """Return the metrics that students of this seed are not measured by; none of the first seed and of networks."""
    return set() if seed in (None, *study.seeds[:1]) else set(study.measure.once)
