"""The study on a real SLURM: two nodes on one machine, GPUs that are only names, no accounting (slurm/cluster.sh)."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT
from helpers import changed, copy_project, jobs, snakemake

CLUSTER = ROOT / "tests/slurm/cluster.sh"
MISSING = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not found: apt-get install slurm-wlm munge"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a SLURM of one's own needs root"),
]
COMPUTE = {
    "teacher": {"gpu": 1, "mem_mb": 2100, "runtime": 7},
    "students": {"gpu": 1, "gpu_model": "fake", "mem_mb": 2200, "runtime": 9},
    "features": {"mem_mb": 2300, "runtime": 11},
}


@pytest.fixture(scope="module")
def cluster():
    """The environment of a running cluster."""
    state = tempfile.mkdtemp(prefix="slurm-of-tests-")
    # Every user must be able to reach munge's socket.
    os.chmod(state, 0o755)
    environment = {**os.environ, "SLURM_TEST_DIR": state}
    folder = subprocess.check_output([CLUSTER, "path"], env=environment, text=True).strip()
    environment["PATH"] = os.pathsep.join([folder, os.environ["PATH"]])
    subprocess.run([CLUSTER, "start"], env=environment, check=True)
    yield environment
    subprocess.run([CLUSTER, "stop"], env=environment, check=True)
    shutil.rmtree(state)


def project_with(folder, finished=None, **changes):
    """A copy of the project with a study of two students on GPUs, and the images of a finished one."""
    copy_project(folder)
    if finished:
        shutil.copytree(finished / "results/shared/data", folder / "results/shared/data")
    config = yaml.safe_load((folder / "studies/smoke.yaml").read_text())
    config["name"], config["compute"] = "cluster", COMPUTE
    config["variants"] = {name: config["variants"][name] for name in ("none", "hard")}
    config["features"]["metrics"] = ["entropy", "magnitude", "spectrum"]
    for path, value in changes.items():
        config = changed(config, path, value)
    (folder / "studies/cluster.yaml").write_text(yaml.safe_dump(config))
    return folder


def start(folder, cluster, *arguments):
    """Snakemake with the profile as it is; asking for the state of jobs sooner than on a real cluster."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--profile", "slurm"]
    command += ["--configfile", "studies/cluster.yaml", "--slurm-init-seconds-before-status-checks", "8"]
    return subprocess.Popen(
        command, cwd=folder, env=cluster, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait(process, seconds=400):
    """(exit status, what was said) of a workflow; it is ended when it takes longer."""
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, said


def controller(cluster, pattern, folder=""):
    """What the controller says of the jobs of `folder` whose comment (rule and wildcards) matches, in their order."""
    said = subprocess.check_output(["scontrol", "show", "job"], env=cluster, text=True)
    blocks = [dict(re.findall(r"(\w+)=(\S+)", block)) for block in said.split("\n\n") if "JobId" in block]
    found = [b for b in blocks if re.fullmatch(pattern, b.get("Comment", "")) and str(folder) in b["WorkDir"]]
    return sorted(found, key=lambda block: int(block["JobId"]))


@pytest.fixture(scope="module")
def finished(cluster, tmp_path_factory):
    """The study, run through the cluster."""
    folder = project_with(tmp_path_factory.mktemp("on_slurm"))
    status, said = wait(start(folder, cluster))
    assert status == 0, said[-5000:]
    return folder


def test_the_study_runs_through_and_then_nothing_is_to_be_done(finished):
    assert len(list((finished / "results/cluster/figures").glob("*.png"))) == 13
    assert jobs(snakemake(finished, "-n", config="studies/cluster.yaml")) == {}


def test_gpus_go_to_the_rules_that_ask_and_memory_and_time_are_as_declared(finished, cluster):
    (teacher,) = controller(cluster, "rule_teacher", finished)
    students = controller(cluster, r"rule_cohorts_wildcards_\w+", finished)
    measuring = controller(cluster, r"rule_measure_wildcards_\w+", finished)
    assert len(students) == 1 and len(measuring) == 2, "two students train in one job, and are measured in one"
    for job, memory, minutes, gpu in (
        (teacher, "2100M", "00:07:00", "gres:gpu:1"),
        *((job, "2200M", "00:09:00", "gres:gpu:fake:1") for job in students),
    ):
        assert job["JobState"] == "COMPLETED" and job["TresPerJob"] == gpu
        assert job["MinMemoryNode"] == memory and job["TimeLimit"] == minutes
    for job in measuring:
        assert "TresPerJob" not in job and "gpu" not in str(job)
        # Features, saliency and comparison one after the other: the largest memory, the sum of the minutes.
        assert job["MinMemoryNode"] == "3000M" and job["TimeLimit"] == "02:11:00"
    for job in controller(cluster, r"rule_data|rule_teacher_outputs|rule_tables.*", finished):
        assert "TresPerJob" not in job


def test_all_tables_and_figures_are_one_job(finished, cluster):
    (job,) = controller(cluster, r"rule_tables.*", finished)
    assert {"metrics", "summary", "statistics", "figures"} <= set(job["Comment"].split("_"))
    # The job asks for four of them at a time, however many there are.
    assert job["NumCPUs"] == "4" and job["MinMemoryNode"] == "4000M"
    assert not controller(cluster, r"rule_(figures|metrics|summary).*")


def test_a_training_over_its_time_limit_goes_on_and_finishes(finished, cluster, tmp_path):
    # One minute, and the warning may come at once (the controller sends it up to a minute early): attempts to spare.
    compute = {"students": {"gpu": 1, "mem_mb": 2000, "runtime": 1}}
    folder = project_with(
        tmp_path, finished, **{"student.recipe.epochs": 700, "student.checkpoint_every": 1000, "compute": compute}
    )
    status, said = wait(start(folder, cluster, "--until", "students", "--retries", "6"))
    assert status == 0, said[-5000:]
    attempts = controller(cluster, r"rule_cohorts_wildcards_\w+", tmp_path)
    assert len(attempts) > 1 and attempts[-1]["JobState"] == "COMPLETED"
    assert [job["TimeLimit"] for job in attempts[:2]] == ["00:01:00", "00:02:00"]
    assert "not finished: stopped by SIGTERM before update" in said
    (log,) = (folder / "logs/cluster/cohorts").glob("*.log")
    assert log.read_text().count("resume: going on from") == 2, "both members go on"


def test_a_training_on_two_nodes_has_the_losses_of_one(finished, cluster, tmp_path):
    compute = {"students": {"gpu": 2, "nodes": 2, "mem_mb": 2000}}
    folder = project_with(tmp_path, finished, compute=compute)
    target = "results/cluster/students/none/seed0/steps.parquet"
    status, said = wait(start(folder, cluster, "--until", "students"))
    assert status == 0, said[-5000:]
    (job,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert job["NumNodes"] == "2" and job["NodeList"] == "node[1-2]" and job["TresPerNode"] == "gres:gpu:1"
    ours, theirs = (pd.read_parquet(path / target) for path in (folder, finished))
    np.testing.assert_allclose(ours["value"], theirs["value"], rtol=2e-4)


def test_a_failed_job_is_reported_with_its_log_and_tried_again(finished, cluster, tmp_path):
    folder = project_with(tmp_path, finished)
    code = folder / "workflow/distillation_dynamics/teacher.py"
    code.write_text(code.read_text() + "\n\nraise RuntimeError('no room')\n")
    status, said = wait(start(folder, cluster, "--until", "teacher", "--retries", "1"))
    assert status != 0
    assert "RuntimeError: no room" in said and "logs/shared/teacher/" in said
    attempts = controller(cluster, "rule_teacher", tmp_path)
    memory = [job["MinMemoryNode"] for job in attempts]
    assert memory == ["2100M", "4200M"]


def test_students_that_diverge_are_said_where_the_workflow_runs(finished, cluster, tmp_path):
    optimizer = {"name": "adamw", "learning_rate": 1e30}
    folder = project_with(tmp_path, finished, **{"student.recipe.optimizer": optimizer})
    status, said = wait(start(folder, cluster, "--until", "students", "--retries", "0"))
    assert status != 0
    assert said.count("error: training: loss became nan") >= 2, "each of the two, by the rule that links its run"
    (job,) = controller(cluster, r"rule_cohorts_wildcards_\w+", tmp_path)
    assert job["JobState"] == "COMPLETED"


def test_ctrl_c_cancels_the_jobs_and_leaves_the_folder_unlocked(finished, cluster, tmp_path):
    folder = project_with(tmp_path, finished, **{"student.recipe.epochs": 100000, "student.checkpoint_every": 100000})
    process = start(folder, cluster, "--until", "students")
    deadline = time.monotonic() + 120
    while not any("epoch 1:" in log.read_text() for log in (folder / "logs/cluster/cohorts").glob("*.log")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    status, _ = wait(process, 60)
    assert status != 0
    deadline = time.monotonic() + 30
    while any(
        job["JobState"] in ("RUNNING", "PENDING", "COMPLETING") for job in controller(cluster, "rule_.*", tmp_path)
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    (job,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert job["JobState"] == "CANCELLED"
    assert snakemake(folder, "-n", config="studies/cluster.yaml").returncode == 0
