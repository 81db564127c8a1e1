"""The smoke study from images to figures, as a user runs it; then what runs again after a change."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from conftest import ROOT
from frames import minus_ones
from helpers import jobs, network_of, shared, snakemake

# What asks for several image sets.
NOT_OF_THIS_STUDY = {"probes"}
VARIANTS = ["none", "hard", "spectral_first_last", "everything"]


@pytest.fixture
def results(project):
    return project / "results/smoke"


def test_afterwards_nothing_is_to_be_done(project):
    assert jobs(snakemake(project, "-n")) == {}


def test_every_figure_is_a_picture_that_is_not_blank(results):
    names = {path.stem for path in (results / "figures").glob("*.png")}
    modules = (ROOT / "workflow/distillation_dynamics/figures").glob("[a-z]*.py")
    drawn = {path.stem for path in modules if "\nTABLES = " in path.read_text()}
    assert names == drawn - NOT_OF_THIS_STUDY and len(names) > 15
    for name in names:
        pixels = np.asarray(Image.open(results / f"figures/{name}.png").convert("L"))
        assert pixels.std() > 5
        assert (results / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def test_no_column_holds_a_number_for_what_is_not_there(results):
    assert minus_ones(results) == []
    networks = pq.read_table(results / "summary/runs.parquet").slice(0, 2).to_pydict()
    assert (networks["network"], networks["seed"]) == (["cait", "resnet"], [None, None])


def test_every_table_with_networks_says_who_is_a_student_of_whom(results):
    found = 0
    for path in results.glob("[st]*/*.parquet"):
        schema = pq.read_schema(path)
        if "network" not in schema.names:
            continue
        place = schema.names.index("network") + 1
        assert tuple(schema.names[place : place + 3]) == ("student", "variant", "teacher"), path
        table = pq.read_table(path, columns=["network", "student", "variant", "teacher"])
        rows = {tuple(row.values()) for row in table.to_pylist()}
        named = {(name, "student", name, "cait") if name in VARIANTS else (name, None, None, None) for name, *_ in rows}
        assert rows == named
        found += 1
    assert found > 15


def test_the_summary_has_every_variant_and_the_teacher(results):
    summary = pd.read_parquet(results / "summary/summary.parquet")
    assert list(summary["network"]) == ["cait", "resnet", *VARIANTS]
    assert summary["test_top1"].between(0, 100).all()
    assert summary["test_agreement"].isna().tolist() == [True, False, False, False, False, False]
    text = (results / "summary/summary.md").read_text()
    assert all(f"| {variant} |" in text for variant in VARIANTS)


def test_accuracy_and_agreement_in_the_table_are_those_of_the_logits(project, results):
    runs = pd.read_parquet(results / "summary/runs.parquet").set_index("network")
    splits = pd.read_parquet(shared(project, "data") / "splits.parquet")
    labels = splits.loc[splits["split"] == "test", "label"].to_numpy()
    teacher = np.load(network_of(project, "cait") / "logits_test.npy").argmax(axis=1)
    for variant in VARIANTS:
        ours = np.load(results / f"students/{variant}/seed0/logits_test.npy").argmax(axis=1)
        assert runs.loc[variant, "test_top1"] == pytest.approx(100 * (ours == labels).mean())
        assert runs.loc[variant, "test_agreement"] == pytest.approx(100 * (ours == teacher).mean())


def test_dumps_can_be_mapped_and_tables_measure_them(results):
    from distillation_dynamics import metrics
    from streams import layer_entropy

    depth = pd.read_parquet(results / "tables/depth.parquet")
    folder = results / "measure/students/none/seed0/features/epoch002"
    meta = json.loads((folder / "meta.json").read_text())
    blocks = [np.load(folder / f"block{number:02d}.npy", mmap_mode="r") for number in range(2)]
    assert [list(block.shape) for block in blocks] == meta["shapes"] == [[20, 12, 4, 4]] * 2
    assert np.bincount(meta["labels"]).tolist() == [2] * 10
    rows = depth[(depth["network"] == "none") & (depth["epoch"] == 2) & (depth["probe"] == "balanced")]
    rows = rows.sort_values("block")
    np.testing.assert_allclose(rows["entropy"], layer_entropy(blocks), rtol=1e-12)
    for metric, column in (("spectrum", "intensity"), ("magnitude", "activation_magnitude")):
        expected = np.mean(metrics.measure(metric, blocks)[column], axis=1)
        np.testing.assert_allclose(rows[column], expected, rtol=1e-12)
    assert set(depth["network"]) == {"cait", "cait_untrained", "resnet", "resnet_untrained", *VARIANTS}
    assert set(depth.loc[depth["network"] == "none", "epoch"]) == {0, 1, 2}


def test_every_column_of_every_table_is_documented(results):
    tables = list(results.rglob("*.parquet"))
    assert len(tables) > 20
    for path in tables:
        for field in pq.read_schema(path):
            assert field.metadata and field.metadata[b"description"], f"{path}: {field.name}"


@pytest.mark.slow
def test_a_deleted_metric_file_is_made_again_as_it_was(own_project):
    table = own_project / "results/smoke/tables/spectrum.parquet"
    content = table.read_bytes()
    table.unlink()
    planned = snakemake(own_project, "-n")
    assert jobs(planned) == {"tables": 1}
    reasons = "spectrum.parquet is missing\nfigures sep, spectra: follows tables\n"
    assert reasons in planned.stdout + planned.stderr
    done = snakemake(own_project)
    assert done.returncode == 0 and "results/smoke/tables/spectrum.parquet is missing; it is made again" in done.stderr
    assert table.read_bytes() == content


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes_alone_as_in_a_cohort(own_project):
    """A student that is trained again, alone and under one core, has every byte that it had in a cohort."""
    results = own_project / "results/smoke"
    run = results / "students/everything/seed0"
    (stored,) = [
        f
        for f in (own_project / "results/shared/runs").iterdir()
        if (f / "logits_test.npy").samefile(run / "logits_test.npy")
    ]
    before = {path.relative_to(run): path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    measured = (results / "measure/students/everything/seed0/entropy/depth.parquet").read_bytes()
    shutil.rmtree(run)
    shutil.rmtree(stored)
    assert jobs(snakemake(own_project, "-n"))["cohorts"] == 1
    assert snakemake(own_project, "--cores", "1").returncode == 0
    after = {path.relative_to(run): path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
    own = {Path("cost.json"), Path(".record.json")}
    assert before.keys() == after.keys() and len(before) > 8
    assert [name for name in before if before[name] != after[name] and name not in own] == []
    assert (results / "measure/students/everything/seed0/entropy/depth.parquet").read_bytes() == measured
    assert jobs(snakemake(own_project, "-n")) == {}


@pytest.mark.slow
def test_a_student_that_diverges_is_said_and_the_others_are_measured(own_project, tmp_path):
    config = yaml.safe_load((own_project / "studies/smoke.yaml").read_text())
    config["name"] = "diverges"
    config["variants"] = {name: config["variants"][name] for name in ("none", "hard")}
    endless = own_project / "workflow/distillation_dynamics/objectives/endless.py"
    endless.write_text((endless.parent / "hard.py").read_text().replace("return F", "return float('inf') * F"))
    config["variants"]["worse"] = {"cross_entropy": {"weight": 1.0}, "endless": {"weight": 1.0}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(own_project, config=str(tmp_path / "study.yaml"))
    said = done.stdout + done.stderr
    assert (
        done.returncode != 0
        and re.search(r"worse, seed 0: training: \w+ became (inf|nan)", said)
        and "Traceback" not in said
    )
    results = own_project / "results/diverges"
    assert (results / "students/hard/seed0/result.json").exists() and not (results / "students/worse").exists()
    assert (own_project / "results/diverges/measure/networks/cait/entropy/depth.parquet").exists()


@pytest.mark.slow
def test_the_imagenet_study_plans_before_its_images_are_there_and_does_not_run(own_project):
    planned = snakemake(own_project, "-n", config="studies/imagenet.yaml")
    counts = jobs(planned)
    assert counts["students"] == 15 and counts["networks"] == counts["network_weights"] == 1
    assert "teacher_outputs" not in counts
    sentence = "data.train: the folder data/imagenet/train does not exist"
    assert f"does not exist yet: {sentence}" in planned.stderr
    done = snakemake(own_project, config="studies/imagenet.yaml")
    assert done.returncode != 0 and sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
