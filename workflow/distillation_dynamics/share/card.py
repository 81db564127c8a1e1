"""Model cards: the network, its accuracy with n and interval, its training data, and how to load it.

In: a member of a study, study.json, and the tables. Out: Markdown with the front matter of the Hugging Face hub.
Numbers are those of the tables; missing records are named.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ..report.head import MAIN, model_said, recipe_said
from ..spec.base import build
from ..spec.training import TermSpec
from ..statistics.terms import dose_of, more_of, named
from ..statistics.westfall_young import p_said
from ..words import listed, plural
from .members import Member

Tables = Mapping[str, pd.DataFrame]
# Key of config.json: the architecture's file, with its options.
CHANGED = "changed_by"
# Folders that hold a split of an image set, not the set.
SPLITS = ("test", "val", "validation")


def document(member: Member, study: dict[str, Any], tables: Tables, onnx: bool, note: str | None = None) -> str:
    """Return README.md of a bundle; `note`: the network's own remark."""
    said = {"name": member.model.name, "args": member.model.args, "architecture": member.model.architecture}
    parts = [
        f"# {member.name}" + ("" if member.seed is None else f", seed {member.seed}"),
        f"{model_said(said)}, {member.result['parameters']:,} parameters; of the study {study['name']} made with "
        "Distillation Dynamics.",
        "## What it is",
        *([f"{note[0].upper()}{note[1:]}."] if note else []),
        *_made(member),
        "## What it reached",
        *_reached(member, tables),
        "## Images",
        *_images(member, study),
        "## Use",
        _use(member, onnx),
        "## Limits",
        "It was made to be measured, not to be used: nothing is known of it beyond these images. Licence of the "
        "weights: not recorded; whoever shares them chooses one, and adds it above as `license:`.",
        "## Where it comes from",
        _origin(member, study),
    ]
    return f"{front_matter(member, study)}\n" + "\n\n".join(part for part in parts if part) + "\n"


def front_matter(member: Member, study: dict[str, Any]) -> str:
    """Return the YAML for the hub: library, tags and, if measured, the accuracy of this file."""
    task = "image-classification" if member.model.classes else "image-feature-extraction"
    tags = [task, "timm", *(["knowledge-distillation"] if member.seed is not None else [])]
    library = "pytorch" if member.model.architecture else "timm"
    matter: dict[str, Any] = {"library_name": library, "pipeline_tag": task, "tags": tags}
    if (top1 := member.result.get("test_top1")) is not None:
        result = {
            "task": {"type": task},
            "dataset": {"type": _image_set(study), "name": _image_set(study), "split": "test"},
            "metrics": [{"type": "accuracy", "value": round(top1 / 100, 6), "name": "top-1"}],
        }
        matter["model-index"] = [{"name": member.folder, "results": [result]}]
    return f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---\n"


def _image_set(study: dict[str, Any]) -> str:
    """Return the name of the study's test images: that of their folder, above a split's folder."""
    test = study["configuration"]["data"]["test"]
    path = Path(test if isinstance(test, str) else test[0])
    folder = path.resolve().parent if path.suffix else path.resolve()
    return folder.parent.name if folder.name in SPLITS else folder.name


def _made(member: Member) -> Iterator[str]:
    job = member.job
    if member.seed is None:
        if job.get("recipe"):
            yield f"Trained in the study on labels alone: {recipe_said(job['recipe'])}, seed {job['seed']}."
        else:
            yield "Weights from elsewhere, as the study loaded them; see their own card for what they were trained on."
        return
    yield f"A student: {recipe_said(job['recipe'])}, seed {job['seed']}; weights of the last epoch."
    yield f"Loss: {' + '.join(_term(term) for term in job['terms'])}."
    for teacher in job["teachers"]:
        yield f"Teacher: {model_said(teacher['model'])}."


def _term(term: dict[str, Any]) -> str:
    spec = build(TermSpec, term)
    weight = f"{spec.weight:g}" if spec.weight is not None else f"({dose_of(spec)})"
    options = [f"{name} {value}" for name, value in spec.options.items()]
    options += [f"student-teacher blocks {named(spec.pairs)}"] if spec.pairs else []
    options += [f"{name} {value}" for name, value in more_of(spec).items()]
    return f"{weight} {spec.objective}" + (f" ({', '.join(options)})" if options else "")


def _reached(member: Member, tables: Tables) -> Iterator[str]:
    top1 = member.result.get("test_top1")
    if top1 is None:
        yield "Its accuracy was not measured: it has no head for labelled test images."
        return
    runs = tables.get("runs", pd.DataFrame(columns=["network", "test_images"]))
    images = runs.loc[runs["network"] == member.name, "test_images"]
    of = f"{int(images.iloc[0]):,} test images" if len(images) else "test images, whose number is not recorded"
    yield f"This file: top-1 {top1:.2f} % of {of}, last epoch."
    summary = tables.get("summary", pd.DataFrame(columns=["network"]))
    for row in summary[summary["network"] == member.name].to_dict("records"):
        if len(images):
            yield f"Binomial standard error that so many test images cause: {row['image_standard_error']:.2f} points."
        if not math.isnan(row["test_agreement"]):
            yield f"Same prediction as the teacher: {row['test_agreement']:.1f} % of the test images" + (
                f", mean over {plural(int(row['seeds']), 'seed')}." if member.seed is not None else "."
            )
        if member.seed is not None:
            yield _over_seeds(row)
    variants = tables.get("variants", pd.DataFrame(columns=["variant"]))
    for row in variants[variants["variant"] == member.name].to_dict("records"):
        yield _difference(row)


