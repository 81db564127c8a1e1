"""A study of networks alone trains nothing and asks for nothing that trainings need; a teacher must fit its students.

What is refused is one sentence that names the key.
"""

import copy
from dataclasses import replace

import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.graph import Graph
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.plan import Plan
from distillation_dynamics.jobs.who import names_of
from distillation_dynamics.networks.build import build
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.study import notes
from distillation_dynamics.study.keys import GivenView
from helpers import changed, load, small_config, smoke_config
from pictures import write_pictures

VIT = {"name": "vit_tiny_patch16_224", "args": {"patch_size": 7, "embed_dim": 12, "depth": 2, "num_heads": 2}}
GREY = {"channels": 1, "image_size": 28, "mean": [0.3], "std": [0.4]}
RESNET = {
    "source": "timm",
    "model": {"name": "resnet10t", "args": {"num_classes": 3}},
    "weights": "hf-hub:timm/resnet10t.c3_in1k@main",
}
TRAINING = ("teacher_outputs", "students")


@pytest.fixture
def config(tmp_path):
    """Two networks, a file's and a hub's, and pictures without classes."""
    write_pictures(tmp_path / "pictures", [f"{number}.png" for number in range(5)])
    args = VIT["args"] | {"num_classes": 0}
    network = build(Model(VIT["name"], args, "timm", 0), View(1, 28, (0.3,), (0.4,)))
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    vit = {"source": "checkpoint", "model": VIT | {"args": args}, "weights": str(tmp_path / "vit.safetensors")}
    return {
        "name": "alone",
        "data": {"source": "folder", "test": str(tmp_path / "pictures")},
        "networks": {"vit": vit | {"view": GREY}, "resnet": RESNET},
    }


def graph_of(config) -> Graph:
    study = load(copy.deepcopy(config))
    return build_graph(study, Content.read(study, Hashes()))


def refusals(config) -> list[str]:
    with pytest.raises(StudyError) as error:
        load(copy.deepcopy(config))
    return str(error.value).splitlines()


def test_a_study_of_networks_alone_has_a_graph_without_trainings(config):
    graph = graph_of(config)
    stages = [task.stage for task in graph.tasks]
    assert {"data", "networks", "measure", "compare", "map", "tables", "statistics", "figures", "page"} <= {*stages}
    assert not {*TRAINING} & {*stages} and not graph.outputs and graph.study.teacher is None
    assert (
        not graph.study.trained
        and graph.study.reference == "vit"
        and list(graph.by_network) == ["networks/vit", "networks/resnet"]
    )
    for task in graph.networks.values():
        job = task.job
        assert job.recipe is None and job.images is None and job.measures == (), "no accuracy, and no images for it"
    assert [job.train for job in (graph.sets["main"].job,)] == [()]
    assert graph.statistics.job.asked == ("shape", "networks", "classes", "claims"), (
        "no question that is about students"
    )
    names = names_of(graph)
    assert names.teacher is None and names.variants == () and names.baseline is None
    assert names.controls == {"vit": "vit_untrained", "resnet": "resnet_untrained"}


def test_a_study_of_networks_alone_plans_and_trains_nothing(config, tmp_path, monkeypatch):
    graph = graph_of(config)
    monkeypatch.chdir(tmp_path)
    plan = Plan(graph, Hashes(), slots={"students": 1, "measure": 1, "compare": 1, "tables": 1})
    assert plan.training == {} and plan.cohorts == [] and len(plan.reasons) == len(graph.tasks)
    assert {*plan.reasons.values()} == {"does not exist yet"}
    # The network that gives the range is measured alone, then the others; then pairs, and all that gathers.
    assert [batch.stage for batch in plan.batches] == ["measure", "measure", "compare", "tables"]


def test_figures_of_a_study_of_networks_alone_ask_for_no_student_teacher_or_variant(config):
    from distillation_dynamics import extensions
    from distillation_dynamics.jobs.gathered import drawn, known_tables

    required = {name: set(figure.requires) for name, figure in extensions.figures(known_tables()).items()}
    figures = drawn(graph_of(config))
    assert {*figures} == {name for name, who in required.items() if who <= {"networks"}}
    del config["networks"]["resnet"]
    assert not any("networks" in required[name] for name in drawn(graph_of(config)))


