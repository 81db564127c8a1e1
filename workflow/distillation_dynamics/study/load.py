"""The check of a study's configuration before anything runs.

`load` takes the merged configuration, fills in defaults, reports every fault in one sentence each and returns a
`Study`. Each stage gets only its slice of it (`spec`). Imports no torch.
"""

import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from typing import Any

from ..extensions import objectives
from ..spec.configured import SOURCES, Data
from ..spec.faults import read, refuse
from ..spec.images import View
from ..spec.measure import Settings, SharedSettings
from ..spec.network import ModelInfo, ModelQuery
from . import checks
from .keys import Configuration, GivenView, ProbeData, StudyData
from .pairs import pair_faults, variant_terms
from .study import STUDENT, Measure, Study

Describe = Callable[[dict[str, ModelQuery]], dict[str, ModelInfo]]


def load(config: dict[str, Any], describe: Describe) -> Study:
    """Check `config` and return the study; `describe` tells what networks are, by name.

    Raises StudyError with one line a fault: the key, what is allowed, and the nearest valid name where one is near.
    """
    whole: Configuration = read(Configuration, config)
    refuse(fault for check in checks.CHECKS for fault in check(whole))
    networks = {name: replace(part, weights=_spelt_one_way(part.weights)) for name, part in whole.networks.items()}
    whole = replace(whole, networks=networks)
    view = _whole_view(whole.view)
    data = _images("data", whole.data, view)
    probes = {name: _images(f"probes.{name}", part) for name, part in whole.probes.items()}
    refuse(checks.image_faults(whole, data))
    model_info = _info(describe, whole, view)
    variants = _variants(whole, model_info)
    configuration = _filled(config, _written(whole))
    study = Study(
        name=whole.name,
        seeds=whole.seeds,
        data=data,
        probes=probes,
        networks=networks,
        teacher=whole.teacher,
        student=whole.student,
        variants=variants,
        baseline=whole.statistics.baseline or next(iter(variants), None),
        measure=_measure(whole),
        figures=configuration["figures"],
        compute=configuration["compute"],
        state_minutes=whole.state_minutes,
        package_versions=whole.package_versions,
        model_info=model_info,
        configuration=configuration,
    )
    refuse(checks.measure_faults(study))
    if study.teacher is not None:
        refuse(checks.teacher_faults(study, study.teacher))
        refuse(pair_faults(study, study.teacher))
    return study


def _written(part: Any) -> Any:
    """Return a part of a configuration as it would be written, without the keys that are left out."""
    if is_dataclass(part):
        return {key: _written(value) for key, value in _given(part).items()}
    if isinstance(part, dict):
        return {key: _written(value) for key, value in part.items()}
    return [_written(value) for value in part] if isinstance(part, tuple | list) else part


def _filled(given: Any, whole: Any) -> Any:
    """Return the whole of what is given: that first, in its order and with its numbers as they are written."""
    if isinstance(given, dict) and isinstance(whole, dict):
        rest = {key: value for key, value in whole.items() if key not in given}
        return {key: _filled(value, whole[key]) for key, value in given.items()} | rest
    return given if isinstance(whole, float) else whole


def _spelt_one_way(weights: str | None) -> str | None:
    """Return a path spelt one way: `./images/` is `images`; the name of a model on a hub is no path."""
    kind, _, name = (weights or "").partition(":")
    if weights is None or kind == "hf-hub":
        return weights
    return f"local-dir:{os.path.normpath(name)}" if kind == "local-dir" else os.path.normpath(weights)


def _given(part: Any) -> dict[str, Any]:
    """Return the keys of a part that are not left out."""
    return {key: value for key, value in vars(part).items() if value is not None}


def _whole_view(view: GivenView) -> View | None:
    """Return the study's view where everything that it needs is given."""
    given = _given(view)
    return View(**given) if all(key in given for key in checks.VIEW) else None


def _images(key: str, part: StudyData | ProbeData, view: View | None = None) -> Data:
    """Return an image set with the files of each source, spelt one way, and how many images they hold, where it tells.

    Raises StudyError where there is none, or one that cannot be used.
    """
    reader = import_module(f"..data.sources.{part.source}", __package__)
    files, rows = {}, {}
    for source in SOURCES:
        if (given := getattr(part, source, None)) is not None:
            files[source] = tuple(reader.find(list(given) if isinstance(given, tuple) else given, f"{key}.{source}"))
            count = reader.count(files[source], part.classes, f"{key}.{source}")
            if count is not None:
                rows[source] = count
    return Data(**_given(part) | files, packed=reader.PACKED, rows=rows, view=view)


def _info(describe: Describe, whole: Configuration, view: View | None) -> dict[str, ModelInfo]:
    """Return what is known of each network, and of the student, before it has weights."""
    queries = {}
    for name, network in whole.networks.items():
        model, pretrain = network.model, network.source == "pretrain"
        classes, released = (whole.data.classes, None) if pretrain else (None, network.weights)
        given = _given(network.view)
        queries[f"networks.{name}"] = ModelQuery(
            model.name, model.args, model.initialisation, classes, given, view, released
        )
    if whole.student is not None:
        model = whole.student.model
        queries[STUDENT] = ModelQuery(model.name, model.args, model.initialisation, whole.data.classes, {}, view)
    return {owner.removeprefix("networks."): info for owner, info in describe(queries).items()}


def _variants(whole: Configuration, model_info: dict[str, ModelInfo]) -> dict[str, tuple]:
    """Return the variants, the plain ones first, whatever the order in the file: that order must not matter."""
    if whole.variants is None or whole.teacher is None:
        return {}
    known = objectives(), len(model_info[STUDENT].shapes), len(model_info[whole.teacher].shapes)
    variants = {name: variant_terms(name, terms, *known) for name, terms in whole.variants.items()}
    return dict(sorted(variants.items(), key=lambda item: (len(item[1]), item[0])))


def _measure(whole: Configuration) -> Measure:
    """Return what is measured; what the comparison needs of networks is among it."""
    measure, compare = whole.measure, whole.compare
    settings = {one.name: getattr(measure, one.name) for one in fields(SharedSettings)}
    return Measure(
        *(measure.images, measure.published_images, whole.saliency.images, compare.images),
        *(tuple(sorted(measure.metrics)), tuple(sorted(compare.metrics))),
        tuple(sorted({*measure.first_seed_only, *compare.first_seed_only})),
        Settings(**settings, tokens=compare.tokens, methods=whole.saliency.methods),
    )