def _over_seeds(row: dict[str, Any]) -> str:
    seeds = plural(int(row["seeds"]), "seed")
    if math.isnan(row["test_top1_low"]):
        return f"Mean over {seeds}: {row['test_top1']:.2f} %, without an interval of training."
    interval = f"{row['test_top1_low']:.2f} to {row['test_top1_high']:.2f}"
    return f"Mean over {seeds}: {row['test_top1']:.2f} %, 95 % t interval {interval}."


def _difference(row: dict[str, Any]) -> str:
    if not row["seeds"]:
        return f"It shares no seed with {row['baseline']}: no difference is known."
    interval = (
        "without an interval" if math.isnan(row["low"]) else f"95 % t interval {row['low']:+.2f} to {row['high']:+.2f}"
    )
    test = (
        f"p {p_said(row['p_joint'])} in a joint sign-flip test of {plural(int(row['joint_comparisons']), 'variant')}"
        if row["joint_seeds"]
        else "not tested"
    )
    seeds = plural(int(row["seeds"]), "seed")
    mean = f"{row['mean_difference']:+.2f} points"
    return f"Difference to {row['baseline']}, paired over {seeds}: {mean}, {interval}, {test} ({row['verdict']})."


def _images(member: Member, study: dict[str, Any]) -> Iterator[str]:
    data, counts = study["configuration"]["data"], study["image_counts"].get(MAIN, {})
    classes = f"{data['classes']} classes" if data.get("classes") else "no labels"
    known = [f"{count:,} {split} images" for split, count in counts.items() if count is not None]
    yield f"The study's images: {', '.join([*known, classes])}."
    if (count := member.result.get("train_images")) is not None:
        yield f"Trained on {count:,} of them."
    hashes = study["images"].get(MAIN, {})
    if hashes:
        yield "sha256 of what they are: " + ", ".join(f"{split} `{digest}`" for split, digest in hashes.items()) + "."
    paths = [path for split in ("train", "test") for path in ([data[split]] if split in data else [])]
    files = dict.fromkeys(Path(path).parent / "LICENSE" for path in paths if isinstance(path, str))
    texts = [file.read_text("utf-8", errors="replace").strip() for file in files if file.is_file()]
    first = [text.partition("\n")[0] for text in texts if text]
    yield f"Licence with the images: {listed(first)}." if first else "Licence of the images: not recorded."


def _use(member: Member, onnx: bool) -> str:
    view = member.view
    size = f"{view.channels} x {view.image_size} x {view.image_size}"
    mode = {1: "L", 3: "RGB"}.get(view.channels, "?")
    lines = [
        "```python",
        *(_changed(member) if member.model.architecture else _plain(member)),
        f'image = transform(Image.open("picture.png").convert("{mode}"))[None]',
        "with torch.inference_mode():",
        "    output = network(image)",
        "```",
        "",
        f"It sees {size} values with mean {_numbers(view.mean)} and deviation {_numbers(view.std)}; `config.json` says "
        "all of it.",
    ]
    text = "\n".join(lines)
    return f"{text} `model.onnx` takes `images` [N, {size.replace(' x ', ', ')}]." if onnx else text


def _plain(member: Member) -> list[str]:
    return [
        "import timm, torch",
        "from PIL import Image",
        "",
        f'network = timm.create_model("local-dir:{member.folder}", pretrained=True).eval()',
        "transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=network))",
    ]


def _changed(member: Member) -> list[str]:
    """Return how to load a network that an architecture's file modifies."""
    ((name, options),) = member.model.architecture.items()
    given = "".join(f", {option}={value!r}" for option, value in options.items())
    return [
        "import functools, json, sys, timm, torch",
        "from PIL import Image",
        "from safetensors.torch import load_file",
        "",
        f'sys.path.append("{member.folder}")',
        f"from {name} import modify",
        "",
        f'said = json.load(open("{member.folder}/config.json"))',
        'make = functools.partial(timm.create_model, said["architecture"], **said["model_args"])',
        f"network = modify(make{given}).eval()",
        f'network.load_state_dict(load_file("{member.folder}/model.safetensors"))',
        'seen = timm.data.resolve_data_config({}, pretrained_cfg=said["pretrained_cfg"])',
        "transform = timm.data.create_transform(**seen)",
    ]


def _numbers(values: tuple[float, ...]) -> str:
    return listed([f"{value:g}" for value in values])


def _origin(member: Member, study: dict[str, Any]) -> str:
    commit = study.get("commit")
    text = (
        "commit not recorded"
        if commit is None
        else f"commit {commit['hash']}" + ("" if commit["clean"] else " with changes that are not committed")
    )
    versions = ", ".join(f"{name} {study['versions'][name]}" for name in ("torch", "timm") if name in study["versions"])
    return (
        f"Study {study['name']}, {text} (its last run); {versions}. sha256 of `model.safetensors`: `{member.sha256}`."
    )