def test_the_study_of_released_networks_is_valid(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = load(yaml.safe_load((ROOT / "studies/networks.yaml").read_text()))
    assert len(study.networks) == 17 and study.teacher is None and not study.trained
    for name, network in study.networks.items():
        # Names of the hub are those of timm's registry, of the very model, and a twin is a control.
        assert network.weights.removeprefix("hf-hub:timm/").partition("@")[0] in timm.list_pretrained()
        scale = study.model_info[name].layer_scale
        assert network.control == ("unit_layer_scale" if scale is not None and scale < 1e-2 else "untrained"), name
    blocks = {name: info.size.blocks[0] for name, info in study.model_info.items()}
    tokens = {name: (block.classes, block.registers) for name, block in blocks.items()}
    assert tokens["dinov3"] == tokens["eupe"] == tokens["dinov2_registers"] == (1, 4) and tokens["radio"] == (1, 7)
    assert tokens["siglip2"] == tokens["siglip2_naflex"] == (0, 0) and tokens["beit"] == tokens["flexivit"] == (1, 0)
    assert study.model_info["mae"].classes == 0 and study.model_info["resnet101"].classes == 1000


def test_accuracy_is_measured_where_the_head_fits_the_classes(config, tmp_path):
    for label in "abc":
        write_pictures(tmp_path / "classes" / label, ["0.png", "1.png"])
    config["data"] |= {"test": str(tmp_path / "classes"), "classes": 3}
    jobs = {name: task.job for name, task in graph_of(config).networks.items()}
    assert jobs["resnet"].measures == ("test",) and jobs["resnet"].images is not None
    assert jobs["vit"].measures == () and jobs["vit"].images is None, "it has no head"


@pytest.mark.parametrize("without", [("teacher",), ("student",), ("variants",), ("teacher", "variants")])
def test_teacher_student_and_variants_come_together(without):
    config = small_config()
    for key in without:
        del config[key]
    (sentence,) = [said for said in refusals(config) if "must be given too" in said]
    assert sentence.startswith(f"{', '.join(without)}: must be given too, because ")
    assert sentence.endswith("; or leave out all of teacher, student, variants")


def test_a_teacher_that_is_no_network_is_named_with_the_nearest():
    assert refusals(changed(small_config(), "teacher", "cat")) == [
        "teacher: there is no network 'cat'; did you mean cait? allowed: cait"
    ]


@pytest.mark.parametrize("key", ["train", "validation"])
def test_what_only_trainings_need_is_refused_where_nothing_is_trained(config, key):
    config["data"]["classes"] = 3
    config["data"][key] = config["data"]["test"] if key == "train" else {"taken_from": "test", "per_class": 1}
    assert refusals(config) == [f"data.{key}: has no effect if nothing is trained; remove it"]


def test_a_baseline_is_refused_where_there_are_no_variants(config):
    assert refusals(config | {"statistics": {"baseline": "none"}}) == [
        "statistics.baseline: has no effect without variants; remove it"
    ]


@pytest.mark.parametrize("key", ["train", "classes", "validation"])
def test_what_trainings_need_must_be_given(key):
    config = small_config()
    del config["data"][key]
    assert f"data.{key}: must be given, because networks.cait is trained" in refusals(config)


def test_no_network_at_all_is_refused(config):
    assert refusals(config | {"networks": {}}) == ["networks: is empty; give at least one network"]
    del config["networks"]
    assert refusals(config) == ["networks: is empty; give at least one network"]


def test_a_teacher_may_see_images_otherwise_than_its_students_but_no_grey_ones_of_coloured():
    config = small_config()
    config["variants"] = {"hard": config["variants"]["hard"]}
    otherwise = {"mean": [0.5], "std": [0.4], "image_size": 35, "crop_fraction": 0.9}
    arm = load(changed(config, "networks.cait.view", otherwise)).variants["hard"]
    assert arm.sources[0].network == "cait"
    config["view"] |= {"channels": 3, "mean": [0.3] * 3, "std": [0.4] * 3}
    grey = {"channels": 1, "mean": [0.3], "std": [0.4]}
    assert refusals(changed(config, "networks.cait.view", grey)) == [
        "networks.cait.view.channels: the teacher sees grey images and its students colour; give both the same"
    ]


def test_another_network_may_see_images_otherwise():
    config = smoke_config()
    study = load(changed(config, "networks.resnet.view", {"image_size": 32}))
    assert study.view("resnet").image_size == 32 and study.view("cait").image_size == 28


@pytest.mark.parametrize(("classes", "said"), [(3, "3"), (0, "no")])
def test_a_teacher_whose_head_sorts_other_classes_is_refused(tmp_path, classes, said):
    config = small_config()
    model = Model(VIT["name"], VIT["args"] | {"num_classes": classes}, "timm", classes)
    torch.manual_seed(0)
    save_file(build(model, View(1, 28, (0.3,), (0.4,))).state_dict(), tmp_path / "vit.safetensors")
    config["networks"]["vit"] = {
        **{"source": "checkpoint", "weights": str(tmp_path / "vit.safetensors")},
        **{"model": {"name": model.name, "args": model.args}, "view": config["view"] | {"crop_fraction": 1.0}},
    }
    load(copy.deepcopy(config))
    config["teacher"] = "vit"
    remedy = "give both the same" if classes else "give it head: {probe: linear}"
    found = refusals(config)
    assert found and all(
        f"takes the teacher's logits, but the head of networks.vit has {said} outputs and data.classes is 10; "
        f"{remedy}, or choose an objective of features" in sentence
        for sentence in found
    )


def test_the_reference_is_measured_by_what_others_take_of_it():
    config = smoke_config()
    (sentence,) = refusals(changed(config, "networks.cait.without", ["entropy"]))
    assert sentence.startswith("networks.cait.without: entropy of all others needs the range.json of this network;")
    assert load(changed(config, "networks.resnet.without", ["entropy"])).networks["resnet"].without == ("entropy",)
    (sentence,) = refusals(changed(config, "networks.resnet.without", ["rows"]))
    assert sentence.startswith("networks.resnet.without: the comparisons take the rows of every network; measure rows")
    config = changed(config, "compare", {"metrics": []})
    assert "rows" in load(changed(config, "networks.resnet.without", ["rows"])).networks["resnet"].without


def test_what_a_network_is_not_measured_by_is_no_job_of_it():
    study = load(changed(smoke_config(), "networks.resnet.without", ["attention", "spectrum"]))
    graph = build_graph(study, Content({"main": {"train": "a", "test": "b"}}))
    lacking = set(graph.measured["networks/cait"]) - set(graph.measured["networks/resnet"])
    assert lacking == {"attention", "spectrum"}


def test_the_classes_of_a_network_that_is_trained_are_those_of_the_data():
    assert refusals(changed(small_config(), "networks.cait.model.args.num_classes", 10)) == [
        "networks.cait.model.args.num_classes: cannot be set here; remove it, data.classes says it"
    ]
    assert refusals(changed(small_config(), "student.model.args.num_classes", 10)) == [
        "student.model.args.num_classes: cannot be set here; remove it, data.classes says it"
    ]


def test_another_image_set_is_measured_of_every_network(config, tmp_path):
    write_pictures(tmp_path / "more", ["a.png", "b.png"])
    config["probes"] = {"more": {"source": "folder", "test": str(tmp_path / "more")}}
    graph = graph_of(config)
    assert [task.name for task in graph.tasks if task.stage == "data"] == ["main", "more"]
    for network in graph.by_network:
        probes = [probe.name for probe in graph.measured[network]["entropy"].job.image_sets]
        assert probes == ["balanced", "published", "more"]


def test_a_network_that_sees_images_as_its_weights_were_trained_is_told_of():
    study = load(smoke_config())
    assert list(notes.view_notes(study)) == []
    info = study.model_info["resnet"]
    other = replace(info, view=replace(info.view, image_size=224, mean=(0.5,)))
    seen = replace(study, model_info=study.model_info | {"resnet": other})
    assert list(notes.view_notes(seen)) == [
        "networks.resnet: sees images as its weights were trained (image_size 224, mean [0.5]) and not as view says; "
        "to change it give networks.resnet.view"
    ]
    own = replace(study.networks["resnet"], view=GivenView(image_size=224, mean=(0.5,)))
    assert list(notes.view_notes(replace(seen, networks=study.networks | {"resnet": own}))) == []
