"""What leaves a study for others: weights that plain timm loads, and tables in the layout that `datasets` loads."""

import io
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import timm
import torch
import yaml
from PIL import Image

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table, sha256
from distillation_dynamics.share import bundle, card, dataset, members

STUDY = "smoke"


@pytest.fixture(scope="module")
def finished(project, tmp_path_factory):
    """A copy of the finished smoke study's results."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(project / "results", folder / "results", symlinks=True)
    (folder / "resources").symlink_to(ROOT / "resources")
    return folder


@pytest.fixture
def here(finished, monkeypatch):
    monkeypatch.chdir(finished)
    return finished


def front_matter(text):
    return yaml.safe_load(text.split("---\n")[1])


def logits_of(network, pictures):
    """What a network says of the bytes of pictures, seen as timm says that it sees them."""
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=network))
    images = [transform(Image.open(io.BytesIO(picture)).convert("L")) for picture in pictures]
    with torch.inference_mode():
        return network(torch.stack(images)).numpy()


@pytest.mark.parametrize(
    ("options", "folder", "logits"),
    [
        (("none", 0, None), "none_seed0", "results/smoke/students/none/seed0/logits_test.npy"),
        ((None, 0, "resnet"), "resnet", None),
    ],
)
def test_plain_timm_loads_a_bundle_and_says_what_the_study_says(here, options, folder, logits):
    out = bundle.write(STUDY, *options)
    assert out == Path(f"results/smoke/bundles/{folder}")
    digest = re.search(r"sha256 of `model.safetensors`: `(\w+)`", (out / "README.md").read_text())[1]
    assert sha256(out / "model.safetensors") == digest
    seen = json.loads((out / "config.json").read_text())["pretrained_cfg"]
    assert seen["input_size"] == [1, 28, 28] and not {"license", "tag", "origin_url"} & set(seen), "nothing of others"
    network = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    if logits is None:
        shared = json.loads(Path("results/smoke/study.json").read_text())["shared_folders"]["networks resnet"]
        logits = f"{shared}/logits_test.npy"
    expected = np.load(logits)[:20]
    parts = pd.read_parquet(ROOT / "resources/fashion_mnist/test-00000-of-00001.parquet").head(20)
    found = logits_of(network, [image["bytes"] for image in parts["image"]])
    assert np.allclose(found, expected, atol=1e-3), "from the pictures themselves"


def test_the_card_has_the_numbers_of_the_tables_and_says_what_is_not_recorded(here):
    out = bundle.write(STUDY, "hard", 0, None)
    text = (out / "README.md").read_text()
    result = json.loads(Path("results/smoke/students/hard/seed0/result.json").read_text())
    matter = front_matter(text)
    (metric,) = matter["model-index"][0]["results"][0]["metrics"]
    assert metric["value"] == round(result["test_top1"] / 100, 6)
    expected = {"type": "fashion_mnist", "name": "fashion_mnist", "split": "test"}
    assert matter["model-index"][0]["results"][0]["dataset"] == expected
    for test in ("data/imagenet/val", "data/imagenet", ["data/imagenet/val-0.parquet"], "data/imagenet/test/*.parquet"):
        assert card._image_set({"configuration": {"data": {"test": test}}}) == "imagenet", test
    assert matter["library_name"] == "timm" and matter["pipeline_tag"] == "image-classification"
    for said in (
        f"top-1 {result['test_top1']:.2f} % of 10,000 test images", "without an interval of training",
        "Difference to none, paired over 1 seed:", "Loss: 0.1 cross_entropy", "+ 0.9 hard", "Teacher: cait_xxs24_224",
        "Licence with the images: The MIT License", "Licence of the weights: not recorded",
        "1 x 28 x 28 values with mean 0.286 and deviation 0.353",
    ):  # fmt: skip
        assert said in text, said
    assert str(here) not in text


def test_a_card_names_the_interval_where_there_are_seeds(here):
    member = members.student(Path("results/smoke"), "hard", 0)
    row = {
        "network": "hard", "seeds": 6, "test_top1": 77.1, "test_top1_low": 76.0, "test_top1_high": 78.0,
        "image_standard_error": 0.4, "test_agreement": np.nan,
    }  # fmt: skip
    variant = {
        "variant": "hard", "baseline": "none", "seeds": 6, "mean_difference": 1.0, "low": 0.5, "high": 1.5,
        "p_joint": 0.031, "joint_seeds": 6, "joint_comparisons": 2, "verdict": "better",
    }  # fmt: skip
    tables = {"summary": pd.DataFrame([row]), "variants": pd.DataFrame([variant])}
    text = card.document(member, json.loads(Path("results/smoke/study.json").read_text()), tables, True)
    assert "Mean over 6 seeds: 77.10 %, 95 % t interval 76.00 to 78.00." in text
    assert "+1.00 points, 95 % t interval +0.50 to +1.50, p 0.031 in a joint sign-flip test of 2 variants (" in text
    assert "whose number is not recorded" in text and "`model.onnx` takes `images` [N, 1, 28, 28]." in text
    none = card._difference(variant | {"seeds": 0})
    assert none == "It shares no seed with none: no difference is known."
    text = card.document(member._replace(result=member.result | {"test_top1": None}), json.loads(
        Path("results/smoke/study.json").read_text()), {}, False)  # fmt: skip
    assert "Its accuracy was not measured" in text and "model-index" not in front_matter(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["smoek", "--variant", "none"], "STUDY: results/smoek holds no study; did you mean smoke?"),
        (["smoke"], "VARIANT, NETWORK: give one of them"),
        (["smoke", "--variant", "none", "--network", "cait"], "VARIANT, NETWORK: give one of them"),
        (["smoke", "--variant", "hrad"], "VARIANT: hrad is not in the study of results/smoke; did you mean hard?"),
        (["smoke", "--variant", "hard", "--seed", "7"], "SEED: 7 is not in the study of results/smoke; allowed: 0"),
        (["smoke", "--network", "vit"], "NETWORK: vit is not in the study of results/smoke; allowed: cait, resnet"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(here, arguments, said):
    error = bundle.main(arguments)
    assert error.startswith(f"error: {said}") and "\n" not in error


def test_a_seed_that_nobody_chose_is_the_first_one_and_is_named(here, capsys):
    assert bundle.main(["smoke", "--variant", "none"]) is None
    first, out = capsys.readouterr().out.splitlines()
    assert first == "SEED= was not given: this is none of seed 0, the first one" and out.startswith(
        "results/smoke/bundles"
    )
    assert bundle.main(["smoke", "--variant", "none", "--seed", "0"]) is None
    assert "SEED=" not in capsys.readouterr().out


def test_damaged_weights_are_not_shared(here):
    path = Path("results/smoke/students/everything/seed0/checkpoints/epoch002.safetensors")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StudyError, match="has changed since it was written"):
        bundle.write(STUDY, "everything", 0, None)


def test_a_bundle_that_timm_reads_otherwise_is_none(here, monkeypatch):
    well = bundle.save

    def otherwise(member, built, folder):
        well(member, built, folder)
        config = json.loads((folder / "config.json").read_text())
        config["model_args"]["num_heads"] = 1
        (folder / "config.json").write_text(json.dumps(config))

    out = bundle.write(STUDY, "hard", 0, None)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(bundle, "save", otherwise)
    with pytest.raises(StudyError, match="timm loads another network from it"):
        bundle.write(STUDY, "hard", 0, None)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before, "the one before stays whole"
    assert not list(out.parent.glob(".*")), "and nothing is left beside it"


def test_onnx_without_its_packages_is_refused_before_anything_is_written(here, monkeypatch):
    monkeypatch.setattr(bundle, "ONNX_NEEDS", ("onnx", "no_such_package"))
    error = bundle.main(["smoke", "--network", "cait", "--onnx"])
    assert "no_such_package not installed; pip install -e '.[onnx]', or leave ONNX out" in error
    assert not Path("results/smoke/bundles/cait").exists()


@pytest.mark.skipif(
    not all(map(find_spec, bundle.ONNX_NEEDS)),
    reason="the optional extra onnx is not installed (pip install -e .[onnx])",
)
def test_a_network_as_onnx_gives_its_logits(here):
    import onnxruntime

    out = bundle.write(STUDY, "none", 0, None, onnx=True)
    session = onnxruntime.InferenceSession(str(out / "model.onnx"), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 1, 28, 28)
    with torch.inference_mode():
        expected = timm.create_model(f"local-dir:{out}", pretrained=True).eval()(images).numpy()
    assert np.allclose(session.run(None, {"images": images.numpy()})[0], expected, atol=1e-3)


@pytest.fixture(scope="module")
def shared(finished):
    """The smoke study as a data set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished)
        return finished / dataset.write(STUDY)


