"""What Snakemake runs after a change, with its real rules and stages that only pretend (stand_ins).

What a plan finds due is said by test_plan, without a process; here is what only a whole run of Snakemake can show.
"""

import base64
import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml

import stand_ins
from conftest import ROOT
from distillation_dynamics.jobs import planning
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.hashes import Hashes
from helpers import STUDY, copied, jobs, load, small_config, snakemake, write_study

LIBRARY = "workflow/distillation_dynamics"
FIGURES = 12


@pytest.fixture
def project(pretended, tmp_path):
    """A copy of the project whose stages pretend, without what Snakemake remembers."""
    folder = copied(pretended, tmp_path / "project")
    shutil.rmtree(folder / ".snakemake")
    stand_ins.ran(folder)
    return folder


def run(folder, *arguments, fails=False):
    done = snakemake(folder, *arguments, config=STUDY)
    assert (done.returncode != 0) == fails, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def plan(folder, *arguments):
    return jobs(snakemake(folder, "-n", *arguments, config=STUDY))


def check(folder, monkeypatch):
    """Nothing would run, and every file is what the study asks for, made from what lies there now."""
    assert plan(folder) == {}
    with monkeypatch.context() as there:
        there.chdir(folder)
        study = load(yaml.safe_load((folder / STUDY).read_text()))
        assert stand_ins.stale(build_graph(study, planning.content_of(study, Hashes()))) == []


def edit(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_after_a_run_nothing_is_to_be_done_whatever_was_touched_or_lost(project, monkeypatch):
    for path in (project / "results").rglob("*"):
        if path.is_file():
            path.touch()
    shutil.rmtree(project / "results/.flags")
    check(project, monkeypatch)


def test_what_a_killed_run_was_writing_is_no_reason_where_it_lies_whole_now(project, monkeypatch):
    """As where a finished `results/shared` is copied in; and a job that runs all the same is a line like any other."""
    incomplete = project / ".snakemake/incomplete"
    incomplete.mkdir(parents=True, exist_ok=True)
    flags = [path.relative_to(project) for path in (project / "results/.flags").rglob("*") if path.is_file()]
    assert any("shared/data" in str(flag) for flag in flags)
    for flag in flags:
        (incomplete / base64.b64encode(str(flag).encode()).decode()).write_text("{}")
    check(project, monkeypatch)
    said = run(project, "--forcerun", next(str(flag) for flag in flags if "shared/data" in str(flag)))
    assert "Traceback" not in said and "Logging error" not in said and re.search(r"\bdata +main\b", said)


def test_one_variant_changed_trains_one_student_with_the_declared_threads(project, monkeypatch):
    write_study(project, small_config(**{"variants.hard.hard.weight": 0.5, "compute": {"students": {"threads": 2}}}))
    run(project, "--touch")
    done = snakemake(project, "-n", "--quiet", "progress", "rules", "reason", "host", config=STUDY)
    said = done.stdout + done.stderr
    assert "students hard/seed0: terms.hard.weight: 0.9 -> 0.5\n" in said, "a touch changes nothing"
    assert re.search(r"^students +1 +1 +", said, re.M) and re.search(rf"^tables +{9 + FIGURES} +1 ", said, re.M)
    assert len(said.splitlines()) < 60
    # Under one core, too.
    run(project, "--cores", "1")
    assert stand_ins.trained(stand_ins.ran(project)) == ["hard/seed0"]
    assert '"threads": 2' in (project / "results/smoke/students/hard/seed0/.record.json").read_text()
    check(project, monkeypatch)
    # Changed back, its run is linked again; the other's measurements are repeated.
    write_study(project, small_config())
    assert plan(project) == {"students": 1, "measure": 1, "compare": 2, "tables": 1}
    run(project)
    assert stand_ins.trained(stand_ins.ran(project)) == []


def test_what_is_forced_is_made_anew(project):
    assert plan(project, "--forceall")["cohorts"] == 2
    run(project, "--forcerun", "tables")
    assert len(stand_ins.ran(project)) == 9 + FIGURES, "4 tables, summary, statistics, report, figures, page, paper"
    run(project, "--forcerun", "students")
    assert len(stand_ins.trained(stand_ins.ran(project))) == 3


def test_a_training_that_failed_is_said_by_the_student_and_the_others_are_finished(project):
    edit(
        project,
        f"{LIBRARY}/jobs/stand_ins.py",
        "            progress.begin(number)\n",
        "            if 'hard' in task.name:\n"
        "                from ..errors import StudyError\n"
        "                progress.fail(number, StudyError('training: loss became nan in epoch 3'))\n"
        "                continue\n"
        "            progress.begin(number)\n",
    )
    write_study(project, small_config(**{"student.recipe.epochs": 1}))
    said = run(project, fails=True)
    assert "student hard, seed 0: training: loss became nan in epoch 3" in said
    assert sorted(stand_ins.trained(stand_ins.ran(project))) == ["everything/seed0", "none/seed0"]
    planned = plan(project)
    assert planned["students"] == planned["cohorts"] == 1


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_second_workflow_on_the_same_results_stops_with_a_message(project, monkeypatch):
    write_study(project, small_config(**{"student.recipe.epochs": 1}))
    (project / stand_ins.HOLD).touch()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", STUDY]
    first = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not any((project / ".snakemake").glob("locks/*")):
        assert first.poll() is None
        time.sleep(0.05)
    second = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert second.returncode != 0 and "is running here; wait for its end" in second.stderr
    (project / stand_ins.HOLD).unlink()
    said, _ = first.communicate()
    assert first.returncode == 0, said
    check(project, monkeypatch)


@pytest.mark.slow
def test_all_output_is_deleted_by_a_command_of_its_own(project):
    said = run(project, "--delete-all-output", fails=True)
    assert "make clear STUDY=smoke" in said and "Traceback" not in said
    assert plan(project) == {}


def test_a_wrong_study_is_a_sentence_and_a_status(project):
    write_study(project, small_config(**{"measure.imagse": 3}))
    said = run(project, fails=True)
    assert "measure.imagse: unknown key; did you mean images" in said and "Traceback" not in said


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
