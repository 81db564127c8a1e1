"""The header of the methods: a table on the study from `study.json`, the runs and their measured seconds."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from ..files import Column
from ..markdown import markdown
from ..ranking import shown, top
from ..spec.teacher_outputs import TEACHER_PRECISION
from ..words import listed, plural

TABLE = {"": Column("", ""), "what": Column("", "")}
PACKAGES = ("torch", "timm", "snakemake")
# Name of a study's own images among its image sets.
MAIN = "main"


def table(study: dict[str, Any] | None, runs: pd.DataFrame, cost: pd.DataFrame, notes: Sequence[str] = ()) -> str:
    """Return the table; `study`: content of study.json, None if missing.

    `notes`: the data stage's remarks on the images.
    """
    seen = [("images", "; ".join(notes))] if notes else []
    rows = [*seen, ("runs", counted(runs)), ("hours of training", hours(cost))]
    if study is None:
        return _table([*rows, ("made", "not recorded: study.json is missing")])
    config, packages = study["configuration"], {"python": "Python"}
    packages |= {name: name for name in PACKAGES if name in study["versions"]}
    networks, students = list(config["networks"].items()), students_of(config)
    rows = [
        ("data", _data(config, study)),
        *(
            (f"network {name}", _network(network, study["networks"][name], _loaded(runs, name)))
            for name, network in top(networks)
        ),
        *_more(networks, "networks"),
        *(
            (f"student{name}", _student(student, config["teacher"], answering(config)))
            for name, student in top(students)
        ),
        *_more(students, "students"),
        *rows,
        ("commit", _commit(study["commit"])),
        ("versions", ", ".join(f"{said} {study['versions'][name]}" for name, said in packages.items())),
        ("machine", f"{computed_on(cost)}; {'{cores} cores, {system}'.format_map(study['machine'])}"),
        ("begun", f"{study['date']} (the last time that something was due)"),
    ]
    return _table(rows)


def _more(members: list[tuple[str, dict[str, Any]]], what: str) -> list[tuple[str, str]]:
    said = shown(len(members), what, "", "study.json")
    return [(f"further {what}", said)] if said else []


def _table(rows: list[tuple[str, str]]) -> str:
    return markdown(pd.DataFrame(rows, columns=list(TABLE)), TABLE)


def counted(runs: pd.DataFrame) -> str:
    """Return the numbers of networks, variants and seeds."""
    students = runs[runs["seed"].notna()]
    networks = plural(len(runs) - len(students), "network")
    if students.empty:
        return networks
    seeds = sorted(map(int, students["seed"].unique()))
    variants = students["network"].nunique()
    return f"{networks}; {plural(variants, 'variant')} x {plural(len(seeds), 'seed')} ({ranges(seeds)})"


def ranges(numbers: list[int]) -> str:
    """Return sorted numbers, three or more that follow each other as '0 to 2': '0 to 2, 5, 6'."""
    found: list[str] = []
    for _, one in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in one]
        found += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run)
    return ", ".join(found)


def hours(cost: pd.DataFrame) -> str:
    """Return the total hours of all trainings, and their devices."""
    trained = cost[cost["images_per_second"].notna()]
    if trained.empty:
        return "nothing was trained"
    total = (trained["seconds"] + trained["start_seconds"]).sum() / 3600
    return f"{total:.2f} on {listed(sorted(set(trained['device'])))}, of {plural(len(trained), 'training')}"


def computed_on(cost: pd.DataFrame) -> str:
    """Return CPU and number of threads with which networks were trained or loaded; both determine the bits."""
    cpus = [cpu or "CPU not recorded" for cpu in dict.fromkeys(cost["cpu"])]
    threads = sorted(map(int, cost["threads"].dropna().unique()))
    counts = listed([plural(count, "thread") for count in threads])
    return f"{listed(cpus)}, {f'{counts} a process' if counts else 'threads not recorded'}"


def short(study: dict[str, Any] | None, runs: pd.DataFrame, cost: pd.DataFrame) -> str:
    """Return the facts a reader of the numbers needs: data, number of trainings, machine, code."""
    rows = [("runs", counted(runs)), ("machine", computed_on(cost))]
    if study is not None:
        rows = [("data", _data(study["configuration"], study)), *rows, ("commit", _commit(study["commit"]))]
    return _table(rows)


def _data(config: dict[str, Any], study: dict[str, Any]) -> str:
    data, counts = config["data"], study["image_counts"].get(MAIN, {})
    parts = [
        f"{name} {data[name] if isinstance(data[name], str) else listed(data[name])}"
        for name in ("train", "test")
        if name in data
    ]
    count = ", ".join(f"{number:,} {name} images" for name, number in counts.items() if number is not None)
    classes = f"{data['classes']} classes" if "classes" in data else "no labels"
    return "; ".join(filter(None, [*parts, count, classes]))


def model_said(model: dict[str, Any]) -> str:
    """Return a model's timm name with its arguments and architecture."""
    said = [_with(model["name"], model["args"])]
    said += [_with(name, options) for name, options in model.get("architecture", {}).items()]
    return " with ".join(said)