def test_the_cards_configurations_match_files_of_one_schema_each(shared):
    matter = front_matter((shared / "README.md").read_text())
    named = set()
    for config in matter["configs"]:
        files = sorted(shared.glob(config["data_files"]))
        assert files, config
        schemas = [pq.read_schema(file) for file in files]
        assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas), config
        assert all(field.metadata[b"description"] for field in schemas[0]), config
        named.update(files)
    assert named == set(shared.rglob("*.parquet")), "no file is without a configuration"
    assert len({config["config_name"] for config in matter["configs"]}) == len(matter["configs"]) > 15


def test_the_card_is_short_and_columns_and_configuration_lie_beside_it(shared):
    text, columns = (shared / "README.md").read_text(), (shared / "COLUMNS.md").read_text()
    assert len(text) < 10_000 < len(columns) and "| summary |" in text
    for subset in front_matter(text)["configs"]:
        assert f"## {subset['config_name']}\n\n| column | unit | meaning |" in columns
    assert yaml.safe_load((shared / "study.yaml").read_text())["name"] == STUDY


def test_tables_are_those_of_the_study_and_features_those_that_were_kept(shared, finished):
    for path in (shared / "tables").iterdir():
        (theirs,) = (finished / "results/smoke").glob(f"[st]*/{path.name}")
        assert path.read_bytes() == theirs.read_bytes()
    features = read_table(shared / "features/none_seed0.parquet")
    kept = finished / "results/smoke/measure/students/none/seed0/features/epoch002/block01.npy"
    rows = features[(features["checkpoint"] == "epoch002") & (features["block"] == 1)]
    values = np.stack(
        [np.reshape(row.feature, row.shape_) for row in rows.rename(columns={"shape": "shape_"}).itertuples()]
    )
    assert np.allclose(values, np.load(kept), rtol=1e-6)
    meta = json.loads((kept.parent / "meta.json").read_text())
    assert [list(rows[column]) for column in ("image", "image_name", "label")] == [
        meta["images"],
        meta["names"],
        meta["labels"],
    ]
    assert set(features["seed"]) == {0} and set(features["network"]) == {"none"}
    control = read_table(shared / "features/cait.parquet")
    assert set(control["checkpoint"]) == {"trained", "untrained"} and control["seed"].isna().all()


