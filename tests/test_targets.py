"""What is asked of the workflow by name, from other folders and as a module; its report, lint, words and logs."""

import os
import re
import subprocess
import sys

import pytest
import yaml

import stand_ins
from helpers import STUDY, copied, copy_project, jobs, small_config, snakemake

LIBRARY = "workflow/distillation_dynamics"


@pytest.fixture(scope="module")
def run(pretended, tmp_path_factory):
    """A project whose stages pretend, and what Snakemake said when its study ran."""
    folder = copied(pretended, tmp_path_factory.mktemp("asked") / "project")
    return folder, (folder / "said.log").read_text()


@pytest.fixture
def project(run):
    return run[0]


@pytest.fixture
def empty(run, tmp_path):
    """The same project without results."""
    folder = stand_ins.use_in(copy_project(tmp_path))
    (folder / STUDY).write_text((run[0] / STUDY).read_text())
    return folder


def command(folder, *arguments):
    """Run Snakemake in a folder with just these arguments; (status, all that it said)."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


MADE_READY = {"data": 1, "networks": 1}
TRAINED = MADE_READY | {"teacher_outputs": 1, "cohorts": 2, "students": 3}


@pytest.mark.parametrize(
    ("asked", "planned"),
    [
        (("networks", "students"), TRAINED),
        (("figures",), TRAINED | {"measure": 4, "compare": 4, "tables": 1}),
        pytest.param(("networks",), MADE_READY, marks=pytest.mark.slow),
        pytest.param(("--until", "students"), TRAINED, marks=pytest.mark.slow),
        pytest.param(("tables",), TRAINED | {"measure": 4, "compare": 4, "tables": 1}, marks=pytest.mark.slow),
        pytest.param(("report",), TRAINED | {"measure": 4, "compare": 4, "tables": 1}, marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_each_part_of_a_study_can_be_asked_for_by_its_name(empty, asked, planned):
    assert jobs(snakemake(empty, "-n", *asked, config=STUDY)) == planned


def test_each_job_takes_the_gpus_that_the_study_gives_its_stage(empty, monkeypatch):
    config = yaml.safe_load((empty / STUDY).read_text())
    config["compute"] = {"networks": {"gpu": 2}, "students": {"gpu": 1}, "measure": {"gpu": 1}}
    (empty / STUDY).write_text(yaml.safe_dump(config))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    planned = snakemake(empty, "-n", "-p", config=STUDY)
    command = r"(python|torchrun .*) -m distillation_dynamics results/\.tasks/(?:shared|batches)/(\w+)/.* --gpus (\d+)"
    assert {(stage, start, int(gpus)) for start, stage, gpus in re.findall(command, planned.stdout)} == {
        ("data", "python", 0),
        ("networks", "torchrun --standalone --nproc-per-node 2", 2),
        ("teacher_outputs", "python", 0),
        ("cohorts", "python", 1),
        ("measure", "python", 1),
        ("compare", "python", 0),
        ("tables", "python", 0),
    }


@pytest.mark.slow
def test_what_is_gathered_is_no_more_than_what_is_asked_for(project):
    for path in (project / "results/smoke/tables").glob("*.parquet"):
        path.unlink()
    stand_ins.ran(project)
    assert snakemake(project, "tables", config=STUDY).returncode == 0
    stages = {line.split()[0] for line in stand_ins.ran(project)}
    assert stages == {"tables"}
    assert snakemake(project, config=STUDY).returncode == 0
    assert jobs(snakemake(project, "-n", config=STUDY)) == {}


def test_any_file_of_a_study_can_be_asked_for_by_its_path(project):
    path = "results/smoke/figures/effects.png"
    for figure in (path, "results/smoke/figures/accuracy.png"):
        (project / figure).unlink()
    stand_ins.ran(project)
    assert snakemake(project, path, config=STUDY).returncode == 0
    assert stand_ins.ran(project) == ["figures effects"] and (project / path).is_file()
    assert snakemake(project, "--forcerun", path, config=STUDY).returncode == 0
    assert sorted(stand_ins.ran(project)) == ["figures accuracy", "figures effects"], "it, and what was still due"
    status, said = command(project, "-n", "--configfile", STUDY, "--", "results/smoke/figures/effect.png")
    assert status != 0 and "Traceback" not in said
    assert "results/smoke/figures/effect.png: the study smoke leaves no such file; `make files` lists" in said
    run = next((project / "results/shared/runs").iterdir())
    assert jobs(snakemake(project, "-n", run.relative_to(project) / "result.json", config=STUDY)) == {}


@pytest.mark.slow
def test_a_target_after_the_configuration_is_told_to_go_elsewhere(project):
    status, said = command(project, "--cores", "1", "-n", "--configfile", STUDY, "figures")
    assert status != 0 and "figures: no such file or directory" in said and "before it, or behind `--`" in said
    status, said = command(project, "--cores", "1", "-n", "--configfile", STUDY, "--", "figures")
    assert status == 0 and "Nothing to be done" in said


@pytest.mark.slow
def test_the_workflow_is_in_good_condition(project):
    status, said = command(project, "--lint", "--configfile", STUDY)
    assert status == 0 and "Congratulations" in said, said


def test_the_report_has_every_figure_with_what_it_shows_and_the_answers(project):
    status, said = command(project, "--report", "report.html", "--configfile", STUDY)
    assert status == 0, said
    page = (project / "report.html").read_text()
    figures = [path.name for path in (project / "results/smoke/figures").glob("*.png")]
    assert len(figures) > 10
    for name in [*figures, "report.md", "summary.md", "index.html"]:
        assert f'"file": "{name}"' in page
    assert "How accurate is each network and variant" in page, "a label"
    assert "<em>smoke</em>, drawn from its tables" in page, "a caption"
    assert "The study <em>smoke</em>" in page, "the description of the whole"


@pytest.mark.slow
def test_a_report_shows_nothing_that_is_not_as_the_study_asks(project):
    figure = project / "results/smoke/figures/accuracy.png"
    content = figure.read_bytes()
    figure.write_bytes(b"another")
    _, said = command(project, "--report", "less.html", "--configfile", STUDY)
    assert '"file": "effects.png"' in (project / "less.html").read_text(), said
    assert '"file": "accuracy.png"' not in (project / "less.html").read_text()
    figure.write_bytes(content)
    assert snakemake(project, config=STUDY).returncode == 0


@pytest.mark.slow
def test_the_snakefile_in_workflow_is_the_same_study(project):
    status, said = command(project, "-n", "--cores", "1", "-s", "workflow/Snakefile", "--configfile", STUDY)
    assert status == 0 and "Nothing to be done" in said


@pytest.mark.slow
def test_a_module_finds_library_environment_and_captions(project, tmp_path):
    (tmp_path / "Snakefile").write_text(
        f'module study:\n    snakefile: "{project}/workflow/Snakefile"\n\nuse rule * from study\n'
    )
    (tmp_path / "config.yaml").write_text((project / STUDY).read_text())
    status, said = command(tmp_path, "--cores", "2")
    assert status == 0 and (tmp_path / "results/smoke/statistics/report.md").is_file(), said
    status, said = command(tmp_path, "--report", "report.html")
    assert status == 0 and '"file": "accuracy.png"' in (tmp_path / "report.html").read_text(), said


@pytest.mark.slow
def test_from_another_folder_a_sentence_says_what_paths_are_relative_to(project, tmp_path):
    config = small_config(**{"data.train": "pictures/train.parquet"})
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    status, said = command(tmp_path, "-n", "--cores", "1", "-s", project / "Snakefile", "--configfile", "mine.yaml")
    assert status != 0 and "Traceback" not in said and "pictures/train.parquet" in said
    assert f"--directory {os.path.relpath(project, tmp_path)}` works" in " ".join(said.split())
    there = ("-s", project / "Snakefile", "--directory", project)
    status, said = command(tmp_path, "-n", "--cores", "1", *there, "--configfile", project / STUDY)
    assert status == 0 and "Nothing to be done" in said


def test_a_run_says_a_line_a_job_and_ends_with_where_to_read(run):
    _, said = run
    lines = said.splitlines()
    (opening,) = [n for n, line in enumerate(lines) if line.startswith("smoke: 14 jobs: 1 data, 1 network,")]
    assert any(
        re.fullmatch(r"Time: about .* here, estimated from reference costs, .*", line) for line in lines[opening:]
    )
    told = [line.split() for line in lines if re.match(r"\d:\d\d:\d\d  \w", line)]
    assert len(told) == 14 and {words[1] for words in told} > {"data", "network", "cohorts", "gather"}
    cohorts = [words for words in told if words[1] == "cohorts"]
    assert all("seed" in words and "top-1" in words for words in cohorts) and "student" not in {w[1] for w in told}
    assert lines[-2:] == ["results/smoke/statistics/report.md", "results/smoke/index.html"]
    assert any(line.startswith("14 of 14 jobs done in ") for line in lines)
    assert max(map(len, lines[opening:])) <= 80 and "\x1b" not in said and "Touching" not in said


def test_no_log_of_a_job_that_did_something_is_empty(run):
    logs = list((run[0] / "logs").rglob("*.log"))
    assert len(logs) > 15 and [path for path in logs if not path.stat().st_size] == []
    (log,) = (run[0] / "logs/smoke/students/hard").rglob("*.log")
    assert re.fullmatch(r"students hard/seed0: published from results/shared/runs/[0-9a-f]{16}\n", log.read_text())


def test_a_failed_job_is_its_sentence_and_not_its_log(empty):
    run = empty / LIBRARY / "jobs/run.py"
    together = "        measuring = stand_ins.Together\n"
    run.write_text(run.read_text().replace(together, "        raise StudyError('no room on the GPU')\n"))
    done = snakemake(empty, config=STUDY)
    assert (
        done.returncode != 0 and "FAILED  measure cait: no room on the GPU\n    log: logs/smoke/measure/" in done.stderr
    )
    assert "What failed:\nMeasure networks/cait: no room on the GPU" in done.stderr
    assert not any(words in done.stderr for words in ("CalledProcessError", "Error in rule", "====", "Traceback"))


@pytest.mark.slow
def test_quiet_is_quiet_and_without_the_profile_snakemake_speaks(empty):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", STUDY, "--quiet", "all", "--", "networks"],
        **{"cwd": empty, "capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0 and "jobs" not in done.stderr
    done = snakemake(empty, "--workflow-profile", "none", "students", config=STUDY)
    assert done.returncode == 0 and "steps (" in done.stderr, "without the profile Snakemake's own words"
