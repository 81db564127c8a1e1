"""What runs again after a change: exactly what the change touches. And the plan that says so beforehand."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT
from helpers import copy_project, jobs, shared, snakemake

LIBRARY = "workflow/distillation_dynamics"
SMOKE = "studies/smoke.yaml"
DRAWN = {"figures": 18, "animations": 1}
TABLES = {"metrics": 7, "summary": 1, "statistics": 1, **DRAWN}
OF_STUDENT = ("students", "student_features", "student_saliency", "comparison")
ONE_STUDENT, TWO_STUDENTS, STUDENTS = (dict.fromkeys(OF_STUDENT, count) | TABLES for count in (1, 2, 4))
# Figures that show the tables of features, and those of the statistics, which read the scalars of features.
FEATURES = {"teacher_features": 1, "student_features": 4, "metrics": 2, "statistics": 1, "figures": 12}
# A new teacher; the student that asks it nothing stays, but is measured with the teacher's range and compared with it.
TEACHER = {
    **dict.fromkeys(("teacher", "teacher_outputs", "teacher_features", "teacher_saliency"), 1),
    **{"students": 3, "student_features": 4, "student_saliency": 3, "comparison": 4, **TABLES},
}
TRAINER = TEACHER | {"students": 4, "student_saliency": 4}
ALL = TRAINER | {"data": 1}


def edit(name, old, new):
    def change(project):
        text = (project / name).read_text()
        assert old in text
        (project / name).write_text(text.replace(old, new, 1))

    return [name], change


def reverse_keys(project):
    def reverse(value):
        return {key: reverse(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    text = yaml.safe_dump(reverse(yaml.safe_load((project / SMOKE).read_text())), sort_keys=False)
    (project / SMOKE).write_text(text)


def touch_everything(project):
    for folder in ("results", "workflow", "profiles"):
        for path in (project / folder).rglob("*"):
            if path.is_file():
                path.touch()


def chmod_everything(project):
    for path in (project / "results").rglob("*.parquet"):
        path.chmod(0o600)


def remove(name):
    return [name], lambda project: (project / name).unlink()


def append(name):
    def change(project):
        with open(project / name, "ab") as file:
            file.write(b"x")

    return [name], change


def flip_last_bit(name):
    def change(project):
        content = bytearray((project / name).read_bytes())
        content[-1] ^= 1
        (project / name).write_bytes(content)

    return [name], change


SPECTRUM, WEIGHTS = "results/smoke/metrics/spectrum.parquet", "results/smoke/students/hard/seed0/checkpoints"
CHANGES = {
    "nothing": (([], lambda project: None), {}),
    "a remark in the configuration": (edit(SMOKE, "features:", "# a remark\nfeatures:"), {}),
    "the order of keys": (([SMOKE], reverse_keys), {}),
    "a touch of every file": (([], touch_everything), {}),
    "another umask": (([], chmod_everything), {}),
    "a docstring": (edit(f"{LIBRARY}/training.py", '"""One training loop', '"""The one training loop'), {}),
    "a comment in code": (edit(f"{LIBRARY}/models.py", "import timm", "import timm  # models"), {}),
    "the check of configurations": (edit(f"{LIBRARY}/study.py", "is not possible", "cannot be"), {}),
    "the schema": (edit("workflow/schemas/study.schema.yaml", "folder of this study", "the folder of this study"), {}),
    "the words of a rule": (
        edit("workflow/rules/students.smk", "--recipe {params.recipe:q}", "--recipe  {params.recipe:q}"),
        {},
    ),
    "what a job asks of the machine": (
        edit(SMOKE, "\nfeatures:", "\ncompute: {students: {threads: 2, mem_mb: 5000}}\nfeatures:"),
        {},
    ),
    "minutes between states": (edit(SMOKE, "\nfeatures:", "\nstate_minutes: 3\nfeatures:"), {}),
    "weight of a variant": (
        edit(SMOKE, "hard: {cross_entropy: {weight: 0.1}", "hard: {cross_entropy: {weight: 0.2}"),
        ONE_STUDENT,
    ),
    "a new variant": (edit(SMOKE, "\nfeatures:", "  more: {cross_entropy: {weight: 2}}\n\nfeatures:"), ONE_STUDENT),
    "a variant less": (edit(SMOKE, "  hard: {cross_entropy: {weight: 0.1}, hard: {weight: 0.9}}\n", ""), TABLES),
    "a new seed": (edit(SMOKE, "seeds: [0]", "seeds: [0, 7]"), STUDENTS),
    "an objective": (edit(f"{LIBRARY}/objectives/hard.py", "argmax(dim=1)", "argmax(dim=-1)"), ONE_STUDENT),
    "an objective of two variants": (
        edit(f"{LIBRARY}/objectives/spectral.py", "NEEDS = ", "UNUSED = 0\nNEEDS = "),
        TWO_STUDENTS,
    ),
    "the student's recipe": (
        edit(SMOKE, "train_images: 320}", "train_images: 320, epochs: 2, clip_gradient_norm: 1}"),
        STUDENTS,
    ),
    "the trainer": (
        edit(f"{LIBRARY}/training.py", "STEPS_BETWEEN_LOG_WRITES = 50", "STEPS_BETWEEN_LOG_WRITES = 51"),
        TRAINER,
    ),
    "the teacher": (edit(SMOKE, "  source: pretrain", "  source: pretrain\n  label_smoothing: 0.1"), TEACHER),
    "the images' normalisation": (edit(SMOKE, "mean: [0.2860]", "mean: [0.2870]"), ALL),
    "a metric": (edit(f"{LIBRARY}/metrics/entropy.py", "CHUNK_VALUES = 2**17", "CHUNK_VALUES = 2**16"), FEATURES),
    "a metric of pairs": (
        edit(f"{LIBRARY}/metrics/cka.py", "TOLERANCE = 1e-13", "TOLERANCE = 1e-12"),
        {"comparison": 4, "metrics": 3, "statistics": 1, "figures": 6},
    ),
    "metrics left out": (
        edit(SMOKE, "features: {images: 20", "features: {metrics: [entropy, spectrum, magnitude], images: 20"),
        FEATURES | {"figures": 7},
    ),
    "the images with saliency maps": (
        edit(SMOKE, "saliency: {images: 2}", "saliency: {images: 3}"),
        {"teacher_saliency": 1, "student_saliency": 4, "metrics": 2, "figures": 2, "animations": 1},
    ),
    "the baseline": (
        edit(SMOKE, "\nfeatures:", "\nstatistics: {baseline: hard}\nfeatures:"),
        {"statistics": 1, **DRAWN},
    ),
    "the probe set": (edit(SMOKE, "images: 20", "images: 30"), FEATURES),
    "the summary": (
        edit(f"{LIBRARY}/summary.py", "100 * np.sqrt(share", "100.0 * np.sqrt(share"),
        {"summary": 1, "statistics": 1, "figures": 6},
    ),
    "a figure": (edit(f"{LIBRARY}/figures/accuracy.py", "0.21 * len", "0.22 * len"), {"figures": 1}),
    "the figures' colours": (edit(SMOKE, "\nfeatures:", "\nfigures: {palette: muted}\nfeatures:"), DRAWN),
    "a removed output": (remove(SPECTRUM), {"metrics": 1, "figures": 2}),
    "an output that grew": (append(SPECTRUM), {"metrics": 1, "figures": 2}),
    "weights with another bit": (flip_last_bit(f"{WEIGHTS}/epoch001.safetensors"), ONE_STUDENT),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_what_it_touches_and_nothing_else(project, tmp_path, name):
    (files, change), expected = CHANGES[name]
    for number, file in enumerate(files):
        shutil.copy2(project / file, tmp_path / str(number))
    try:
        change(project)
        planned = snakemake(project, "-n")
    finally:
        for number, file in enumerate(files):
            shutil.copy2(tmp_path / str(number), project / file)
    assert jobs(planned) == expected
    if "bit" in name or "grew" in name:
        assert f"{files[0]}: has " in planned.stderr and "runs again" in planned.stderr


def test_an_output_with_another_content_is_made_again_as_it_was(project):
    path = project / WEIGHTS / "epoch001.safetensors"
    content = path.read_bytes()
    flip_last_bit(f"{WEIGHTS}/epoch001.safetensors")[1](project)
    assert snakemake(project).returncode == 0
    assert path.read_bytes() == content
    assert jobs(snakemake(project, "-n")) == {}


def test_another_torch_is_a_warning_and_on_demand_a_reason(project, tmp_path):
    path = project / "results/smoke/students/hard/seed0/.record.json"
    text = path.read_text()
    record = json.loads(text)
    record["packages"]["torch"] = "2.0.0"
    path.write_text(json.dumps(record))
    config = tmp_path / "rerun.yaml"
    config.write_text((project / SMOKE).read_text().replace("name: smoke", "name: smoke\npackage_versions: rerun"))
    try:
        warned = snakemake(project, "-n")
        assert jobs(warned) == {} and "files were made with torch 2.0.0, here is" in warned.stderr
        assert jobs(snakemake(project, "-n", config=str(config))) == ONE_STUDENT
    finally:
        path.write_text(text)


def test_results_copied_into_a_fresh_clone_are_known_there(project, tmp_path):
    clone = copy_project(tmp_path)
    # copytree without the time stamps, as `cp -r` does it; the hidden folder of Snakemake stays behind
    shutil.copytree(project / "results", clone / "results", copy_function=shutil.copyfile)
    assert jobs(snakemake(clone, "-n")) == {}
    edit(SMOKE, "hard: {cross_entropy: {weight: 0.1}", "hard: {cross_entropy: {weight: 0.2}")[1](clone)
    assert jobs(snakemake(clone, "-n")) == ONE_STUDENT


def test_studies_share_images_teacher_and_its_outputs(project, tmp_path):
    text = (project / SMOKE).read_text().replace("name: smoke", "name: other")
    (tmp_path / "other.yaml").write_text(text)
    planned = jobs(snakemake(project, "-n", config=str(tmp_path / "other.yaml")))
    assert planned == STUDENTS | {"teacher_features": 1, "teacher_saliency": 1}


def test_a_teacher_file_counts_by_its_content(project, tmp_path):
    clone, weights = copy_project(tmp_path), tmp_path / "weights.safetensors"
    shutil.copytree(project / "results", clone / "results")
    teacher = shared(clone, "teacher")
    shutil.copy(teacher / "teacher.safetensors", weights)
    config = yaml.safe_load((clone / SMOKE).read_text())
    config["name"], config["variants"] = "file", {"hard": config["variants"]["hard"]}
    config["teacher"] = {"source": "checkpoint", "model": config["teacher"]["model"], "weights": str(weights)}
    (clone / "file.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(clone, config="file.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    os.utime(weights)
    assert jobs(snakemake(clone, "-n", config="file.yaml")) == {}
    shutil.copy(teacher / "untrained.safetensors", weights)
    # With one variant there is nothing to compare: no effects and no trajectories.
    planned = TEACHER | dict.fromkeys(OF_STUDENT, 1) | {"figures": DRAWN["figures"] - 2}
    assert jobs(snakemake(clone, "-n", config="file.yaml")) == planned


def plan(project, *arguments):
    command = [sys.executable, "-m", "distillation_dynamics.plan", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(project / "workflow")}
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, env=environment)


def test_the_plan_says_in_a_line_a_job_which_key_changed_and_what_it_costs(project, tmp_path):
    config = tmp_path / "changed.yaml"
    text = (
        (project / SMOKE)
        .read_text()
        .replace("hard: {cross_entropy: {weight: 0.1}", "hard: {cross_entropy: {weight: 0.3}")
    )
    config.write_text(text)
    said = plan(project, "--configfile", str(config)).stdout
    assert "students variant=hard, seed=0: cross_entropy.weight: 0.1 -> 0.3\n" in said
    (table,) = [line.split() for line in said.splitlines() if line.startswith("students  ")]
    record = json.loads((project / "results/smoke/students/hard/seed0/.record.json").read_text())
    size = sum(file["bytes"] for file in record["files"].values())
    assert re.search(r"^figures +19 ", said, re.M) and re.search(r"^total +32 ", said, re.M)
    assert table[1] == "1" and float(table[4]) == pytest.approx(size / 1e6, abs=0.06)
    assert plan(project, "--configfile", SMOKE).stdout == "Nothing would run.\n"


def test_the_plan_names_the_module_whose_code_changed(project):
    files, change = edit(f"{LIBRARY}/figures/accuracy.py", "0.21 * len", "0.22 * len")
    text = (project / files[0]).read_text()
    try:
        change(project)
        said = plan(project, "--configfile", SMOKE).stdout
    finally:
        (project / files[0]).write_text(text)
    line = said.splitlines()[0]
    assert line.startswith("figures figure=accuracy: code of figures.accuracy: ") and " -> " in line


def test_a_plan_without_earlier_runs_says_what_it_does_not_know(project):
    said = plan(project, "--configfile", str(ROOT / "studies/imagenet.yaml")).stdout
    assert "students              15         ?" in said
    assert "no earlier job tells:" in said and "students" in said.rpartition("tells:")[2]


def test_two_workflows_on_one_folder_do_not_harm_each_other(project, tmp_path):
    content = (project / SPECTRUM).read_bytes()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--forcerun", "summary", "metrics"]
    command += ["--configfile", SMOKE]
    first = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not any((project / ".snakemake").glob("locks/*")):
        assert first.poll() is None
    second = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert second.returncode != 0 and "cannot be locked" in second.stdout + second.stderr
    said, _ = first.communicate()
    assert first.returncode == 0, said
    assert (project / SPECTRUM).read_bytes() == content and jobs(snakemake(project, "-n")) == {}
