"""What is wrong with a configuration, said in one sentence a fault: the key, what is allowed, the nearest valid name.

`of_values` and `of_schema` judge any part of it alike; the rest is what no schema can say. Imports no torch.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import nearest

KINDS = {
    "object": "a mapping (keys with values)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
# Beyond it numpy and torch have no integers; and no network has so many of anything.
LARGEST, LARGEST_ARGUMENT = 2**63, 100_000
# Names that networks, folders and files of the project have already.
ROLES = ("student",)
# Names of the image sets that every study has.
PROBES = ("balanced", "published", "main")
STUDY_NAMES = ("shared", "readme.md")
# Arguments of timm.create_model that are no study's to give, and what says the same.
ELSEWHERE = {
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
# Parts of `auto_augment` that timm knows, by the first word of it: letters and the number or name behind them.
NUMBER, FRACTION, POSITIVE, SWITCH = r"\d+", r"\d+(\.\d+)?", r"[1-9]\d*", "[01]"
POLICY = {"mstd": FRACTION}
AUTO_AUGMENT = {
    "rand": {
        **{"m": NUMBER, "n": POSITIVE, "p": r"0(\.\d+)?|1(\.0+)?", "mstd": FRACTION, "mmax": POSITIVE, "inc": SWITCH},
        "t": "weights|3aw|3a",
    },
    "augmix": {
        **{"m": NUMBER, "w": POSITIVE, "d": NUMBER, "b": SWITCH, "mstd": FRACTION},
        "a": r"0*[1-9]\d*(\.\d+)?|0+\.0*[1-9]\d*",
    },
    **dict.fromkeys(("original", "originalr", "v0", "v0r", "3a"), POLICY),
}
# The transforms of these sets are drawn without replacement: so many there are.
DRAWN_ONCE = {"weights": 15, "3aw": 14}


def of_values(value: Any, key: str = "", inside: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield a sentence for each value anywhere in a configuration that no key of a study can have."""
    name = key or "the configuration"
    if id(value) in inside:
        yield f"{name}: holds itself; write it out"
    elif isinstance(value, Mapping):
        for own, part in value.items():
            if not isinstance(own, str):
                yield f"{name}: the key {own!r} is no text; write it in quotes"
            else:
                yield from of_values(part, f"{key}.{own}".removeprefix("."), (*inside, id(value)))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from of_values(part, f"{key}.{number}", (*inside, id(value)))
    elif isinstance(value, str):
        if not value.isprintable():
            yield f"{name}: {said(value)} holds a line break or another character that cannot be printed; remove it"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{name}: {value} is no finite number; write one"
    elif isinstance(value, int):
        if not -LARGEST <= value < LARGEST:
            yield f"{name}: the number has {math.ceil(value.bit_length() / 3.3219)} digits; write one below 9.2e18"
    elif value is not None:
        yield f"{name}: {value} is a {type(value).__name__}, not text or a number; write it in quotes"


