"""The check of a study's configuration before anything runs.

`load` fills in defaults of the merged configuration, reports every fault in one sentence, and returns a `Study`. Each
stage gets only its part of it (`spec`). Imports no torch.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass, replace
from importlib import import_module
from typing import Any

from .. import extensions
from ..data.source import READER_KEYS, options_of
from ..errors import StudyError
from ..spec.configured import SOURCES, Data
from ..spec.faults import read, refuse, said
from ..spec.images import WHITE, View
from ..spec.network import ModelInfo, ModelQuery
from . import checks
from .counts import image_faults
from .keys import Configuration, ProbeData, StudyData
from .pairs import Known, variant_terms
from .students import arms_of, key_of, students_of, terms_of
from .study import Study, Variant
from .term_checks import term_faults

Describe = Callable[[dict[str, ModelQuery]], dict[str, ModelInfo]]


def load(config: dict[str, Any], describe: Describe) -> Study:
    """Check `config` and return the study; `describe` returns facts about networks, by name.

    Raises StudyError with one line per fault: the key, what is allowed, and the nearest valid name.
    """
    whole: Configuration = read(Configuration, config)
    refuse(fault for check in checks.CHECKS for fault in check(whole))
    networks = {name: replace(part, weights=_spelt_one_way(part.weights)) for name, part in whole.networks.items()}
    whole = replace(whole, networks=networks)
    given = _given(whole.view)
    view = View(**given) if given.keys() >= set(checks.VIEW) else None
    data = _images("data", whole.data, view)
    probes = {name: _images(f"probes.{name}", part) for name, part in whole.probes.items()}
    rows = {"data": data.rows} | {f"probes.{name}": probe.rows for name, probe in probes.items()}
    refuse(image_faults(whole, data, rows))
    asked = describe(_queries(whole, view))
    model_info = {owner.partition(".")[2] or owner: info for owner, info in asked.items()}
    refuse(checks.head_faults(whole, model_info))
    model_info |= {name: _with_head(model_info[name], whole) for name, part in whole.networks.items() if part.head}
    variants = _variants(whole, model_info)
    configuration = _filled(config, whole)
    as_written = {part: configuration[part] for part in ("figures", "compute")}
    as_given = {part: value for part, value in vars(whole).items() if part not in ("view", "student")}
    found = {"data": data, "probes": probes, "students": students_of(whole), "variants": variants}
    found |= {"model_info": model_info}
    study = Study(**as_given | as_written | found, configuration=configuration)
    refuse(checks.measure_faults(study))
    refuse(checks.teacher_faults(study))
    refuse(term_faults(study))
    return study


def _filled(given: Any, whole: Any) -> Any:
    """Return a part of a configuration as it would be written, without missing keys.

    Given keys come first, in their order and with numbers as written.
    """
    whole = _given(whole) if is_dataclass(whole) else whole
    if isinstance(whole, dict):
        given = given or {}
        return {key: _filled(given.get(key), whole[key]) for key in dict.fromkeys([*given, *whole])}
    if isinstance(whole, tuple | list):
        return [_filled(None, value) for value in whole]
    return given if isinstance(whole, float) and given is not None else whole


def _spelt_one_way(weights: str | None) -> str | None:
    """Return a path in normal form: `./images/` becomes `images`; names of models on a hub are unchanged."""
    kind, _, name = (weights or "").partition(":")
    if weights is None or kind == "hf-hub":
        return weights
    return f"local-dir:{os.path.normpath(name)}" if kind == "local-dir" else os.path.normpath(weights)


def _given(part: Any) -> dict[str, Any]:
    """Return the given keys of a part."""
    return {key: value for key, value in vars(part).items() if value is not None}


def _images(key: str, part: StudyData | ProbeData, view: View | None = None) -> Data:
    """Return an image set with the files of each source in normal form, and their numbers of images if known.

    Raises StudyError if a file is missing or unusable.
    """
    reader = import_module(f"..data.sources.{part.source}", __package__)
    options, files, rows = options_of(reader, part), {}, {}
    others = (name for name in READER_KEYS if name not in options and getattr(part, name) != getattr(type(part), name))
    refuse(f"{key}.{name}: has no effect with source {part.source}; remove it" for name in others)
    for source in SOURCES:
        if (given := getattr(part, source, None)) is not None:
            files[source] = tuple(reader.find(list(given) if isinstance(given, tuple) else given, f"{key}.{source}"))
            count = reader.count(files[source], part.classes, f"{key}.{source}", **options)
            if count is not None:
                rows[source] = count
    seen = {"packed": reader.PACKED, "rows": rows, "view": view, "background": _colour(part.background, key)}
    return Data(**_given(part) | files | seen)


def _colour(given: str, key: str) -> str:
    """Return a colour in normal form; raise StudyError if it is invalid or transparent."""
    if given == WHITE:
        return given
    # Imported here, because importing Pillow takes longer than everything else.
    from PIL import ImageColor

    parts: tuple[int, ...] = ()
    with suppress(ValueError):
        parts = ImageColor.getrgb(given)
    if len(parts) != 3:
        raise StudyError(f"{key}.background: {said(given)} is not a colour; give a name (white) or its parts (#ffffff)")
    return WHITE if parts == (255,) * 3 else "#{:02x}{:02x}{:02x}".format(*parts)


def _queries(whole: Configuration, view: View | None) -> dict[str, ModelQuery]:
    """Return the query for each network and student, by the key that names it."""
    queries = {}
    for name, network in whole.networks.items():
        classes = whole.data.classes if network.weights is None else None
        given, released = _given(network.view), network.weights
        queries[f"networks.{name}"] = ModelQuery(
            **vars(network.model), classes=classes, view=given, default=view, released=released
        )
    for name, student in students_of(whole).items():
        query = ModelQuery(**vars(student.model), classes=whole.data.classes, default=view)
        queries[key_of(whole, name)] = query
    return queries


def _with_head(info: ModelInfo, whole: Configuration) -> ModelInfo:
    """Return a network with its new head, a linear layer with one output per class."""
    size, classes = info.size, whole.data.classes or 0
    more = classes * (size.pooled + 1)
    return replace(info, parameters=info.parameters + more, size=replace(size, classes=classes))


def _variants(whole: Configuration, model_info: dict[str, ModelInfo]) -> dict[str, Variant]:
    """Return the arms, plain ones first, independent of their order in the file."""
    if whole.variants is None or whole.teacher is None:
        return {}
    sizes = {name: info.size for name, info in model_info.items()}
    known, arms = Known(extensions.objectives(), extensions.targets(), sizes), {}
    for name, arm in arms_of(whole):
        given = terms_of(whole.variants[arm.variant])
        terms = variant_terms(arm.variant, given, known, arm.student, arm.teacher)
        arms[name] = Variant(*terms, arm.student, arm.teacher, arm.variant)
    return dict(sorted(arms.items(), key=lambda item: (len(item[1].terms), item[0])))
