"""Locally each GPU job has a GPU of its own, and no more run at a time than there are GPUs. The GPUs are only names."""

import os
import re
import subprocess
import sys
import tempfile
import time

import pytest
import yaml

from conftest import ROOT
from distillation_dynamics import gpus
from distillation_dynamics.errors import StudyError

# The second time it is asked, as by the second stage of a job, it must not wait for itself.
CLAIM = "from distillation_dynamics import gpus; first = gpus.claim(); assert gpus.claim() == first; "
CLAIM += "print(first, flush=True); input()"


def claimant(environment):
    return subprocess.Popen(
        [sys.executable, "-c", CLAIM],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow"), **environment},
        text=True,
        **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
    )


def test_each_process_has_its_own_gpu_and_a_third_waits_for_one(tmp_path):
    environment = {"CUDA_VISIBLE_DEVICES": "4,7", "TMPDIR": str(tmp_path)}
    first, second = claimant(environment), claimant(environment)
    names = [process.stdout.readline().strip() for process in (first, second)]
    assert sorted(names) == ["4", "7"]
    third = claimant(environment)
    assert third.stderr.readline() == "waiting for one of the GPUs 4, 7\n"
    first.kill()  # however it ends
    first.wait()
    assert third.stdout.readline().strip() == names[0]
    for process in (second, third):
        process.communicate("\n")


def test_without_a_driver_there_is_none(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.visible() == [] and gpus.claim() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.visible() == []


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """The folder of the claims in a temporary folder of the system in which anybody may plant something."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gpus, "_claims", [])
    yield tmp_path / f"distillation-dynamics-gpus-{os.getuid()}"
    for claim in gpus._claims:
        os.close(claim)


@pytest.mark.parametrize("plant", ["file", "folder"])
def test_a_planted_link_is_not_followed_and_its_target_is_left_as_it_was(planted, tmp_path, plant):
    target = tmp_path / "target"
    target.mkdir()
    (target / "0").write_text("precious")
    if plant == "folder":
        planted.symlink_to(target)
    else:
        planted.mkdir(mode=0o700)
        (planted / "0").symlink_to(target / "0")
    with pytest.raises(StudyError, match=rf"{planted.name}.*: cannot be .*; remove it"):
        gpus.claim()
    assert (target / "0").read_text() == "precious" and gpus._claims == []


def test_a_folder_of_somebody_else_or_a_file_in_its_place_is_refused(planted, monkeypatch):
    planted.touch()
    with pytest.raises(StudyError, match=r"cannot be used as a folder .*; remove it, or set TMPDIR"):
        gpus.claim()
    planted.unlink()
    planted.mkdir()
    planted.chmod(0o770)
    with pytest.raises(StudyError, match=r"others may write there; remove it, or set TMPDIR"):
        gpus.claim()
    planted.chmod(0o700)
    assert gpus.claim() == "0"


def test_what_is_in_the_file_of_a_claim_stays_and_any_name_of_a_gpu_is_good(planted, monkeypatch):
    planted.mkdir(mode=0o700)
    (planted / "MIG-GPU-a%2F1%2F0").write_text("precious")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-a/1/0")
    assert gpus.claim() == "MIG-GPU-a/1/0" == gpus.claim()
    assert [path.read_text() for path in planted.iterdir()] == ["precious"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_snakemake_runs_as_many_gpu_jobs_as_there_are_gpus(own_project, tmp_path, count):
    """With the real jobs' command lines: students that only claim a GPU would not show that the stage does."""
    config = yaml.safe_load((own_project / "studies/smoke.yaml").read_text())
    config["name"] = f"gpus{count}"
    config["variants"] = {
        name: {"cross_entropy": {"weight": weight}} for name, weight in (("a", 10 + count), ("b", 20 + count))
    }
    config["compute"] = {"students": {"gpu": 1, "runs_per_job": 1}}
    (own_project / "study.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "4", "--configfile", "study.yaml"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join("01"[:count]), "TMPDIR": str(tmp_path)}
    start = time.time()
    done = subprocess.run(
        [*command, "--until", "students"],
        cwd=own_project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    logs = sorted((own_project / f"logs/gpus{count}/cohorts").glob("*.log"))
    assert len(logs) == 2 and all(log.stat().st_mtime > start for log in logs)
    used = [re.search(r"this job has GPU (\d)", log.read_text())[1] for log in logs]
    assert not any("waiting" in log.read_text() for log in logs)
    assert len(set(used)) == count