def of_schema(config: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return one sentence for each way in which `config` breaks the schema."""
    # For each missing key the validator has an error, which names all of them.
    return list(dict.fromkeys(_of_schema(config, schema)))


def _of_schema(config: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    from jsonschema import Draft202012Validator, validators

    # To JSON Schema 1e300 is one too.
    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda checker, value: type(value) is int)
    validator = validators.extend(Draft202012Validator, type_checker=checker)(schema)
    for error in sorted(validator.iter_errors(config), key=lambda e: [str(p) for p in e.path]):
        key = ".".join(str(part) for part in error.path)
        value, limit = error.instance, error.validator_value
        match error.validator:
            case "additionalProperties":
                known = sorted(error.schema.get("properties", {}))
                for name in sorted(set(value) - set(known)):
                    yield f"{key}.{name}: unknown key; {nearest(name, known)}".removeprefix(".")
            case "required":
                missing = sorted(set(limit) - set(value))
                yield f"{key or 'the configuration'}: {', '.join(missing)} must be given"
            case "type":
                yield f"{key or 'the configuration'}: {_wrong_type(value, limit)}"
            case "enum":
                allowed = [str(choice) for choice in limit]
                yield f"{key}: {said(value)} is not possible; {nearest(str(value), allowed)}"
            case "pattern":
                yield f"{key}: {said(value)} is not possible; it must be {error.schema.get('description', limit)}"
            case "minimum":
                yield f"{key}: {value} is less than the minimum of {limit}"
            case "maximum":
                yield f"{key}: {value} is greater than the maximum of {limit}"
            case "exclusiveMinimum":
                yield f"{key}: {value} is not greater than {limit}"
            case "exclusiveMaximum":
                yield f"{key}: {value} is not less than {limit}"
            case "uniqueItems":
                twice = next(item for number, item in enumerate(value) if item in value[:number])
                yield f"{key}: {said(twice)} is given twice; remove one"
            case "minItems" | "minLength" | "minProperties":
                yield f"{key}: is empty; give something" if not value else f"{key}: give at least {limit} values"
            case "maxItems":
                yield f"{key}: {len(value)} values are given; give at most {limit}"
            case _:
                yield f"{key}: {error.message[:200]}"


def said(value: Any) -> str:
    """Return a value as a sentence can hold it: text shortened and in quotes, lists and mappings by their kind."""
    if isinstance(value, dict | list):
        return KINDS["object" if isinstance(value, dict) else "array"]
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:56]}...'"


def _wrong_type(value: Any, kinds: str | list[str]) -> str:
    kinds = [kinds] if isinstance(kinds, str) else kinds
    hint = ""
    if value is None:
        hint = "; give it, or leave the key out"
    elif "string" in kinds and not isinstance(value, dict | list):
        hint = "; write it in quotes"
    elif isinstance(value, str) and (
        _is_number(value) if {"integer", "number"} & set(kinds) else value.lower() in ("true", "false")
    ):
        hint = "; write it without quotes"
    return f"{said(value)} is given, but {' or '.join(KINDS[kind] for kind in kinds)} is wanted{hint}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def of_name(study: str) -> Iterator[str]:
    """Yield a sentence where results/ has a file or folder for all studies of the study's name, in any case."""
    if study.lower() in STUDY_NAMES:
        yield f"name: results/{study} is there for all studies; choose another name"


def of_names(config: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each network, variant or probe whose name is taken, or whose terms all have no weight."""
    first: dict[str, str] = {}
    controls = {f"{name}_{network['control']}".lower(): name for name, network in config["networks"].items()}
    names = [(f"networks.{name}", name) for name in config["networks"]]
    names += [(f"variants.{name}", name) for name in config.get("variants", {})]
    for key, name in names:
        if name.lower() in ROLES:
            yield f"{key}: is the name of a role and not of one network; choose another name"
        if name.lower() in controls:
            yield f"{key}: the tables call the control of network {controls[name.lower()]} so; choose another name"
        if other := first.get(name.lower()):
            why = "is there twice" if other == name else f"differs from {other} in case alone, as file systems may not"
            yield f"{key}: {why}; rename one"
        first.setdefault(name.lower(), name)
    for name, terms in config.get("variants", {}).items():
        weights = [options["weight"] for options in terms.values()]
        shares = [weight["share"] for weight in weights if isinstance(weight, dict)]
        if not any(weights):
            yield f"variants.{name}: every weight is 0, so that nothing would be trained; give one that is more"
        elif len(shares) == len([weight for weight in weights if weight]):
            yield f"variants.{name}: every weight is a share of the loss, of which nothing is left; give one a number"
        elif sum(shares) >= 1:
            yield f"variants.{name}: the shares are {sum(shares):g} together, and must be less than 1; lower one"
    for name in config["probes"]:
        if name.lower() in PROBES:
            yield f"probes.{name}: the tables call images of data so; choose another name"


def of_arguments(owner: str, arguments: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each argument of a model that is no study's to give."""
    for name in sorted(set(arguments) & set(ELSEWHERE)):
        yield f"{owner}.model.args.{name}: is not to be given; remove it, {ELSEWHERE[name]}"
    for name, value in arguments.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and abs(number) > LARGEST_ARGUMENT:
                yield f"{owner}.model.args.{name}: {number} is more than any network has; give less"


def of_recipe(key: str, recipe: dict[str, Any], classes: int) -> Iterator[str]:
    """Yield a sentence for each value of a recipe that cannot work, or has no effect, beside the others."""
    schedule, rate, epochs = recipe["schedule"], recipe["optimizer"]["learning_rate"], recipe["epochs"]
    if recipe.get("train_images", classes) < classes:
        yield f"{key}.train_images: {recipe['train_images']} images cannot show all {classes} classes; give more"
    if 0 < schedule["warmup_epochs"] >= epochs:
        yield f"{key}.schedule.warmup_epochs: must be less than the {epochs} epochs"
    for name in ("warmup_learning_rate", "minimum_learning_rate"):
        if schedule[name] > rate:
            yield f"{key}.schedule.{name}: {schedule[name]} is more than the learning rate of {rate}; give less"
    if schedule["warmup_learning_rate"] and not schedule["warmup_epochs"]:
        yield f"{key}.schedule.warmup_learning_rate: has no meaning without warmup_epochs; give them or remove it"
    if schedule["minimum_learning_rate"] and schedule["name"] == "constant":
        yield f"{key}.schedule.minimum_learning_rate: has no meaning in a constant schedule; remove it"
    if (augmentation := recipe.get("augmentation")) is None:
        return
    if augmentation.get("views", 0) > epochs:
        yield f"{key}.augmentation.views: {augmentation['views']} is more than the {epochs} epochs, which see one each"
    low, high = augmentation["crop_scale"]
    if low > high:
        yield f"{key}.augmentation.crop_scale: {low} is more than {high}; give the smaller area first"
    if (text := augmentation.get("auto_augment")) is None:
        return
    if fault := of_auto_augment(text):
        yield f"{key}.augmentation.auto_augment: {fault}"
    elif augmentation["color_jitter"] and "3a" not in text:
        yield f"{key}.augmentation.color_jitter: has no effect with auto_augment {text} (in timm); remove one of them"


def of_auto_augment(text: str) -> str | None:
    """Return what timm would refuse or pass over in silence in its string `auto_augment`; None if nothing."""
    first, *parts = text.split("-")
    if first not in AUTO_AUGMENT:
        return f"{said(text)} is no augmentation of timm (as rand-m9-mstd0.5); {nearest(first, list(AUTO_AUGMENT))}"
    known, given = AUTO_AUGMENT[first], {}
    for part in parts:
        # Of what could be several, as in `t3a`, the longest name.
        names = sorted((name for name in known if part.startswith(name)), key=len)
        name = names[-1] if names else None
        if name is None or not re.fullmatch(known[name], part.removeprefix(name)):
            return f"{part!r} in {text!r} is no part of {first}; allowed, with a number each: {', '.join(known)}" + (
                " (t with weights, 3a or 3aw)" if "t" in known else ""
            )
        if name in given:
            return f"{name} is given twice in {text!r}; remove one"
        given[name] = part.removeprefix(name)
    most = DRAWN_ONCE.get(given.get("t", ""))
    if most is not None and int(given.get("n", 2)) > most:
        return f"n{given['n']} in {text!r}: of t{given['t']} at most {most} are drawn"
    return None
