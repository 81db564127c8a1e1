"""Methods of a study in words, from its configuration: images, networks, students, measurements, statistics.

In: content of `study.json`, the tables, and sources to cite. Out: LaTeX. Missing records are named, and tests that a
study does not make are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import pandas as pd

from ..report.head import MAIN, answering, counted, model_said, recipe_said, students_of
from ..spec.tables import WHO, Names
from ..spec.training import CALIBRATION_UPDATES
from ..statistics.bins import PER_BIN
from ..statistics.thresholds import FEWEST_SEEDS, LEAST_RMS_PER_BIN, LEVEL, POWER, SMALLEST_FACTOR
from ..statistics.u_shape import NOT_RESOLVED
from ..words import listed, of_each, plural
from .latex import words
from .sources import Sources

Tables = Mapping[str, pd.DataFrame]
# Base of a share, by its key.
SHARE_OF = {"share": "of the loss", "gradient_share": "of the gradients"}


def document(
    study: dict[str, Any] | None, tables: Tables, names: Names, said: Mapping[str, str], sources: Sources
) -> str:
    """Return methods.tex; `study`: content of study.json, None if missing."""
    if study is None:
        parts = [("Configuration", "The configuration of this study is not recorded: study.json is missing.")]
    else:
        config = study["configuration"]
        parts = [
            ("Study", f"{words(counted(tables['runs']))}, after {sources.cite('study').lstrip('~')}."),
            ("Images", _images(config, study, sources)),
            ("Networks", " ".join(_networks(config, sources))),
            *([("Students", " ".join(_students(config, names, sources)))] if names.arms else []),
            ("Measurements", " ".join(_measurements(config, said, sources))),
        ]
    tests = list(_tests(tables, names, sources))
    parts += [("Statistics", " ".join(tests))] if tests else []
    return "\n\n".join(rf"\paragraph{{{title}.}} {text}" for title, text in parts) + "\n"


def _images(config: dict[str, Any], study: dict[str, Any], sources: Sources) -> str:
    data = config["data"]
    texts = []
    for split in ("train", "test"):
        given = data.get(split)
        if given is None:
            continue
        paths = [given] if isinstance(given, str) else given
        known = [f"images {part}" for path in paths for part in PurePath(path).parts]
        count = study["image_counts"].get(MAIN, {}).get(split)
        number = f"{count:,} images" if count is not None else "images, whose number is not recorded"
        # A folder of one machine is meaningless to a reader.
        shown = [PurePath(path).name if PurePath(path).is_absolute() else path for path in paths]
        named = listed([rf"\texttt{{{words(path)}}}" for path in shown])
        texts.append(f"{split}: {number} of {named}{sources.cite(*known)}")
    classes = f"{data['classes']} classes" if data.get("classes") else "no labels"
    text = f"{'; '.join(texts)}; {classes}."
    if held := data.get("validation"):
        text += (
            f" For every choice {held['per_class']} images a class were held out of the {held['taken_from']} images; "
            "the test images serve the reported accuracy alone."
        )
    view = config.get("view", {})
    if "image_size" in view:
        text += f" Networks see {view['image_size']} pixels and {plural(view['channels'], 'channel')} where they have "
        text += "no view of their own."
    return text[0].upper() + text[1:]


def _networks(config: dict[str, Any], sources: Sources) -> Iterator[str]:
    yield f"All are built with timm{sources.cite('library timm')}."
    for name, network in config["networks"].items():
        made = (
            f"trained here, {recipe_said(network['recipe'])}, {network['recipe']['precision']}, seed {network['seed']}"
            if "recipe" in network
            else f"weights {network['weights']}"
        )
        model = network["model"]
        cited = _source_of(model, sources)
        control = f"; its control: {network['control']}" if network.get("control") else ""
        yield rf"{words(name)}: {words(model_said(model))}{cited}, {words(made + control)}."


def _source_of(model: dict[str, Any], sources: Sources) -> str:
    changed = (f"architecture {name}" for name in model.get("architecture", {}))
    return sources.cite(f"model {model['name']}", *changed)


def _students(config: dict[str, Any], names: Names, sources: Sources) -> Iterator[str]:
    for who, student in students_of(config):
        recipe, cited = student["recipe"], _source_of(student["model"], sources)
        trained = f"{recipe_said(recipe)}, {recipe['precision']}"
        name = f"{who.strip()}: " if who else ""
        yield f"{words(name + model_said(student['model']))}{cited}, {words(trained)}."
    teacher = ""
    if config.get("teacher"):
        teacher = f" Their teacher is {config['teacher']}. What teachers say is computed in {answering(config)}."
    yield words(f"Seeds: {', '.join(map(str, config['seeds']))}, the same for all variants.{teacher}")
    yield "The loss of each variant:"
    variants = {
        name: {key: term for key, term in given.items() if key not in WHO} for name, given in config["variants"].items()
    }
    assert names.baseline is not None, "students have a baseline"
    first = names.arms[names.baseline].variant
    baseline = variants[first]
    texts = [f"{words(first)} is {_loss(baseline)}"]
    for name, terms in variants.items():
        if name != first:
            more = baseline.items() <= terms.items()
            own = {key: term for key, term in terms.items() if not (more and key in baseline)}
            whom = [f"{key} {config['variants'][name][key]}" for key in WHO if key in config["variants"][name]]
            said = f"{name}{f' ({listed(whom)})' * bool(whom)} is {f'that of {first} + ' * more}"
            texts.append(words(said) + _loss(own))
    yield "; ".join(texts) + "."
    listed_terms = [(name, term) for terms in variants.values() for name, term in terms.items()]
    objectives = dict.fromkeys(term.get("objective", name) for name, term in listed_terms)
    if found := [f"{words(name)}{by}" for name in objectives if (by := sources.cite(f"objective {name}"))]:
        yield f"Sources: {listed(found)}."
    for kind in dict.fromkeys(kind for _, term in listed_terms for kind in _share(term)):
        yield f"A weight that is given as a share {SHARE_OF[kind]} is set over the first {CALIBRATION_UPDATES} updates,"
        yield "and fixed then."


def _loss(terms: dict[str, dict[str, Any]]) -> str:
    texts = []
    for name, term in terms.items():
        scales = [f"{100 * share:g} % {SHARE_OF[kind]} as" for kind, share in _share(term).items()]
        scale = scales[0] if scales else f"{term['weight']:g}"
        options = [f"{key} {_option(value)}" for key, value in term.items() if key != "weight"]
        texts.append(words(f"{scale} {name}" + (f" ({', '.join(options)})" if options else "")))
    return " + ".join(texts)


def _share(term: dict[str, Any]) -> dict[str, float]:
    """Return the share of a term by its kind; empty if it has a weight."""
    weight = term["weight"]
    return {kind: share for kind, share in weight.items() if share is not None} if isinstance(weight, dict) else {}


def _option(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_option(part)}" for key, part in value.items())
    return " and ".join(map(_option, value)) if isinstance(value, list) else str(value)


def _measurements(config: dict[str, Any], said: Mapping[str, str], sources: Sources) -> Iterator[str]:
    measure, compare = config["measure"], config.get("compare", {})
    yield f"Of every network and of its control, every block, at every kept epoch, on {words(said['images'])}:"
    yield f"{_cited('metric', measure['metrics'], sources)}."
    if "saliency" in measure["metrics"]:
        yield f"Saliency by {_cited('saliency', config['saliency']['methods'], sources)}."
    if pairs := compare.get("metrics"):
        yield "Of students and teacher, and of every two networks:"
        yield f"{_cited('metric', pairs, sources)}."
    first = [*measure.get("first_seed_only", ()), *compare.get("first_seed_only", ())]
    if first and "student" in config and len(config["seeds"]) > 1:
        yield words(f"Of students of the first seed alone: {listed(first)}.")


def _cited(kind: str, names: Iterable[str], sources: Sources) -> str:
    return listed([words(name) + sources.cite(f"{kind} {name}") for name in names])


def _tests(tables: Tables, names: Names, sources: Sources) -> Iterator[str]:
    variants, shape, mcnemar = (tables.get(name) for name in ("variants", "shape", "mcnemar"))
    if variants is not None and len(variants):
        baseline = of_each("baseline", names.baselines.values())
        yield words(
            f"Variants are compared with {baseline} by differences in the last epoch's test top-1, paired by "
            "seed, with 95 % t intervals over seeds."
        )
        if (variants["joint_seeds"] >= FEWEST_SEEDS).any():
            yield (
                "All variants are tested at once: one random sign a seed for all its differences, step-down maximum of "
                rf"\(|t|\) over all flips{sources.cite('test sign flips')}, level {LEVEL:g}; what the test finds with "
                rf"{100 * POWER:g}\,\% power is simulated with normal noise of the spread and correlation seen."
            )
        else:
            yield f"No test is made of them: it needs {FEWEST_SEEDS} seeds."
    if mcnemar is not None and len(mcnemar):
        yield f"Checkpoints of one seed are compared by McNemar's test{sources.cite('test mcnemar')}, unadjusted."
    if shape is not None and shape["p"].notna().any():
        yield (
            "A curve over depth is U-shaped where an inner block lies below both ends by more than a factor of "
            rf"{SMALLEST_FACTOR:g}: one-sided \(t\) tests over images, corrected for skewness, as an "
            "intersection-union test with Bonferroni's correction over blocks, adjusted over metrics and networks by "
            "Benjamini and Hochberg"
            f"{sources.cite('test shape')}."
        )
        if shape["metric"].isin(PER_BIN).any():
            yield (
                f"The shape of an entropy with bins is called {NOT_RESOLVED} where in some block tokens spread over "
                f"fewer than {LEAST_RMS_PER_BIN:g} of them, or where the tests say something else in bins shifted by "
                "half of one or without the most extreme image."
            )
