"""A whole study, and the check of its configuration before anything runs.

`load` takes the merged configuration, fills in defaults, reports every fault in one sentence each and returns a
`Study`. Each stage gets only its slice of it (`spec`). Imports no torch.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import extensions, faults, shards
from .errors import StudyError, nearest
from .spec.base import build
from .spec.comparison import Comparison
from .spec.configured import Data, Student, Teacher
from .spec.features import Probe
from .spec.network import ModelFacts
from .spec.saliency import Saliency
from .spec.training import TermSpec

SCHEMA = Path(__file__).parent / "study.schema.yaml"


@dataclass(frozen=True)
class Study:
    """A whole, valid study."""

    name: str
    seeds: tuple[int, ...]
    data: Data
    teacher: Teacher
    student: Student
    variants: dict[str, tuple[TermSpec, ...]]
    features: Probe
    saliency: Saliency
    comparison: Comparison
    baseline: str
    figures: dict[str, Any]
    compute: dict[str, dict[str, int]]
    state_minutes: float
    package_versions: str
    teacher_facts: ModelFacts = field(repr=False)
    student_facts: ModelFacts = field(repr=False)

    @property
    def caches_teacher(self) -> bool:
        """Whether the teacher's outputs on the training images are computed once and shared by all students."""
        return self.student.recipe.views is not None

    def needs_teacher(self, variant: str) -> bool:
        """Whether training `variant` asks the teacher anything."""
        return any(term.needs != "labels" for term in self.variants[variant])

    def teacher_blocks(self, *variants: str) -> list[int]:
        """Return the teacher's blocks that these variants align with, ascending."""
        return sorted({t for v in variants for term in self.variants[v] for _, t in term.pairs})


def load(config: dict[str, Any], describe: Callable[..., list[ModelFacts]]) -> Study:
    """Check `config` and return the study; `describe(view, teacher=model, student=model)` tells the models' facts.

    Raises StudyError with one line a fault: the key, what is allowed, and the nearest valid name where one is near.
    """
    _refuse(faults.of_values(config))
    schema = load_schema()
    config = _with_defaults(json.loads(json.dumps(config)), schema, schema)
    _refuse(faults.of_schema(config, schema))
    _refuse([*faults.of_name(config["name"]), *faults.of_variants(config["variants"])])
    _find_images(config["data"])
    _spell_one_way(config["teacher"], "weights")
    data, teacher, student = (
        build(kind, config[key]) for kind, key in ((Data, "data"), (Teacher, "teacher"), (Student, "student"))
    )
    _refuse([*_data_faults(data), *_teacher_faults(teacher), *_recipe_faults(config, data), *_compute_faults(config)])
    teacher_facts, student_facts = describe(data.view, teacher=teacher.model, student=student.model)
    depths = len(student_facts.shapes), len(teacher_facts.shapes)
    variants = {name: _variant(name, terms, *depths) for name, terms in config["variants"].items()}
    # The plain ones first, whatever the order in the file: that order must not matter.
    variants = dict(sorted(variants.items(), key=lambda item: (len(item[1]), item[0])))
    baseline = config["statistics"].get("baseline", next(iter(variants)))
    if baseline not in variants:
        known = nearest(baseline, list(variants))
        raise StudyError(f"statistics.baseline: there is no variant {faults.said(baseline)}; {known}")
    study = Study(
        name=config["name"],
        seeds=tuple(config["seeds"]),
        data=data,
        teacher=teacher,
        student=student,
        variants=variants,
        features=build(Probe, {**config["features"], "metrics": sorted(config["features"]["metrics"])}),
        saliency=build(Saliency, config["saliency"]),
        comparison=build(Comparison, config["comparison"]),
        baseline=baseline,
        figures=config["figures"],
        compute=config["compute"],
        state_minutes=float(config["state_minutes"]),
        package_versions=config["package_versions"],
        teacher_facts=teacher_facts,
        student_facts=student_facts,
    )
    _refuse(_pair_faults(study))
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


def load_schema() -> dict[str, Any]:
    """Return the JSON schema, with the names of objectives written into `variants`, of metrics into `features`."""
    import yaml

    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    schema["properties"]["variants"]["additionalProperties"] |= {
        "additionalProperties": False,
        "properties": {name: _term_schema(objective) for name, objective in extensions.objectives().items()},
    }
    metrics = list(extensions.metrics())
    schema["properties"]["features"]["properties"]["metrics"] |= {"items": {"enum": metrics}, "default": metrics}
    return schema


