"""Studies that need GPUs: with stand-ins for their images they load and plan; what they repeat, and what they cost."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import ROOT
from distillation_dynamics.jobs import why
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.costs import Costs
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.plan import Plan
from distillation_dynamics.jobs.who import setting_of
from distillation_dynamics.questions import published
from distillation_dynamics.spec.base import from_json, to_json
from distillation_dynamics.spec.tables import Setting
from helpers import load

# Training images, and operations a second of a GPU: in bfloat16, in which students train, and in float32, as teachers.
IMAGES = {"imagenet_published": 1_281_167, "imagenet100": 121_689}
STUDENT, TEACHER = 5e13, 1.5e13
# Students of a job, as SLURM trains them together.
TOGETHER = 8
STUDIES = sorted(IMAGES)
SWITCHES = {
    "projector_last": "projector: options {'frozen': False}, published {'frozen': True}",
    "spectral_first_last_sum": "spectral: reduction sum, published mean",
    "projector_first_last_frozen_sum": "projector: reduction sum, published mean",
}


def planned(name, folder, monkeypatch):
    """The graph of a study whose classes have two training and twelve test images each: one file of many names."""
    monkeypatch.chdir(folder)
    config = yaml.safe_load((ROOT / f"studies/{name}.yaml").read_text())
    Image.new("RGB", (8, 8)).save("one.png")
    validation = config["data"]["validation"]
    for source, count in (("train", 2), ("test", 2)):
        for label in range(config["data"]["classes"]):
            own = folder / config["data"][source] / f"n{label:04d}"
            own.mkdir(parents=True)
            more = validation["per_class"] if validation["taken_from"] == source else 0
            for image in range(count + more):
                (own / f"{image:03d}.png").hardlink_to("one.png")
    study = load(config)
    return build_graph(study, Content.read(study, Hashes()))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Name -> graph, each made once."""
    with pytest.MonkeyPatch.context() as patch:
        return {name: planned(name, tmp_path_factory.mktemp(name), patch) for name in STUDIES}


@pytest.mark.parametrize("name", STUDIES)
def test_why_lists_every_training_with_its_limit(name, graphs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    graph = graphs[name]
    said = why.report(Plan(graph, Hashes(), slots=dict.fromkeys(("students", "measure", "compare", "tables"))), Costs())
    rows = {row[0]: row[1:] for row in re.findall(r"^(\w+) +(\d+) +(\d+) *(<=|~|-)", said, re.MULTILINE)}
    arms, seeds = len(graph.study.variants), len(graph.study.seeds)
    assert int(rows["students"][0]) == arms * seeds and int(rows["networks"][0]) == len(graph.study.networks)
    assert rows["students"][2] == "<=", "no earlier job is like these"
    assert "students" in said and "teacher_outputs" not in rows, (
        "views are new in each epoch: the teacher answers online"
    )


def gpu_hours(name, study):
    """What the trainings of a study cost: operations of students and, once a job, of their teachers."""
    groups = Counter(
        (arm.student, tuple(sorted(source.network for source in arm.sources))) for arm in study.variants.values()
    )
    seconds = 0.0
    for (student, teachers), count in groups.items():
        images = IMAGES[name] * study.students[student].recipe.epochs
        seconds += images * count * 3 * study.model_info[student].footprint.operations / STUDENT
        for teacher in teachers:
            jobs = int(np.ceil(count / TOGETHER))
            seconds += images * jobs * study.model_info[teacher].footprint.operations / TEACHER
    return len(study.seeds) * seconds / 3600


@pytest.mark.parametrize("name", STUDIES)
def test_the_cost_that_a_study_names_is_that_of_its_operations(name, graphs):
    text = (ROOT / f"studies/{name}.yaml").read_text()
    hours, trainings = re.search(r"estimated and not measured: (\d+) GPU hours for (\d+) trainings", text).groups()
    study = graphs[name].study
    assert int(trainings) == len(study.variants) * len(study.seeds)
    assert int(hours) == pytest.approx(gpu_hours(name, study), rel=0.03)
    assert f"| {hours} of a GPU, estimated |" in (ROOT / "studies/README.md").read_text()
    assert name != "imagenet100" or int(hours) < 60, "a weekend"


def test_each_published_row_is_the_same_run_and_each_switch_differs_in_one_thing(graphs):
    setting = from_json(Setting, to_json(setting_of(graphs["imagenet_published"])))
    numbers = published.read_published([str(path) for path in (ROOT / "resources/published").glob("*.csv")])
    runs = pd.DataFrame([{"network": name, "train_images": 1_281_167} for name in setting.arms])
    found = {name: published.matched(numbers, setting, name, runs) for name in setting.arms}
    same = {row["run"] for row, differs in found.values() if row is not None and not differs}
    rows = numbers.top1[(numbers.top1["paper"] == "distillation_dynamics") & (numbers.top1["change"] == "")]
    assert same == set(rows["run"]), "all but those of the MAE teacher, whose head was untrained"
    for name, said in SWITCHES.items():
        assert found[name][1] == [said], name


def test_photographs_are_asked_what_the_default_study_asks(graphs):
    default = yaml.safe_load((ROOT / "config.yaml").read_text())["variants"]
    own = yaml.safe_load((ROOT / "studies/imagenet100.yaml").read_text())["variants"]
    assert own == default and len(graphs["imagenet100"].study.seeds) == 5
