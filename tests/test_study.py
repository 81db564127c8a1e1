"""A configuration is checked before anything runs, one sentence a fault."""

import pytest

from distillation_dynamics import extensions
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import model_info
from distillation_dynamics.spec.base import from_json, to_json
from distillation_dynamics.spec.configured import Data
from distillation_dynamics.spec.training import TermSpec
from distillation_dynamics.study import load as loading
from distillation_dynamics.study.configuration import merged
from distillation_dynamics.study.keys import Network, Student
from distillation_dynamics.study.pairs import expand_pairs
from helpers import changed, graph_of, load, smoke_config

PROBE = {key: smoke_config()["data"][key] for key in ("source", "test")} | {"images": 10_001}
SMALL = smoke_config()["data"] | {"source": "folder", "test": "test"}


@pytest.fixture(scope="module")
def config():
    return smoke_config()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("first", [(0, 0)]),
        ("last", [(11, 23)]),
        ("last2", [(10, 22), (11, 23)]),
        ([3, 7], [(3, 7)]),
        (["first", "last"], [(0, 0), (11, 23)]),
        ([[0, 0], [11, 23]], [(0, 0), (11, 23)]),
    ],
)
def test_pairs_may_be_named_or_explicit(value, expected):
    assert expand_pairs(value, 12, 24, "pairs") == expected


@pytest.mark.parametrize("value", ["last13", [12, 0], [0, 24], [-1, 0], "middle", [], ["first", [0, 0]], True])
def test_a_block_that_a_model_does_not_have_is_refused_by_key(value):
    with pytest.raises(StudyError, match=r"variants\.x\.spectral\.pairs"):
        expand_pairs(value, 12, 24, "variants.x.spectral.pairs")


def test_every_metric_file_is_a_known_metric_and_all_are_measured_unless_some_are_named(config):
    names = ["attention", "entropy", "gradient", "magnitude", "rank", "sep", "spectrum", "tokens"]
    metrics = list(load(config).measure.metrics)
    assert metrics == list(extensions.metrics()) and {*names} <= {*metrics}
    chosen = load(changed(config, "measure.metrics", ["spectrum", "entropy"])).measure.metrics
    assert chosen == ("spectrum", "entropy")


def test_the_baseline_is_the_plainest_variant_unless_one_is_named(config):
    assert load(config).baselines == {"student": "none"}
    assert load(changed(config, "statistics", {"baseline": "hard"})).baselines == {"student": "hard"}


def test_every_objective_file_is_a_known_objective():
    assert extensions.objectives().keys() >= {"cross_entropy", "hard", "projector", "soft", "spectral"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sedes", [0], "sedes: unknown key; did you mean seeds"),
        ("networks.cait.source", "pretrian", "networks.cait.source: 'pretrian' is not valid; did you mean pretrain"),
        ("variants.everything.soft.weight", -1, "variants.everything.soft.weight: -1 is less than"),
        ("variants.everything.soft.temprature", 2, "temprature: unknown key; did you mean temperature"),
        (
            "variants.everything.sotf",
            {"weight": 1},
            "variants.everything.sotf: is not the name of an objective; did you mean soft",
        ),
        ("variants.everything.spectral.pairs", [[0, 7]], r"variants.\w+.spectral.pairs: .* teacher block 7"),
        ("variants.bad name", {"soft": {"weight": 1}}, "variants: 'bad name' is not valid; it must be"),
        ("student.recipe.batch_size", 9999, "student.recipe.batch_size: 9999 is more than the 320"),
        ("networks.cait.recipe.train_images", 99999, "networks.cait.recipe.train_images: 99999 is more than the 9800"),
        ("measure.images", 5000, "measure.images: 5000 is more than the 200"),
        ("compare.images", 5000, "compare.images: 5000 is more than the 200"),
        (
            "measure.published_images",
            10001,
            "^measure.published_images: 10001 is more than the 10000 images of",
        ),
        ("probes", {"p": PROBE}, "^probes.p.images: 10001 is more than the 10000 images of probes.p.test$"),
        (
            "measure",
            {"metrics": ["entropy"], "first_seed_only": ["rank"]},
            "^measure.first_seed_only: rank is not measured; remove it, or add it to measure.metrics$",
        ),
        (
            "compare",
            {"metrics": ["cka"], "first_seed_only": ["cka", "agreement"]},
            "^compare.first_seed_only: agreement is not measured; remove it, or add it to compare.metrics$",
        ),
        ("measure.metrics", ["entropi"], r"measure.metrics.0: 'entropi' is not valid; did you mean entropy"),
        ("measure.permutations", 5, "measure.permutations: 5 is less than the minimum of 20"),
        ("statistics", {"baseline": "hrad"}, "statistics.baseline: there is no variant 'hrad'; did you mean hard"),
        ("data.train", "nowhere.parquet", "data.train: the file nowhere.parquet does not exist"),
        ("data.test", "nowhere-*.parquet", r"data.test: no file matches nowhere-\*.parquet; give Parquet files"),
        (
            "data.validation.per_class",
            1000000,
            r"^data.validation.per_class: 1000000 images of each of 10 classes .*: data.train has 10000 images in all$",
        ),
        (
            "view.image_size",
            29,
            r"^model.args: \w+ cuts images into patches of 7 x 7 pixels, .* an image_size of 28 or 35$",
        ),
        ("data", {**SMALL, "train": ["a", "b"]}, r"^data.train: with data.source: folder give one folder or .tar"),
        (
            "data",
            {**SMALL, "columns": {"image": "img"}},
            r"^data.columns: has no effect with source folder; remove it$",
        ),
        ("data.columns", {"lable": "x"}, "data.columns.lable: unknown key; did you mean label"),
        (
            "data.columns",
            {"label": "kind"},
            r"^data.train: \S+ has no column kind, .* as in data.columns: {label: label}",
        ),
        ("data.source", "folder", r"^data.train: \S+parquet is no folder and no .tar; .* data.source: parquet$"),
        ("view.mean", [0.1, 0.2], "view.mean: 2 values are given for 1 channels"),
        ("networks.cait.weights", "x.safetensors", "networks.cait.weights: has no effect with source pretrain"),
        (
            "student.model.name",
            "vit_tiny_patch61_224",
            "model.name: timm has no model .* did you mean vit_tiny_patch16",
        ),
        ("student.model.args", {"embed_dim": 12, "hedas": 3}, "model.args: timm cannot build vit_tiny_patch16_224"),
        ("student.recipe.optimizer.name", "adamx", "student.recipe.optimizer.name: 'adamx' .* did you mean adam"),
        (
            "student.recipe.augmentation",
            {"auto_augment": "rnad-m9"},
            "auto_augment: 'rnad-m9' is not an augmentation of timm",
        ),
        ("compute", {"students": {"gpu": 3}}, "compute.students.gpu: student.recipe.batch_size must be a multiple of"),
        (
            "compute",
            {"networks": {"gpu": 4, "nodes": 3}},
            "compute.networks.nodes: 4 GPUs cannot be shared equally by 3",
        ),
        ("compute", {"measure": {"gpu": 2}}, "compute.measure.gpu: 2 is greater than the maximum of 1"),
        ("compute", {"networks": {"runs_per_job": 2}}, "compute.networks.runs_per_job: unknown key"),
        ("data.trust_times", "yes", "data.trust_times: 'yes' is given, but true or false is expected"),
        ("student.model.args", {"patch_size": 14}, "a 2 x 2 grid of patches and teacher block 0 4 x 4"),
    ],
)
def test_a_wrong_configuration_is_refused_in_a_sentence_that_names_the_key(config, path, value, message):
    with pytest.raises(StudyError, match=message):
        load(changed(config, path, value))