def test_a_study_without_tables_is_no_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dataset.main(["mine"]).startswith("error: STUDY: results/mine holds no study; run one first")
    (tmp_path / "results/mine").mkdir(parents=True)
    (tmp_path / "results/mine/study.json").write_text("{}")
    assert "does not describe the study; run the study again" in dataset.main(["mine"])
    (tmp_path / "results/mine/study.json").write_text('{"name": "mine", "configuration": {"name": "mine"}}')
    assert dataset.main(["mine"]) == "error: STUDY: results/mine has no tables yet; run snakemake with it first"
    (tmp_path / "results/mine/tables").mkdir()
    (tmp_path / "results/mine/tables/depth.parquet").write_bytes(b"half")
    assert "is not readable Parquet" in dataset.main(["mine"])


def test_a_card_holds_no_folder_of_one_machine():
    config = {"data": {"train": "/home/me/images", "test": ["/data/a.parquet", "b.parquet"], "classes": 10}}
    subset = dataset.Subset("depth", "tables/depth.parquet", 3, {})
    text = dataset.card({"name": "mine", "configuration": config, "commit": None}, [subset])
    assert "/home" not in text and "| depth | 3 | 0 | `tables/depth.parquet` |" in text and "not recorded" in text
    assert dataset._portable(config) == {"data": {"train": "images", "test": ["a.parquet", "b.parquet"], "classes": 10}}
    assert "No image itself is in it." in text
    assert "pixels of a few" in dataset.card({"name": "m", "configuration": {}}, [subset._replace(name="saliency")])


@pytest.mark.skipif(find_spec("datasets") is None, reason="Hugging Face's datasets is not installed")
def test_datasets_loads_every_configuration_offline(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    for name in datasets.get_dataset_config_names(str(shared)):
        loaded = datasets.load_dataset(str(shared), name, split="train", cache_dir=str(tmp_path))
        assert len(loaded) and loaded.column_names
