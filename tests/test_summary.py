"""Means and intervals against closed forms; Markdown as it is read."""

import numpy as np
import pandas as pd
import pytest

from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import Column, read_json, write_json, write_table
from distillation_dynamics.markdown import markdown
from distillation_dynamics.metrics.pairs.agreement import agreement
from distillation_dynamics.networks.released import AS_IT_IS
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import Run, SummaryJob
from distillation_dynamics.stages import summary
from distillation_dynamics.training.log import EPOCH_COLUMNS, TERM_COLUMNS
from made_up import arms


def runs(values):
    row = {"validation_top1": 80.0, "best_validation_top1": 81.0, "test_agreement": 90.0, "test_kl": 0.1}
    row |= {"training_tflops": 2.0, "parameters": 5, "test_images": 10_000}
    return pd.DataFrame([{"network": "a", "seed": i, "test_top1": v, **row} for i, v in enumerate(values)])


def test_the_interval_over_seeds_is_students():
    (row,) = summary.summarise(runs([80.0, 82.0, 84.0])).to_dict("records")
    half = 4.302652729911275 * 2 / np.sqrt(3)  # t quantile of two degrees of freedom, standard deviation 2
    assert (row["test_top1"], row["seeds"]) == (82.0, 3)
    assert (row["test_top1_low"], row["test_top1_high"]) == pytest.approx((82 - half, 82 + half))
    assert row["image_standard_error"] == pytest.approx(100 * np.sqrt(0.82 * 0.18 / 10_000))


def test_one_seed_has_no_interval_and_says_so():
    table = summary.summarise(runs([80.0]))
    assert table[["test_top1_low", "test_top1_high"]].isna().all(axis=None)
    text = markdown(
        table[["network", "test_top1", "test_top1_low"]],
        {"network": Column("", "x"), "test_top1": Column("%", "x"), "test_top1_low": Column("%", "x")},
    )
    assert text.splitlines()[0] == "| network | test_top1 [%] | test_top1_low [%] |"
    assert text.splitlines()[2] == "| a | 80.00 | - |"


def finished(folder, name, seed=None, classes=10, top1=80.0, epochs=()):
    """A folder as training or loading leaves it; without classes there are no logits and no accuracy."""
    generator = np.random.default_rng(sum(map(ord, name)))
    folder = folder / f"{name}{seed}"
    folder.mkdir(parents=True)
    if classes:
        for split, images in (("validation", 20), ("test", 50)):
            np.save(folder / f"logits_{split}.npy", generator.normal(size=(images, classes)).astype(np.float32))
    accuracy = {"validation_top1": top1, "test_top1": top1} if classes else {}
    trained = {"train_images": 100, "epochs": 2} if epochs else {"train_images": None, "epochs": None}
    write_json(folder / "result.json", {"parameters": 7, "training_gflops": 3.0} | accuracy | trained)
    cost = {"seconds": 1.0, "images_per_second": None, "device": "cpu", "networks": 1, "own_seconds": 1.0}
    write_json(folder / "cost.json", cost | {"start_seconds": 0.0})
    write_json(
        folder / ".record.json",
        {"seconds": 1.5} | ({} if seed is None else {"peak_mb": 700.5 + seed, "cpu": "AMD EPYC", "threads": 1}),
    )
    if epochs:
        curves = {column: np.array([float(epoch) for epoch in epochs]) for column in EPOCH_COLUMNS}
        write_table(folder / "epochs.parquet", curves, EPOCH_COLUMNS)
        terms = {column: np.array([1.0, 2.0]) for column in TERM_COLUMNS} | {"term": np.array(["soft", "soft"])}
        write_table(folder / "terms.parquet", terms, TERM_COLUMNS)
    files = tuple(str(path) for path in sorted(folder.iterdir()))
    record = str(folder / ".record.json")
    return Run(name, seed, From(name, files=files), measured=bool(classes), folder=str(folder), record=record)


def written(tmp_path, teacher, *listed):
    summary.main(SummaryJob(listed, teacher, arms("soft"), out=str(tmp_path / "out")))
    names = ("runs", "epochs", "summary", "cost")
    return {name: pd.read_parquet(tmp_path / f"out/{name}.parquet") for name in names}


def test_networks_and_students_are_held_against_the_teacher_that_comes_anywhere(tmp_path):
    vit, cait = finished(tmp_path, "vit"), finished(tmp_path, "cait")
    soft = finished(tmp_path, "soft", seed=0, epochs=(0, 1, 2))
    tables = written(tmp_path, "cait", vit, cait, soft)
    runs = tables["runs"].set_index("network")
    assert list(runs.index) == ["vit", "cait", "soft"] and list(runs["test_images"]) == [50] * 3
    assert runs["test_agreement"].isna().tolist() == [False, True, False]
    logits = [np.load(f"{run.folder}/logits_test.npy") for run in (soft, cait)]
    assert (runs.loc["soft", "test_agreement"], runs.loc["soft", "test_kl"]) == agreement(*logits)
    assert list(runs["epochs"]) == [0, 0, 2] and runs["best_epoch"].isna().all()
    assert set(tables["epochs"]["network"]) == {"soft"} and list(tables["summary"]["seeds"]) == [1, 1, 1]


