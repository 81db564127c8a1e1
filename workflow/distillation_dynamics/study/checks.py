"""What is wrong with parts of a study beside each other, which no schema can say. Imports no torch."""

import os
import re
from collections.abc import Iterator
from typing import Any

from ..errors import nearest
from ..spec.configured import Data, Network
from . import faults
from .study import STUDENT, Study

TOGETHER = ("teacher", "student", "variants")
# Parts of a view that nobody can guess.
VIEW = ("channels", "image_size", "mean", "std")


def whole_faults(config: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each part of the study that another asks for."""
    networks = config["networks"]
    given = [key for key in TOGETHER if key in config]
    if given and len(given) < len(TOGETHER):
        missing = [key for key in TOGETHER if key not in config]
        together = ", ".join(TOGETHER)
        yield f"{', '.join(missing)}: must be given too, because {given[0]} is; or leave out all of {together}"
    if not networks:
        yield "networks: is empty; give at least one network"
    elif "teacher" in config and config["teacher"] not in networks:
        yield f"teacher: there is no network {faults.said(config['teacher'])}; {nearest(config['teacher'], networks)}"
    trains = [f"networks.{name}" for name, network in networks.items() if network["source"] == "pretrain"]
    trains += ["student"] if "student" in config else []
    if trains:
        for key in ("train", "classes", "validation"):
            if key not in config["data"]:
                yield f"data.{key}: must be given, because {trains[0]} is trained"
        if config["data"].get("classes") == 1:
            yield f"data.classes: {trains[0]} cannot be trained to tell 1 class; give two or more"
    for key in ("train", "validation"):
        if key in config["data"] and not trains:
            yield f"data.{key}: has no meaning where nothing is trained; remove it"
    if "baseline" in config["statistics"] and "variants" not in config:
        yield "statistics.baseline: has no meaning without variants; remove it"
    for owner in trains:
        own = networks[owner.partition(".")[2]]["view"] if owner != STUDENT else {}
        for key in VIEW:
            if key not in own and key not in config["view"]:
                yield f"view.{key}: must be given, because {owner} is trained"
    for key, view in (
        ("view", config["view"]),
        *((f"networks.{name}.view", n["view"]) for name, n in networks.items()),
    ):
        for part in ("mean", "std"):
            if part in view and len(view[part]) != view.get("channels", config["view"].get("channels", 3)):
                channels = view.get("channels", config["view"].get("channels", 3))
                yield f"{key}.{part}: {len(view[part])} values given for {channels} channels; give one a channel"
        if min(view.get("std", [1])) <= 0:
            yield f"{key}.std: every value must be greater than 0"


def group_faults(config: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each pattern of groups that is no regular expression."""
    sets = {"data": config["data"]} | {f"probes.{name}": part for name, part in config["probes"].items()}
    for key, part in sets.items():
        try:
            re.compile(part.get("groups", ""))
        except re.error as error:
            yield f"{key}.groups: {faults.said(part['groups'])} is no regular expression ({error}); mend it"


def data_faults(data: Data) -> Iterator[str]:
    """Yield a sentence where more images are held out than there are."""
    if data.validation is None:
        return
    held = data.validation.taken_from
    if held in data.rows and data.held_out >= data.rows[held]:
        yield (
            f"data.validation.per_class: {data.validation.per_class} images of each of {data.classes} classes cannot "
            f"be held out: data.{held} has {data.rows[held]} images in all"
        )


def network_faults(name: str, network: Network) -> Iterator[str]:
    """Yield a sentence for each key of a network that its source does not go with."""
    key, source = f"networks.{name}", network.source
    if source == "pretrain":
        if network.recipe is None:
            yield f"{key}.recipe: must be given, because {key}.source is pretrain"
        for part in ("weights", "sha256"):
            if getattr(network, part) is not None:
                yield f"{key}.{part}: has no meaning with source pretrain; remove it or choose timm or checkpoint"
        if "num_classes" in network.model.args:
            yield f"{key}.model.args.num_classes: is not to be given; remove it, data.classes says it"
        return
    if network.recipe is not None:
        yield f"{key}.recipe: has no meaning with source {source}; remove it or choose source pretrain"
    if network.label_smoothing:
        yield f"{key}.label_smoothing: has no meaning with source {source}; remove it"
    if network.weights is None:
        yield f"{key}.weights: must be given, because {key}.source is {source}"
    elif source == "checkpoint" and not os.path.isfile(network.weights):
        yield f"{key}.weights: the file {network.weights} does not exist"
    elif source == "timm" and not re.fullmatch(r"hf-hub:[\w.-]+/[\w.-]+@[\w./-]+|local-dir:.+", network.weights):
        yield f"{key}.weights: {network.weights!r} must be hf-hub:owner/name@revision or local-dir:folder"


def recipe_faults(config: dict[str, Any], data: Data) -> Iterator[str]:
    """Yield a sentence for each recipe that the images do not suffice for, and where too many are to be measured."""
    size = data.left_to_train(data.rows["train"]) if "train" in data.rows else None
    if size is not None and size <= 0:
        size = None  # Said already: nothing would be left to train on.
    owners = {f"networks.{name}": network for name, network in config["networks"].items()}
    if "student" in config:
        owners[STUDENT] = config["student"]
        if "num_classes" in config["student"]["model"]["args"]:
            yield "student.model.args.num_classes: is not to be given; remove it, data.classes says it"
    for owner, part in owners.items():
        yield from faults.of_arguments(owner, part["model"]["args"])
        recipe = part.get("recipe")
        if recipe is None or data.classes is None:
            continue
        images = recipe.get("train_images") or size
        if size is not None and images is not None and images > size:
            yield f"{owner}.recipe.train_images: {images} is more than the {size} training images there are"
        if images is not None and recipe["batch_size"] > images:
            yield f"{owner}.recipe.batch_size: {recipe['batch_size']} is more than the {images} training images"
        yield from faults.of_recipe(f"{owner}.recipe", recipe, data.classes)
    count = data.count_of(data.measured, data.rows)
    for owner in ("measure", "saliency", "compare"):
        images = config[owner].get("images")
        if images is not None and count is not None and images > count:
            yield f"{owner}.images: {images} is more than the {count} {data.measured} images"


def compute_faults(config: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each request to the machine that cannot work."""
    for stage, compute in config["compute"].items():
        if compute["gpu"] and stage in ("data", "compare", "tables"):
            yield f"compute.{stage}.gpu: this stage has no use for a GPU; remove it"
        if "gpu_model" in compute and not compute["gpu"]:
            yield f"compute.{stage}.gpu_model: has no meaning without a GPU; give gpu too, or remove it"
    owners = [(f"networks.{name}", "networks", part.get("recipe")) for name, part in config["networks"].items()]
    owners += [(STUDENT, "students", config["student"]["recipe"])] if "student" in config else []
    for stage in ("networks", "students"):
        compute = config["compute"][stage]
        if compute["gpu"] % compute["nodes"] or compute["nodes"] > max(1, compute["gpu"]):
            yield f"compute.{stage}.nodes: {compute['gpu']} GPUs cannot be shared equally by {compute['nodes']} nodes"
            continue
        for owner, own, recipe in owners:
            if own == stage and recipe and recipe["batch_size"] % max(1, compute["gpu"]):
                yield f"compute.{stage}.gpu: {owner}.recipe.batch_size must be a multiple of the {compute['gpu']} GPUs"


def teacher_faults(study: Study, teacher: str) -> Iterator[str]:
    """Yield a sentence where the teacher cannot answer for the images of its students."""
    ours, theirs = study.view(STUDENT), study.view(teacher)
    for part, value in vars(theirs).items():
        if value != getattr(ours, part):
            yield (
                f"networks.{teacher}.view.{part}: the teacher sees {value} and its students see {getattr(ours, part)} "
                f"(view.{part}), but they are shown the same images; give both the same"
            )
    if not study.sorts(teacher):
        yield (
            f"networks.{teacher}: its head has {study.model_info[teacher].classes or 'no'} outputs, but data.classes "
            f"is {study.data.classes}; a teacher must sort the classes of its students"
        )


def view_notes(study: Study) -> Iterator[str]:
    """Yield a sentence for each network that sees images otherwise than `view` says, without a view of its own."""
    for name, network in study.networks.items():
        seen, said = vars(study.view(name)), study.configuration["view"]
        others = {
            part: seen[part]
            for part, value in said.items()
            if part not in network.view and seen[part] != (tuple(value) if isinstance(value, list) else value)
        }
        if others:
            parts = ", ".join(f"{part} {_said(value)}" for part, value in others.items())
            yield (
                f"networks.{name}: sees images as its weights were trained ({parts}) and not as view says; to "
                f"change it give networks.{name}.view"
            )


def _said(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def measure_faults(study: Study) -> Iterator[str]:
    """Yield a sentence where the network whose range is everybody's is not measured by a metric that needs it."""
    from .. import extensions

    left_out = study.networks[study.reference].without
    for name, metric in extensions.metrics().items():
        if metric.reference and name in left_out and name in study.measure.metrics:
            yield (
                f"networks.{study.reference}.without: {name} of all others needs the {metric.reference} of this "
                f"network; leave {name} out of measure.metrics, or measure it here too"
            )
    for name, network in study.networks.items():
        if "rows" in network.without and study.measure.pairs:
            yield (
                f"networks.{name}.without: the comparisons take the rows of every network; measure rows, or compare "
                "nothing (compare.metrics: [])"
            )
