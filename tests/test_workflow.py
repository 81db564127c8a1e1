"""The smoke study from images to figures, as a user runs it; then what runs again after a change."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import load_file

from conftest import ROOT

VARIANTS = ["none", "hard", "spectral_first_last", "everything"]


def snakemake(folder, *arguments, config="studies/smoke.yaml"):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", config]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ, timeout=900)


def jobs(dry_run):
    """Rule -> number of jobs in the output of a dry run."""
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    text = dry_run.stdout + dry_run.stderr
    if "Nothing to be done" in text:
        return {}
    table = text.rpartition("Job stats:")[2].partition("Reasons:")[0]
    return {
        name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.M) if name not in ("total", "all")
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in an empty folder, with the smoke study run in it."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "studies", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "resources").symlink_to(ROOT / "resources")
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder


@pytest.fixture(scope="module")
def results(project):
    return project / "results/smoke"


def test_afterwards_nothing_is_to_be_done(project):
    assert jobs(snakemake(project, "-n")) == {}


def test_every_figure_is_a_picture_that_is_not_blank(results):
    names = {path.stem for path in (results / "figures").glob("*.png")}
    assert names == {"training_curves", "accuracy", "depth_profiles", "entropy_over_training", "spectra"}
    for name in names:
        pixels = np.asarray(Image.open(results / f"figures/{name}.png").convert("L"))
        assert pixels.std() > 5
        assert (results / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_summary_has_every_variant_and_the_teacher(results):
    summary = pd.read_parquet(results / "summary/summary.parquet")
    assert list(summary["variant"]) == ["teacher", *VARIANTS]
    assert summary["test_top1"].between(0, 100).all()
    assert summary["test_agreement"].isna().tolist() == [True, False, False, False, False]
    text = (results / "summary/summary.md").read_text()
    assert all(f"| {variant} |" in text for variant in VARIANTS)


def test_accuracy_and_agreement_in_the_table_are_those_of_the_logits(results):
    runs = pd.read_parquet(results / "summary/runs.parquet").set_index("variant")
    splits = pd.read_parquet(results / "data/splits.parquet")
    labels = splits.loc[splits["split"] == "test", "label"].to_numpy()
    teacher = np.load(results / "teacher/logits_test.npy").argmax(axis=1)
    for variant in VARIANTS:
        ours = np.load(results / f"students/{variant}/seed0/logits_test.npy").argmax(axis=1)
        assert runs.loc[variant, "test_top1"] == pytest.approx(100 * (ours == labels).mean())
        assert runs.loc[variant, "test_agreement"] == pytest.approx(100 * (ours == teacher).mean())


def test_dumps_can_be_mapped_and_tables_measure_them(results):
    from distillation_dynamics import metrics

    depth = pd.read_parquet(results / "metrics/depth.parquet")
    folder = results / "features/students/none/seed0/epoch002"
    meta = json.loads((folder / "meta.json").read_text())
    blocks = [np.load(folder / f"block{number:02d}.npy", mmap_mode="r") for number in range(2)]
    assert [list(block.shape) for block in blocks] == meta["shapes"] == [[20, 12, 4, 4]] * 2
    assert np.bincount(meta["labels"]).tolist() == [2] * 10
    rows = depth[(depth["model"] == "none") & (depth["epoch"] == 2)].sort_values("block")
    np.testing.assert_allclose(rows["entropy"], metrics.layer_entropy(blocks), rtol=1e-12)
    np.testing.assert_allclose(rows["intensity"], metrics.spectral_intensity(blocks), rtol=1e-12)
    np.testing.assert_allclose(rows["activation_magnitude"], metrics.activation_magnitude(blocks), rtol=1e-12)
    assert set(depth["model"]) == {"teacher", "teacher_untrained", *VARIANTS}
    assert set(depth.loc[depth["model"] == "none", "epoch"]) == {0, 1, 2}


def test_every_column_of_every_table_is_documented(results):
    tables = list(results.rglob("*.parquet"))
    assert len(tables) > 20
    for path in tables:
        for field in pq.read_schema(path):
            assert field.metadata and field.metadata[b"description"], f"{path}: {field.name}"


def test_a_deleted_metric_file_reruns_only_what_depends_on_it(project, results):
    table = results / "metrics/spectrum.parquet"
    content = table.read_bytes()
    table.unlink()
    assert jobs(snakemake(project, "-n")) == {"metrics": 1, "figures": 1}
    assert snakemake(project).returncode == 0
    assert table.read_bytes() == content


def edited(project, name, old, new):
    text = (project / name).read_text()
    assert old in text
    (project / name).write_text(text.replace(old, new, 1))
    planned = jobs(snakemake(project, "-n"))
    (project / name).write_text(text)
    return planned


LIBRARY = "workflow/distillation_dynamics"
ONE_STUDENT = {"students": 1, "student_features": 1, "metrics": 3, "summary": 1, "figures": 5}


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("studies/smoke.yaml", "features: {images: 20", "# a remark\nfeatures: {images: 20", {}),
        (
            "studies/smoke.yaml",
            "  hard: {cross_entropy: {weight: 0.1}",
            "  hard: {cross_entropy: {weight: 0.2}",
            ONE_STUDENT,
        ),
        ("studies/smoke.yaml", "\nfeatures:", "  another: {cross_entropy: {weight: 2}}\n\nfeatures:", ONE_STUDENT),
        (f"{LIBRARY}/objectives/hard.py", "argmax(dim=1)", "argmax(dim=-1)", ONE_STUDENT),
        (f"{LIBRARY}/figures/accuracy.py", "0.21 * len", "0.22 * len", {"figures": 1}),
        (f"{LIBRARY}/training.py", '"""One training loop', '"""The one training loop', {}),
    ],
    ids=["comment", "weight", "new variant", "objective", "figure", "docstring"],
)
def test_a_change_reruns_what_it_touches_and_nothing_else(project, name, old, new, expected):
    assert edited(project, name, old, new) == expected


def test_equal_seeds_give_equal_bytes(project, results):
    run = results / "students/everything/seed0"
    names = ["checkpoints/epoch002.safetensors", "steps.parquet", "epochs.parquet", "result.json", "logits_test.npy"]
    before = {name: (run / name).read_bytes() for name in names}
    weights = load_file(run / names[0])
    shutil.rmtree(run)
    assert snakemake(project, str(run / names[0]).removeprefix(str(project) + "/")).returncode == 0
    for name, tensor in load_file(run / names[0]).items():
        np.testing.assert_array_equal(tensor, weights[name])
    assert {name: (run / name).read_bytes() for name in names} == before


def test_a_typo_stops_before_any_job_with_one_sentence_and_a_status(project):
    text = (project / "studies/smoke.yaml").read_text().replace("features: {images", "features: {imagse")
    (project / "studies/typo.yaml").write_text(text)
    done = snakemake(project, config="studies/typo.yaml")
    assert done.returncode != 0
    assert "features.imagse: unknown key; did you mean images" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_imagenet_study_plans(project):
    planned = jobs(snakemake(project, "-n", config="studies/imagenet.yaml"))
    assert planned["students"] == planned["student_features"] == 15
    assert planned["teacher"] == planned["teacher_weights"] == 1 and "teacher_outputs" not in planned
