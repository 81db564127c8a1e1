"""Checks across several keys of a study. Imports no torch."""

import os
import re
from collections.abc import Iterator, Mapping

from .. import extensions
from ..errors import nearest
from ..spec.faults import said
from ..spec.network import ModelInfo
from .compared import pair_faults
from .keys import Configuration, Network
from .recipes import recipe_faults, recipes
from .students import arms_of, key_of, student_faults, students_of, terms_of
from .study import STUDENT, Study
from .terms import Share

# Parts of a view without a default.
VIEW = ("channels", "image_size", "mean", "std")
# Larger sizes are mistakes.
LARGEST_ARGUMENT = 100_000
# Reserved names: image sets of every study, and folders of results/ that belong to all studies.
IMAGE_SETS, STUDY_NAMES = ("balanced", "published", "main"), ("shared", "readme.md")
# Arguments of timm.create_model that a study cannot set, and what sets them instead.
ELSEWHERE = {
    "num_classes": "data.classes says it",
    "in_chans": "view.channels says it",
    "img_size": "view.image_size says it",
    "model_name": "model.name says it",
    **dict.fromkeys(
        ("pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict", "cache_dir"),
        "weights come from networks.<name>.source and .weights",
    ),
    **dict.fromkeys(("features_only", "out_indices", "feature_cls"), "the features of all blocks are read anyway"),
    **dict.fromkeys(("device", "dtype"), "compute (gpu) and recipe.precision say it"),
    **dict.fromkeys(("scriptable", "exportable", "no_jit"), "nothing is exported here"),
}


def name_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each study, network, arm of a variant or image set whose name is taken."""
    if config.name.lower() in STUDY_NAMES:
        yield f"name: results/{config.name} is reserved for all studies; choose another name"
    controls = {f"{name}_{network.control}".lower(): name for name, network in config.networks.items()}
    names = [(f"networks.{name}", name) for name in config.networks]
    names += [(f"variants.{arm.variant}", name) for name, arm in arms_of(config)]
    first: dict[str, str] = {}
    for key, name in names:
        if name.lower() == STUDENT:
            yield f"{key}: is the name of a role, not of a network; choose another name"
        if name.lower() in controls:
            yield f"{key}: is the control of network {controls[name.lower()]} in the tables; choose another name"
        if other := first.get(name.lower()):
            why = (
                "is given twice"
                if other == name
                else f"differs from {other} only in case, which some file systems ignore"
            )
            why = why if key.endswith(f".{name}") else f"its arm {name} {why}"
            yield f"{key}: {why}; rename one"
        first.setdefault(name.lower(), name)
    for name in config.probes:
        if name.lower() in IMAGE_SETS:
            yield f"probes.{name}: is the name of the images of data in the tables; choose another name"


def weight_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each variant whose weights are all 0, or whose shares sum to 1 or more."""
    for name, variant in (config.variants or {}).items():
        terms = terms_of(variant)
        weights = [options["weight"] for options in terms.values()]
        given = [weight for weight in weights if isinstance(weight, Share)]
        shares = [share for weight in given for share in vars(weight).values() if share is not None]
        if not terms:
            yield f"variants.{name}: is empty; give a value"
        elif not any(weights):
            yield f"variants.{name}: every weight is 0, so nothing would be trained; give a larger one"
        elif len(shares) != len(given) or len({weight.share is None for weight in given}) > 1:
            yield f"variants.{name}: a weight is a number, a share or a gradient_share, and all shares of one kind"
        elif len(shares) == len([weight for weight in weights if weight]):
            yield f"variants.{name}: every weight is a share, and shares need a term with a weight; give one a number"
        elif sum(shares) >= 1:
            yield f"variants.{name}: the shares sum to {sum(shares):g}, and must sum to less than 1; lower one"