def _term_schema(objective: extensions.Objective) -> dict[str, Any]:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["weight"],
        "properties": {"weight": {"type": "number", "minimum": 0}, **objective.options},
    }
    if objective.needs == "teacher_features":
        schema["required"] = ["weight", "pairs"]
        schema["properties"] |= {"pairs": {}, "reduction": {"enum": ["mean", "sum"], "default": "mean"}}
    return schema


def _with_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [_with_defaults(item, schema.get("items", {}), root) for item in value]
    if not isinstance(value, dict):
        # 2e3 and 2.0 are whole numbers too.
        whole = schema.get("type") == "integer" and isinstance(value, float) and value.is_integer()
        return int(value) if whole and abs(value) < faults.LARGEST else value
    properties, other = schema.get("properties", {}), schema.get("additionalProperties")
    for key, part in properties.items():
        if key not in value and "default" in part:
            value[key] = json.loads(json.dumps(part["default"]))
    for key in value:
        part = properties.get(key, other)
        if isinstance(part, dict):
            value[key] = _with_defaults(value[key], part, root)
    return value


def _find_images(data: dict[str, Any]) -> None:
    """Put the files of each source into `data`, spelt one way, and how many images they hold, where a footer tells.

    Raises StudyError where there is none, or one that cannot be used.
    """
    data["rows"] = {} if data["source"] == "parquet" else None
    for key in ("train", "test"):
        if data["source"] == "parquet":
            data[key] = shards.find(data[key], f"data.{key}")
            data["rows"][key] = sum(shards.images_in(path, data["classes"], f"data.{key}") for path in data[key])
        elif isinstance(data[key], list):
            raise StudyError(f"data.{key}: with data.source: folder give one folder or .tar, not a list")
        else:
            data[key] = [os.path.normpath(data[key])]
            if os.path.isfile(data[key][0]) and Path(data[key][0]).suffix != ".tar":
                raise StudyError(
                    f"data.{key}: {data[key][0]} is no folder and no .tar; give a folder (or .tar) with one subfolder "
                    "a class, or Parquet files with data.source: parquet"
                )


def _data_faults(data: Data) -> Iterator[str]:
    for key, values in (("mean", data.mean), ("std", data.std)):
        if len(values) != data.channels:
            yield f"data.{key}: {len(values)} values given for {data.channels} channels; give one a channel"
    if min(data.std) <= 0:
        yield "data.std: every value must be greater than 0"
    held = data.validation.taken_from
    if data.rows is not None and data.held_out >= data.rows[held]:
        yield (
            f"data.validation.per_class: {data.validation.per_class} images of each of {data.classes} classes cannot "
            f"be held out: data.{held} has {data.rows[held]} images in all"
        )


def _teacher_faults(teacher: Teacher) -> Iterator[str]:
    if teacher.source == "pretrain":
        if teacher.recipe is None:
            yield "teacher.recipe: must be given, because teacher.source is pretrain"
        for key in ("weights", "sha256", "expected_top1"):
            if getattr(teacher, key) is not None:
                yield f"teacher.{key}: has no meaning with source pretrain; remove it or choose timm or checkpoint"
        return
    if teacher.recipe is not None:
        yield f"teacher.recipe: has no meaning with source {teacher.source}; remove it or choose source pretrain"
    if teacher.label_smoothing:
        yield f"teacher.label_smoothing: has no meaning with source {teacher.source}; remove it"
    if teacher.weights is None:
        yield f"teacher.weights: must be given, because teacher.source is {teacher.source}"
    elif teacher.source == "checkpoint" and not os.path.isfile(teacher.weights):
        yield f"teacher.weights: the file {teacher.weights} does not exist"
    elif teacher.source == "timm" and not re.fullmatch(
        r"hf-hub:[\w.-]+/[\w.-]+@[\w./-]+|local-dir:.+", teacher.weights
    ):
        yield f"teacher.weights: {teacher.weights!r} must be hf-hub:owner/name@revision or local-dir:folder"
    if teacher.source == "timm" and teacher.expected_top1 is None:
        yield "teacher.expected_top1: must be given for a downloaded teacher: it is measured before students may use it"


