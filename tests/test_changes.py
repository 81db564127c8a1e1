"""What Snakemake runs after a change, with its real rules and, in most tests, stages that only pretend (stand_ins)."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml

import stand_ins
from conftest import ROOT
from helpers import copy_project, jobs, small_config, snakemake

LIBRARY = "workflow/distillation_dynamics"
STUDY = "study.yaml"
FIGURES = 12
TABLES = {"tables": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project whose stages pretend, with a study of three variants run in it."""
    folder = stand_ins.use_in(copy_project(tmp_path_factory.mktemp("pretended")))
    write_study(folder, small_config())
    run(folder)
    return folder


@pytest.fixture
def project(finished, tmp_path):
    """A copy of it, without what Snakemake remembers."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns(".snakemake"))
    stand_ins.ran(folder)
    return folder


def write_study(folder, config):
    (folder / STUDY).write_text(yaml.safe_dump(config))


def run(folder, *arguments, fails=False):
    done = snakemake(folder, *arguments, config=STUDY)
    assert (done.returncode != 0) == fails, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def plan(folder, *arguments):
    return jobs(snakemake(folder, "-n", *arguments, config=STUDY))


def check(folder):
    """Nothing would run, and every file is what the study asks for, made from what lies there now."""
    assert plan(folder) == {}
    command = [sys.executable, "-m", "distillation_dynamics.jobs.stand_ins", STUDY]
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow")}
    said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""


def edit(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def students_of(folder, variant):
    return folder / f"results/smoke/students/{variant}/seed0"


def test_after_a_run_nothing_is_to_be_done_whatever_was_touched(project):
    check(project)
    for path in (project / "results").rglob("*"):
        if path.is_file():
            path.touch()
    check(project)


def test_one_variant_changed_trains_one_student(project):
    config = small_config(**{"variants.hard.hard.weight": 0.5})
    write_study(project, config)
    assert plan(project) == {"cohorts": 1, "students": 1, "measure": 1, "compare": 2, **TABLES}
    run(project)
    assert stand_ins.trained(stand_ins.ran(project)) == ["hard/seed0"]
    check(project)
    # Changed back it is linked again; what was measured of the other one is measured anew.
    write_study(project, small_config())
    assert plan(project) == {"students": 1, "measure": 1, "compare": 2, **TABLES}
    run(project)
    assert stand_ins.trained(stand_ins.ran(project)) == []
    check(project)


def test_a_variant_and_a_seed_more_and_less(project):
    # Two variants with equal terms are one training, whatever they are called.
    more = {"variants.more": {"cross_entropy": {"weight": 2}}, "variants.twin": {"cross_entropy": {"weight": 2}}}
    write_study(project, small_config(**more, seeds=[0, 3]))
    assert plan(project)["students"] == 7
    run(project)
    trained = stand_ins.trained(stand_ins.ran(project))
    assert len(trained) == 5 and {"everything/seed3", "hard/seed3", "none/seed3"} < set(trained)
    check(project)
    write_study(project, small_config())
    assert plan(project) == {"compare": 1, **TABLES}
    run(project)
    check(project)


def test_code_of_the_teachers_answers_trains_all_students_in_one_run(project):
    edit(project, f"{LIBRARY}/training/teacher.py", "BATCH = 256", "BATCH = 128")
    planned = plan(project)
    assert planned["students"] == 3 and planned["teacher_outputs"] == 1 and "networks" not in planned
    run(project)
    lines = stand_ins.ran(project)
    assert len(stand_ins.trained(lines)) == 3
    check(project)


def test_a_teacher_that_comes_out_with_other_bits_takes_its_students_along(project):
    (teacher,) = (project / "results/shared/networks").iterdir()
    (teacher / "trained.safetensors").write_text("damaged")
    (project / stand_ins.OTHER_BITS).write_text("networks")
    run(project)
    lines = stand_ins.ran(project)
    assert sorted(stand_ins.trained(lines)) == ["everything/seed0", "hard/seed0"]
    assert "teacher_outputs" in lines and "measure networks/cait/entropy" in lines
    assert plan(project) == {}


def test_a_teacher_that_comes_out_as_it_was_trains_nobody(project):
    (teacher,) = (project / "results/shared/networks").iterdir()
    (teacher / "trained.safetensors").write_text("damaged")
    said = run(project)
    assert "trained.safetensors has 7 bytes, 64 were written; it is made again" in said
    assert stand_ins.ran(project) == ["networks cait"]
    check(project)


def test_results_of_other_settings_copied_over_are_not_believed(project, tmp_path):
    """A student trained with another weight, laid over a finished study by a copy that replaces its files."""
    other = tmp_path / "other"
    shutil.copytree(project, other, symlinks=True)
    write_study(other, small_config(**{"variants.hard.hard.weight": 0.5}))
    run(other)
    for path in sorted(students_of(other, "hard").rglob("*")):
        to = project / path.relative_to(other)
        if path.is_file():
            to.unlink(missing_ok=True)
            shutil.copyfile(path, to)
    assert plan(project)["students"] == 1
    run(project, "--touch")
    assert plan(project)["students"] == 1
    run(project)
    check(project)


def test_results_copied_into_an_empty_clone_are_known_there(project, tmp_path):
    (tmp_path / "clone").mkdir()
    clone = stand_ins.use_in(copy_project(tmp_path / "clone"))
    write_study(clone, small_config())
    shutil.copytree(project / "results/smoke", clone / "results/smoke", copy_function=shutil.copyfile)
    # Without what studies share: images and teacher are made again as they were, and nobody trains.
    run(clone)
    lines = stand_ins.ran(clone)
    assert sorted(lines) == ["data main", "networks cait", "teacher_outputs"]
    check(clone)


def test_without_flags_or_metadata_nothing_runs(project):
    shutil.rmtree(project / "results/.flags")
    shutil.rmtree(project / ".snakemake", ignore_errors=True)
    check(project)


def test_forced_students_train_and_forced_tables_are_made(project):
    run(project, "--forcerun", "students")
    lines = stand_ins.ran(project)
    assert len(stand_ins.trained(lines)) == 3
    check(project)
    run(project, "--forcerun", "tables")
    assert len(stand_ins.ran(project)) == 8 + FIGURES, "4 tables, summary, statistics, figures, page, paper"
    check(project)
    assert plan(project, "--forceall")["cohorts"] == 2


def test_the_size_of_cohorts_is_no_reason_to_run_and_is_kept_to(project):
    config = small_config(compute={"students": {"runs_per_job": 2, "threads": 2, "mem_mb": 5000}})
    write_study(project, config)
    assert plan(project) == {}
    write_study(project, config | {"seeds": [0, 1]})
    assert plan(project)["cohorts"] == 2


def test_a_training_that_failed_is_said_by_the_student_and_the_others_are_finished(project):
    edit(
        project,
        f"{LIBRARY}/jobs/stand_ins.py",
        "            report.begin(number)\n",
        "            if 'hard' in task.name:\n"
        "                from ..errors import StudyError\n"
        "                report.fail(number, StudyError('training: loss became nan in epoch 3'))\n"
        "                continue\n"
        "            report.begin(number)\n",
    )
    write_study(project, small_config(**{"student.recipe.epochs": 1}))
    said = run(project, fails=True)
    assert "student hard, seed 0: training: loss became nan in epoch 3" in said
    assert sorted(stand_ins.trained(stand_ins.ran(project))) == ["everything/seed0", "none/seed0"]
    planned = plan(project)
    assert planned["students"] == planned["cohorts"] == 1
    assert "nan" in snakemake(project, config=STUDY).stdout + snakemake(project, config=STUDY).stderr


def test_what_is_finished_stays_when_its_new_run_cannot_start(project):
    before = {path: path.read_bytes() for path in (project / "results/smoke").rglob("*.parquet")}
    write_study(project, small_config(**{"measure.images": 30, "compare.images": 40}))
    start = "    main = lambda *a, **k: stand_ins.carry_out(task)\n"
    edit(project, f"{LIBRARY}/jobs/run.py", start, "    raise StudyError('no room on the GPU')\n")
    together = "        measuring = stand_ins.Together\n"
    edit(project, f"{LIBRARY}/jobs/run.py", together, "        raise StudyError('no room on the GPU')\n")
    assert "no room on the GPU" in run(project, fails=True)
    assert {path: path.read_bytes() for path in (project / "results/smoke").rglob("*.parquet")} == before
    write_study(project, small_config())
    assert plan(project) == {}


def test_a_second_workflow_on_the_same_results_stops_with_a_message(project):
    write_study(project, small_config(**{"student.recipe.epochs": 1}))
    (project / stand_ins.HOLD).touch()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", STUDY]
    first = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not any((project / ".snakemake").glob("locks/*")):
        assert first.poll() is None
        time.sleep(0.05)
    second = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert second.returncode != 0 and "cannot be locked" in second.stdout + second.stderr
    (project / stand_ins.HOLD).unlink()
    said, _ = first.communicate()
    assert first.returncode == 0, said
    check(project)


def test_all_output_is_deleted_by_a_command_of_its_own(project):
    said = run(project, "--delete-all-output", fails=True)
    assert "make clear STUDY=smoke" in said and "Traceback" not in said
    check(project)
    store(project, "clear", "smoke")
    assert not (project / "results/smoke").exists() and not list((project / "results/shared").glob("*/*"))
    run(project)
    assert len(stand_ins.trained(stand_ins.ran(project))) == 3
    check(project)


def store(folder, *arguments, status=0):
    command = [sys.executable, "-m", "distillation_dynamics.jobs.store", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_what_no_study_uses_is_listed_and_then_deleted(project):
    assert "Everything in the store is used" in store(project, "unused")
    write_study(project, small_config(**{"variants.hard.hard.weight": 0.5}))
    run(project)
    listed = store(project, "unused")
    assert len(re.findall(r"^results/shared/runs/[0-9a-f]{16} \(", listed, re.M)) == 1
    assert len(list((project / "results/shared/runs").iterdir())) == 4, "listing deletes nothing"
    assert "1 folders deleted" in store(project, "unused", "--delete")
    check(project)


def test_clearing_a_study_leaves_what_others_use(project):
    write_study(project, small_config() | {"name": "other"})
    run(project)
    assert stand_ins.trained(stand_ins.ran(project)) == []
    said = store(project, "clear", "other")
    assert "stay, because other studies use them" in said and not (project / "results/other").exists()
    write_study(project, small_config())
    check(project)
    assert "there is no study of that name; there are smoke" in store(project, "clear", "smok", status=1)


def test_unfinished_trainings_go_with_their_study(project):
    (run_folder, *_) = (project / "results/shared/runs").iterdir()
    (run_folder / ".record.json").unlink()
    (run_folder / ".resume").mkdir()
    store(project, "clear", "smoke")
    assert not run_folder.exists()


def why(project, config=STUDY):
    done = snakemake(project, "-n", "--quiet", "progress", "rules", "reason", "host", config=config)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_plan_says_what_changed_what_trains_and_what_it_costs(project):
    write_study(project, small_config(**{"variants.hard.hard.weight": 0.3}))
    said = why(project)
    assert "students hard/seed0: terms.hard.weight: 0.9 -> 0.3\n" in said
    assert re.search(r"^students +1 +1 +", said, re.M) and re.search(rf"^tables +{8 + FIGURES} +1 ", said, re.M)
    assert "1 student to train in 1 job" in said
    assert len(said.splitlines()) < 60
    write_study(project, small_config())
    assert "smoke: all results are what the study asks for; nothing would run." in why(project)


def test_the_plan_of_a_study_that_nothing_is_known_of_says_so(project):
    write_study(project, small_config(**{"student.model.args.depth": 3}))
    said = why(project)
    assert re.search(r"^students +3 +2 +<= 2.000 +<= 0.000 ", said, re.M) and "<=: no earlier job tells" in said


def test_a_run_uses_the_declared_threads_whatever_cores_it_gets(project):
    write_study(project, small_config(**{"student.recipe.epochs": 1, "compute": {"students": {"threads": 2}}}))
    run(project, "--cores", "1")
    (record,) = {path.read_text() for path in students_of(project, "hard").glob(".record.json")}
    assert '"threads": 2' in record


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (STUDY, "imagse", "", "measure.imagse: unknown key; did you mean images"),
        (STUDY, "train", "nowhere.parquet", "data.train: the file nowhere.parquet does not exist"),
    ],
)
def test_a_wrong_study_is_a_sentence_and_a_status(project, name, old, new, message):
    changes = {"measure.imagse": 3} if old == "imagse" else {f"data.{old}": new}
    write_study(project, small_config(**changes))
    said = run(project, fails=True)
    assert message in said and "Traceback" not in said


def test_the_library_is_whole_when_it_is_installed_from_a_wheel(tmp_path):
    copy = tmp_path / "source"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "workflow", copy / "workflow", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-c", "import setuptools.build_meta as b; print(b.build_wheel('.'))"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.unpack_archive(next(copy.glob("*.whl")), tmp_path / "installed", "zip")
    library = tmp_path / "installed/distillation_dynamics"
    missing = {
        str(path.relative_to(ROOT / LIBRARY))
        for path in (ROOT / LIBRARY).rglob("*")
        if path.suffix in (".py", ".yaml") and not (library / path.relative_to(ROOT / LIBRARY)).is_file()
    }
    assert missing == set()