def whole_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each missing part that another part requires."""
    there = {"teacher": config.teacher, STUDENT: config.student or config.students, "variants": config.variants}
    given = [key for key, value in there.items() if value is not None]
    if given and len(given) < len(there):
        missing, together = ", ".join(key for key in there if key not in given), ", ".join(there)
        yield f"{missing}: must be given too, because {given[0]} is; or leave out all of {together}"
    if not config.networks:
        yield "networks: is empty; give at least one network"
    elif config.teacher is not None and config.teacher not in config.networks:
        yield f"teacher: there is no network {said(config.teacher)}; {nearest(config.teacher, config.networks)}"
    baseline, variants = config.statistics.baseline, config.variants
    if baseline is not None and variants is None:
        yield "statistics.baseline: has no effect without variants; remove it"
    elif baseline is not None and variants is not None and baseline not in variants:
        yield f"statistics.baseline: there is no variant {said(baseline)}; {nearest(baseline, variants)}"
    views = {f"networks.{name}": network.view for name, network in config.networks.items()}
    trains = {f"networks.{name}": n.view for name, n in config.networks.items() if n.source == "pretrain"}
    trains |= {key_of(config, name): config.view for name in students_of(config)}
    heads = [f"networks.{name}.head" for name, network in config.networks.items() if network.head]
    for key in ("train", "classes") if heads and not trains else ():
        if getattr(config.data, key) is None:
            yield f"data.{key}: must be given, because {heads[0]} is trained"
    for key in ("train", "classes", "validation"):
        if trains and getattr(config.data, key) is None:
            yield f"data.{key}: must be given, because {next(iter(trains))} is trained"
        if not (trains or heads) and key != "classes" and getattr(config.data, key) is not None:
            yield f"data.{key}: has no effect if nothing is trained; remove it"
    if trains and config.data.classes == 1:
        yield f"data.classes: {next(iter(trains))} cannot be trained on 1 class; give two or more"
    for owner, view in trains.items():
        for key in VIEW:
            if getattr(view, key) is None and getattr(config.view, key) is None:
                yield f"view.{key}: must be given, because {owner} is trained"
    for key, view in {"view": config.view, **{f"{owner}.view": view for owner, view in views.items()}}.items():
        channels = view.channels or config.view.channels or 3
        for part, values in (("mean", view.mean), ("std", view.std)):
            if values is not None and len(values) != channels:
                yield f"{key}.{part}: {len(values)} values are given for {channels} channels; give one per channel"


def group_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each invalid regular expression of groups."""
    groups = {"data": config.data.groups} | {f"probes.{name}": part.groups for name, part in config.probes.items()}
    for key, pattern in groups.items():
        try:
            re.compile(pattern or "")
        except re.error as error:
            yield f"{key}.groups: {said(pattern)} is not a regular expression ({error}); fix it"


def level_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each invalid folder level."""
    levels = {"data": config.data.label_depth} | {
        f"probes.{name}": one.label_depth for name, one in config.probes.items()
    }
    for key, level in levels.items():
        if level == 0:
            yield f"{key}.label_depth: 0 is not a folder level; give 1 for the top folder, or -1 for that of the image"


def network_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each key of a network that does not apply to its source."""
    for name, network in config.networks.items():
        yield from _source_faults(f"networks.{name}", network)


def _source_faults(key: str, network: Network) -> Iterator[str]:
    source, weights = network.source, network.weights
    if network.head is not None and network.model.architecture:
        yield f"{key}.head: works only with unmodified timm models; remove it, or model.architecture"
    if source == "pretrain":
        if network.recipe is None:
            yield f"{key}.recipe: must be given, because {key}.source is pretrain"
        for part in ("weights", "sha256", "head"):
            if getattr(network, part) is not None:
                yield f"{key}.{part}: has no effect with source pretrain; remove it or choose timm or checkpoint"
        return
    if network.recipe is not None:
        yield f"{key}.recipe: has no effect with source {source}; remove it or choose source pretrain"
    if network.label_smoothing:
        yield f"{key}.label_smoothing: has no effect with source {source}; remove it"
    if weights is None:
        yield f"{key}.weights: must be given, because {key}.source is {source}"
    elif source == "checkpoint" and not os.path.isfile(weights):
        yield f"{key}.weights: the file {weights} does not exist"
    elif source == "timm" and not re.fullmatch(r"hf-hub:[\w.-]+/[\w.-]+@[\w./-]+|local-dir:.+", weights):
        yield f"{key}.weights: {weights!r} must be hf-hub:owner/name@revision or local-dir:folder"