def test_a_network_without_a_head_has_no_accuracy_and_says_so(tmp_path):
    tables = written(tmp_path, "cait", finished(tmp_path, "cait"), finished(tmp_path, "dino", classes=0))
    runs, means = tables["runs"].set_index("network"), tables["summary"].set_index("network")
    columns = ["validation_top1", "test_top1", "test_agreement", "test_kl"]
    assert runs.loc["dino", columns].isna().all() and runs.loc["dino", "test_images"] == 0
    assert means.loc["dino", ["test_top1", "image_standard_error", "test_top1_low"]].isna().all()
    assert means.loc["dino", "parameters"] == 7
    text = (tmp_path / "out/summary.md").read_text().splitlines()
    assert text[0] == "# What every network and variant reached"
    assert "- `test_top1` [%]: mean over seeds of the last epoch's top-1 on the test images" in text
    assert len([line for line in text if line.startswith("- `")]) == len(summary.SUMMARY_COLUMNS)
    line = text[5]
    assert line.startswith("| dino | 1 | - | - | - | - | - | - | - | - | 7 |")


def test_a_study_of_networks_alone_has_no_curves_and_no_agreement(tmp_path):
    heads = {"a": 10, "b": 10, "c": 0}
    tables = written(tmp_path, None, *(finished(tmp_path, name, classes=k) for name, k in heads.items()))
    assert tables["epochs"].empty and set(EPOCH_COLUMNS) < set(tables["epochs"])
    assert tables["runs"]["test_agreement"].isna().all() and len(tables["cost"]) == 3
    nothing = tmp_path / "nothing"
    tables = written(nothing, None, finished(nothing, "c", classes=0))
    assert tables["runs"]["test_top1"].isna().all() and len(tables["summary"]) == 1


def test_a_head_of_other_classes_is_not_held_against_the_teachers(tmp_path):
    tables = written(tmp_path, "cait", finished(tmp_path, "cait"), finished(tmp_path, "imagenet", classes=30))
    assert tables["runs"]["test_agreement"].isna().all() and tables["runs"]["test_top1"].notna().all()


def test_a_teacher_without_logits_leaves_no_agreement_and_missing_logits_are_named(tmp_path):
    tables = written(tmp_path, "dino", finished(tmp_path, "dino", classes=0), finished(tmp_path, "soft", seed=0))
    assert tables["runs"]["test_agreement"].isna().all()
    run = finished(tmp_path, "torn")
    (tmp_path / "tornNone/logits_test.npy").unlink()
    with pytest.raises(StudyError, match=r"tornNone/logits_test.npy does not exist"):
        written(tmp_path, None, run)


def test_the_memory_that_a_run_took_stands_beside_its_seconds(tmp_path):
    tables = written(tmp_path, "cait", *(finished(tmp_path, *who) for who in (("cait",), ("soft", 0), ("soft", 1))))
    assert tables["cost"]["peak_mb"].isna().tolist() == [True, False, False], "a record without it is an earlier one's"
    assert list(tables["cost"]["peak_mb"][1:]) == [700.5, 701.5]
    assert list(tables["cost"]["cpu"]) == ["", "AMD EPYC", "AMD EPYC"]
    assert tables["cost"]["threads"].isna().tolist() == [True, False, False]
    text = (tmp_path / "out/cost.md").read_text()
    assert "| peak_mb [MB] |" in text and "- `peak_mb` [MB]: most memory of the process that made it" in text


def test_how_weights_from_elsewhere_were_read_is_said_of_them_alone(tmp_path):
    def loaded(name, **said):
        run = finished(tmp_path, name)
        path = f"{run.folder}/result.json"
        write_json(path, read_json(path) | {"loaded": AS_IT_IS | said})
        return run

    changed = {"prefix": "module.", "library": "transformers", "resampled": {"pos_embed": [[1, 5], [1, 17]]}}
    listed = (loaded("dino", **changed, unused=list("abcde")), loaded("own"), finished(tmp_path, "trained"))
    assert list(written(tmp_path, None, *listed)["runs"]["loaded"]) == [
        "names read without module.; names of transformers brought to timm's; pos_embed resampled from [1, 5] to "
        "[1, 17]; not used: a, b, c and 2 more",
        "",
        "",
    ]