def test_a_model_that_timm_refuses_is_named_with_its_owner(config, tmp_path):
    config = changed(config, "networks.cait.model.args.num_heads", 5)
    with pytest.raises(StudyError, match=r"^networks\.cait\.model\.args: cait_\w+ with .* does not give features"):
        loading.load(config, lambda asked: model_info.describe(asked, tmp_path))


def test_a_parquet_file_that_is_none_is_refused(config, tmp_path):
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(StudyError, match=r"data.train: .*broken.parquet is not a readable Parquet file"):
        load(changed(config, "data.train", str(path)))


def test_every_fault_is_reported_at_once(config):
    with pytest.raises(StudyError) as error:
        load(changed(changed(config, "sedes", 1), "student.recipe.epochs", 0))
    assert len(str(error.value).splitlines()) == 2


def test_slices_survive_the_way_through_json(config):
    result = load(config)
    for kind, part in ((Data, result.data), (Network, result.networks["cait"]), (Student, result.students["student"])):
        assert from_json(kind, to_json(part)) == part
    terms = result.variants["everything"].terms
    assert from_json(tuple[TermSpec, ...], to_json(terms)) == terms


def test_the_order_of_keys_does_not_change_a_slice(config):
    turned = dict(reversed(config.items()))
    turned["student"] = dict(reversed(config["student"].items()))
    assert to_json(load(turned).students) == to_json(load(config).students)


def test_a_path_may_be_spelt_in_several_ways(config, root, monkeypatch):
    monkeypatch.chdir(root)
    name = "resources/fashion_mnist/test-00000-of-00001.parquet"
    plain = load(config | {"data": config["data"] | {"train": name, "test": name}})
    for path in (f"./{name}", f"resources//{name.removeprefix('resources/')}", f"resources/../{name}"):
        spelt = load(config | {"data": config["data"] | {"train": path, "test": path}})
        assert spelt == plain and spelt.data.train == (name,)
        assert [task.key for task in graph_of(spelt).tasks] == [task.key for task in graph_of(plain).tasks]


def test_times_of_change_are_trusted_only_where_the_study_says_so(config):
    assert load(config).data.trust_times is False
    assert load(changed(config, "data.trust_times", True)).data.trust_times is True


def test_how_students_are_put_into_jobs_and_batches_into_parts_may_be_said(config):
    students = {"runs_per_job": 3, "images_at_a_time": 16}
    result = load(changed(config, "compute", {"students": students, "networks": {"images_at_a_time": 32}}))
    assert result.compute["students"].items() >= students.items()
    assert result.compute["networks"]["images_at_a_time"] == 32
    plain = load(config)
    assert "runs_per_job" not in plain.compute["students"] and "images_at_a_time" not in plain.compute["students"]
    assert [task.key for task in graph_of(result).tasks] == [task.key for task in graph_of(plain).tasks]


@pytest.mark.parametrize("names", [["config.yaml"], ["studies/smoke.yaml"], ["studies/full.yaml"]])
def test_the_studies_that_come_with_the_project_are_valid(root, monkeypatch, names):
    monkeypatch.chdir(root)
    assert load(merged(names)).variants