def argument_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each model argument that a study cannot set, and for several architectures."""
    models = [(f"networks.{name}", network.model, network.source) for name, network in config.networks.items()]
    models += [(key_of(config, name), student.model, "pretrain") for name, student in students_of(config).items()]
    for owner, model, source in models:
        if len(model.architecture) > 1:
            yield f"{owner}.model.architecture: {', '.join(model.architecture)} are given; leave one"
        for name, value in sorted(model.args.items()):
            # For released weights only these give the number of classes.
            if name in ELSEWHERE and (name != "num_classes" or source == "pretrain"):
                yield f"{owner}.model.args.{name}: cannot be set here; remove it, {ELSEWHERE[name]}"
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int | float) and abs(number) > LARGEST_ARGUMENT:
                    yield f"{owner}.model.args.{name}: {number} is more than any network has; give less"


def first_seed_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each metric of `first_seed_only` that is not measured at all."""
    for owner, part in (("measure", config.measure), ("compare", config.compare)):
        for name in part.first_seed_only:
            if name not in part.metrics:
                yield f"{owner}.first_seed_only: {name} is not measured; remove it, or add it to {owner}.metrics"


def compute_faults(config: Configuration) -> Iterator[str]:
    """Yield a sentence for each impossible request in `compute`."""
    stages = {stage: compute for stage, compute in vars(config.compute).items() if stage != "teacher"}
    for stage, compute in stages.items():
        if compute.gpu and stage in ("data", "compare", "tables"):
            yield f"compute.{stage}.gpu: this stage does not use a GPU; remove it"
        if compute.gpu_model is not None and not compute.gpu:
            yield f"compute.{stage}.gpu_model: has no effect without a GPU; give gpu too, or remove it"
    for stage, training in (("networks", config.compute.networks), ("students", config.compute.students)):
        if training.gpu % training.nodes or training.nodes > max(1, training.gpu):
            yield f"compute.{stage}.nodes: {training.gpu} GPUs cannot be shared equally by {training.nodes} nodes"
            continue
        for key, recipe in recipes(config).items():
            if not key.startswith(stage.removesuffix("s")):
                continue
            if recipe.batch_size % max(1, training.gpu):
                yield f"compute.{stage}.gpu: {key}.batch_size must be a multiple of the {training.gpu} GPUs"
            elif training.gpu and recipe.mixing is not None and recipe.batch_size % (2 * training.gpu):
                yield (
                    f"compute.{stage}.gpu: {key}.batch_size must be a multiple of {2 * training.gpu}, since "
                    f"each of the {training.gpu} GPUs mixes its images in pairs"
                )


# Checks that need the configuration only.
CHECKS = (
    *(name_faults, weight_faults, whole_faults, student_faults, group_faults, level_faults, network_faults),
    *(argument_faults, recipe_faults, first_seed_faults, pair_faults, compute_faults),
)


def teacher_faults(study: Study) -> Iterator[str]:
    """Yield a sentence where a teacher cannot see the images of its students."""
    for variant in study.variants.values():
        for source in variant.sources:
            ours, theirs = study.view(variant.student), study.view(source.network)
            if ours.channels > theirs.channels:
                yield (
                    f"networks.{source.network}.view.channels: the teacher sees grey images and its students "
                    "colour; give both the same"
                )


def head_faults(config: Configuration, model_info: Mapping[str, ModelInfo]) -> Iterator[str]:
    """Yield a sentence for each network with a head that is configured to get another."""
    for name, network in config.networks.items():
        if network.head is not None and model_info[name].classes:
            yield (
                f"networks.{name}.head: it has a head of {model_info[name].classes} outputs; remove head, or give "
                "num_classes: 0 in its model.args"
            )


def measure_faults(study: Study) -> Iterator[str]:
    """Yield a sentence if a metric needs the reference network, which it does not measure."""
    left_out = study.networks[study.reference].without
    for name, metric in extensions.metrics().items():
        if metric.reference and name in left_out and name in study.measure.metrics:
            yield (
                f"networks.{study.reference}.without: {name} of all others needs the {metric.reference} of this "
                f"network; leave {name} out of measure.metrics, or measure it here too"
            )
    for name, network in study.networks.items():
        if "rows" in network.without and study.compare.metrics:
            yield (
                f"networks.{name}.without: the comparisons take the rows of every network; measure rows, or compare "
                "nothing (compare.metrics: [])"
            )