def _recipe_faults(config: dict[str, Any], data: Data) -> Iterator[str]:
    size = None if data.rows is None else data.left_to_train(data.rows["train"])
    if size is not None and size <= 0:
        size = None  # Said already: nothing would be left to train on.
    for owner in ("teacher", "student"):
        yield from faults.of_arguments(owner, config[owner]["model"]["args"])
        recipe = config[owner].get("recipe")
        if recipe is None:
            continue
        images = recipe.get("train_images") or size
        if size is not None and images > size:
            yield f"{owner}.recipe.train_images: {images} is more than the {size} training images there are"
        if images is not None and recipe["batch_size"] > images:
            yield f"{owner}.recipe.batch_size: {recipe['batch_size']} is more than the {images} training images"
        yield from faults.of_recipe(f"{owner}.recipe", recipe, data.classes)
    for owner in ("features", "saliency", "comparison"):
        if config[owner]["images"] > data.held_out:
            yield f"{owner}.images: {config[owner]['images']} is more than the {data.held_out} validation images"


def _compute_faults(config: dict[str, Any]) -> Iterator[str]:
    for stage, compute in config["compute"].items():
        if compute["gpu"] and stage in ("data", "tables"):
            yield f"compute.{stage}.gpu: this stage has no use for a GPU; remove it"
        if "gpu_model" in compute and not compute["gpu"]:
            yield f"compute.{stage}.gpu_model: has no meaning without a GPU; give gpu too, or remove it"
    for owner, stage in (("teacher", "teacher"), ("student", "students")):
        compute, recipe = config["compute"][stage], config[owner].get("recipe")
        if compute["gpu"] % compute["nodes"] or compute["nodes"] > max(1, compute["gpu"]):
            yield f"compute.{stage}.nodes: {compute['gpu']} GPUs cannot be shared equally by {compute['nodes']} nodes"
        elif recipe and recipe["batch_size"] % max(1, compute["gpu"]):
            yield f"compute.{stage}.gpu: {owner}.recipe.batch_size must be a multiple of the {compute['gpu']} GPUs"


def _variant(name: str, terms: dict[str, Any], student_depth: int, teacher_depth: int) -> tuple[TermSpec, ...]:
    specs, objectives = [], extensions.objectives()
    for term, options in sorted(terms.items()):
        own = {key: value for key, value in options.items() if key not in ("weight", "pairs", "reduction")}
        key = f"variants.{name}.{term}.pairs"
        pairs = tuple(expand_pairs(options["pairs"], student_depth, teacher_depth, key)) if "pairs" in options else ()
        reduction = options.get("reduction", "mean")
        specs.append(TermSpec(term, options["weight"], objectives[term].needs, own, pairs, reduction))
    return tuple(specs)


def expand_pairs(value: Any, student_depth: int, teacher_depth: int, key: str) -> list[tuple[int, int]]:
    """Return the (student, teacher) pairs of blocks, 0-based, that `value` names.

    `value` is `first`, `last`, `last<n>` (the last n of each, in order), an explicit [student, teacher], or a list of
    these. Raises StudyError naming `key` for a block that a model does not have or a pair given twice.
    """
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(item) is int for item in value)
    if isinstance(value, list) and not is_pair:
        pairs = [pair for item in value for pair in expand_pairs(item, student_depth, teacher_depth, key)]
        if not pairs or len(set(pairs)) < len(pairs):
            raise StudyError(f"{key}: give at least one pair, and no pair twice (this is {pairs})")
        return pairs
    if value == "first":
        return [(0, 0)]
    if isinstance(value, str) and (match := re.fullmatch(r"last([1-9]\d*)?", value)):
        # Of a number beyond all blocks, the first pair is enough to say so.
        count = min(int(match[1] or 1), max(student_depth, teacher_depth) + 1)
        pairs = [(student_depth - n, teacher_depth - n) for n in range(count, 0, -1)]
    elif is_pair:
        pairs = [tuple(value)]
    else:
        raise StudyError(f"{key}: {faults.said(value)} is not first, last, last<n> or [student block, teacher block]")
    for owner, index, depth in (("student", 0, student_depth), ("teacher", 1, teacher_depth)):
        for pair in pairs:
            if not 0 <= pair[index] < depth:
                raise StudyError(
                    f"{key}: {value!r} asks for {owner} block {pair[index]}; it has blocks 0 to {depth - 1}"
                )
    return pairs


def _pair_faults(study: Study) -> Iterator[str]:
    for variant, terms in study.variants.items():
        for term in terms:
            for s, t in term.pairs:
                ours, theirs = study.student_facts.shapes[s], study.teacher_facts.shapes[t]
                if ours[1:] != theirs[1:]:
                    yield (
                        f"variants.{variant}.{term.name}.pairs: student block {s} has a {ours[1]} x {ours[2]} grid of "
                        f"patches and teacher block {t} {theirs[1]} x {theirs[2]}; they must be equal"
                    )