def _with(name: str, options: dict[str, Any]) -> str:
    given = ", ".join(f"{option} {value}" for option, value in options.items())
    return f"{name} ({given})" if given else name


def recipe_said(recipe: dict[str, Any]) -> str:
    """Return a recipe in one line: epochs, images, batches, optimiser, schedule, and other settings in use."""
    images = f"{recipe['train_images']:,} images" if recipe.get("train_images") else "all training images"
    rate = recipe["optimizer"]["learning_rate"]
    norm = recipe.get("clip_gradient_norm")
    repeats = (recipe.get("augmentation") or {}).get("repeats", 1)
    mixing, ema = recipe.get("mixing") or {}, recipe.get("ema")
    more = [
        *([] if norm is None else [f"gradient clipped at {norm:g}"]),
        *([] if repeats == 1 else [f"each image in {repeats} views in a row"]),
        *(f"{name} {mixing[name]:g}" for name in ("mixup", "cutmix") if mixing.get(name)),
        *([] if ema is None else [_averaged(ema)]),
    ]
    return (
        f"{plural(recipe['epochs'], 'epoch')} of {images}, batches of {recipe['batch_size']}, "
        f"{recipe['optimizer']['name']} at {rate:g}, {', '.join([recipe['schedule']['name'], *more])}"
    )


def _averaged(ema: dict[str, Any]) -> str:
    warmup = " after a warm-up" if ema["warmup"] else ""
    return f"measured with the average of the weights over the updates (EMA, decay {ema['decay']:g}{warmup})"


def _network(network: dict[str, Any], known: dict[str, Any], loaded: str) -> str:
    made = f"trained here: {recipe_said(network['recipe'])}" if "recipe" in network else f"weights {network['weights']}"
    side, resampling = known["view"]["image_size"], known["resampling"]
    # If it was derived from the weights, the note on their loading mentions it.
    more = [] if resampling is None or "resampled" in loaded else [resampling]
    seen = [f"images of {side} x {side} pixels", *more]
    return f"{model_said(network['model'])}, {made}{f' ({loaded})' if loaded else ''}; {', '.join(seen)}"


def _loaded(runs: pd.DataFrame, name: str) -> str:
    """Return how a network's weights from elsewhere were read; empty if they fitted exactly."""
    return next(iter(runs.loc[runs["network"] == name, "loaded"]), "")


def students_of(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the students of a configuration with what follows the word student: a name, if they have one."""
    named = [(f" {name}", student) for name, student in config.get("students", {}).items()]
    return [("", config["student"])] if "student" in config else named


def answering(config: dict[str, Any]) -> str:
    """Return the precision in which the teachers of a configuration answer."""
    return config.get("compute", {}).get("teacher", {}).get("precision", TEACHER_PRECISION)


def _student(student: dict[str, Any], teacher: str, precision: str) -> str:
    recipe = student["recipe"]
    said = f"{model_said(student['model'])}, {recipe_said(recipe)}, {recipe['precision']}"
    return f"{said}; teacher {teacher}, whose answers are {precision}"


def _commit(commit: dict[str, Any] | None) -> str:
    if commit is None:
        return "not known (no repository)"
    return f"{commit['hash']}{'' if commit['clean'] else ', with changes that are not committed'}"
