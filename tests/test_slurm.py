"""The study on a real SLURM: two nodes on one machine, GPUs that are only names, no accounting (slurm/cluster.sh)."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import ROOT
from helpers import changed, copy_project, jobs, snakemake

CLUSTER = ROOT / "tests/slurm/cluster.sh"
MISSING = [name for name in ("slurmctld", "slurmd", "munged") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not found: apt-get install slurm-wlm munge"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a SLURM of one's own needs root"),
]
COMPUTE = {
    "networks": {"gpu": 1, "mem_mb": 900, "runtime": 7},
    # The controller warns 60 to 90 seconds after the beginning: by then a loaded machine has begun to train, too.
    "students": {"gpu": 1, "gpu_model": "fake", "mem_mb": 2200, "runtime": 2},
    "measure": {"mem_mb": 2300, "runtime": 11},
}
# Long enough to be found at work; no test waits for its end.
ENDLESS = {"student.recipe.epochs": 100000, "student.checkpoint_every": 100000}
# Nothing here takes so long, on a machine with other work either: only a defect is ended by it.
LIMIT = 600
# Jobs that make networks ready, as the controller knows them.
NETWORKS = r"rule_network_wildcards_.*"
# Files in the folder of a study under which its jobs do not go smoothly. (The code that counts is that of all tests.)
HUNGRY, BROKEN, SLOW, LATE = "hungry", "broken", "slow", "late"
ADDED = {
    "networks": f"""

_main = main

def main(*arguments, **options):
    import os, time
    if os.path.isfile("{BROKEN}"):
        raise RuntimeError("no room")
    if os.path.isfile("{HUNGRY}"):
        ballast = b"x" * 700_000_000
        time.sleep(3)
    _main(*arguments, **options)
""",
    # One that begins its updates late, behind the signal of a short time limit.
    # On no machine fast enough to be done before its limit: until there is a state 100 updates take a second each.
    "cohorts": f"""

class Member(Member):
    def update(self, *arguments):
        if Path("{SLOW}").is_file() and not any(self.states.folder.glob("*.state")):
            time.sleep(1)
        super().update(*arguments)

_main_at_once = main

def main(*arguments, **options):
    if Path("{LATE}").is_file():
        time.sleep(200)
    _main_at_once(*arguments, **options)
""",
}
ALIVE = ("RUNNING", "PENDING", "COMPLETING", "CONFIGURING", "REQUEUED")


def free_ports(count):
    """The first of so many free ports in a row: another run of these tests may be on this machine."""
    for first in random.sample(range(16_900, 30_000, 10), 100):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def cluster():
    """The environment of a running cluster, which ends with the tests, whatever happens in them."""
    state = tempfile.mkdtemp(prefix="slurm-of-tests-")
    # Every user must be able to reach munge's socket.
    os.chmod(state, 0o755)
    environment = {**os.environ, "SLURM_TEST_DIR": state, "SLURM_TEST_PORT": str(free_ports(3))}
    folder = subprocess.check_output([CLUSTER, "path"], env=environment, text=True).strip()
    environment["PATH"] = os.pathsep.join([folder, os.environ["PATH"]])
    try:
        subprocess.run([CLUSTER, "start"], env=environment, check=True)
        yield environment
    finally:
        subprocess.run([CLUSTER, "stop"], env=environment, check=True)
        shutil.rmtree(state)


def project_with(folder, finished=None, **changes):
    """A copy of the project with a study of two students on GPUs, and what studies share of a finished one."""
    copy_project(folder)
    for stage, code in ADDED.items():
        with open(folder / f"workflow/distillation_dynamics/stages/{stage}.py", "a") as file:
            file.write(code)
    if finished:
        shutil.copytree(finished / "results/shared", folder / "results/shared")
    config = yaml.safe_load((folder / "studies/smoke.yaml").read_text())
    config["name"], config["compute"] = "cluster", COMPUTE
    # Of the kinds that ask no teacher, so that they train while the teacher is made ready.
    smooth = {"cross_entropy": {"weight": 1, "label_smoothing": 0.1}}
    config["variants"] = {"none": {"cross_entropy": {"weight": 1}}, "smooth": smooth}
    config["measure"]["metrics"], config["compare"]["metrics"] = ["magnitude"], ["agreement"]
    config["student"]["recipe"]["epochs"] = config["student"]["checkpoint_every"] = 10
    del config["networks"]["resnet"]
    for path, value in changes.items():
        config = changed(config, path, value)
    (folder / "studies/cluster.yaml").write_text(yaml.safe_dump(config))
    return folder


class Workflow:
    """Snakemake with the profile as it is, but asking for the state of jobs sooner than on a real cluster."""

    def __init__(self, folder, cluster, *arguments, pause=2):
        self.folder, self.cluster, self.log = folder, cluster, folder / "said.log"
        command = [sys.executable, "-m", "snakemake", *arguments, "--profile", "slurm"]
        command += ["--configfile", "studies/cluster.yaml", "--slurm-init-seconds-before-status-checks", str(pause)]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=cluster, stdout=log, stderr=subprocess.STDOUT,
                # Where the tests run in the background of a shell, SIGINT is ignored, by those that they start too.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    @property
    def said(self):
        """What it has said until now."""
        return self.log.read_text()

    def end(self):
        """The exit status, once it has ended by itself, and what was said."""
        status = self.process.wait(LIMIT)
        return status, self.said

    def wait_for(self, condition, what):
        """Wait for an event while the workflow runs."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert self.process.poll() is None, f"ended before {what}: {self.said[-5000:]}"
            assert time.monotonic() < deadline, f"no {what}: {self.said[-5000:]}"
            time.sleep(0.2)


@pytest.fixture
def start(cluster):
    """Starts workflows; whatever happens, they and their jobs end with the test."""
    started = []

    def begin(folder, *arguments, **options):
        started.append(Workflow(folder, cluster, *arguments, **options))
        return started[-1]

    yield begin
    for workflow in started:
        workflow.process.kill()
        workflow.process.wait()
        numbers = [job["JobId"] for job in controller(cluster, ".*", workflow.folder) if job["JobState"] in ALIVE]
        if numbers:
            subprocess.run(["scancel", *numbers], env=cluster, check=False)
        end_processes_in(workflow.folder)


def end_processes_in(folder):
    """Kill what still runs in a folder: without cgroups SLURM loses sight of a process whose parent ended before it."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").resolve() == folder.resolve():
                os.kill(int(entry.name), signal.SIGKILL)


def controller(cluster, pattern, folder):
    """What the controller says of the jobs of `folder` whose comment (rule and wildcards) matches, in their order."""
    said = subprocess.check_output(["scontrol", "show", "job"], env=cluster, text=True)
    blocks = [dict(re.findall(r"([\w/]+)=(\S+)", block)) for block in said.split("\n\n") if "JobId" in block]
    found = [b for b in blocks if re.fullmatch(pattern, b.get("Comment", "")) and b["WorkDir"] == str(folder)]
    return sorted(found, key=lambda block: int(block["JobId"]))


def logs(folder, stage="cohorts"):
    """What the jobs of a stage have written to their logs."""
    return "".join(path.read_text() for path in (folder / f"logs/cluster/{stage}").glob("*.log"))


@pytest.fixture(scope="module")
def finished(cluster, tmp_path_factory):
    """A study run through the cluster: a network outgrows its memory, a training its time."""
    folder = project_with(tmp_path_factory.mktemp("on_slurm"))
    for name in (HUNGRY, SLOW):
        (folder / name).touch()
    workflow = Workflow(folder, cluster)
    try:
        status, said = workflow.end()
    finally:
        workflow.process.kill()
    assert status == 0, said[-5000:]
    return workflow


def test_gpus_go_to_the_rules_that_ask_and_memory_and_time_are_as_declared(finished, cluster):
    folder = finished.folder
    teacher, students = (controller(cluster, f"rule_{rule}_.*", folder)[-1] for rule in ("network", "cohorts"))
    assert teacher["TresPerJob"] == "gres:gpu:1" and students["TresPerJob"] == "gres:gpu:fake:1"
    assert (students["MinMemoryNode"], students["TimeLimit"]) == ("2200M", "00:02:00")
    measuring = controller(cluster, "rule_measure_.*", folder)
    assert len(measuring) == 2, "two students are measured in one job"
    for job in measuring:
        assert "TresPerJob" not in job and "gpu" not in str(job)
        assert job["MinMemoryNode"] == "2300M" and job["TimeLimit"] == "00:11:00"
    for job in controller(cluster, "rule_data.*", folder):
        assert "TresPerJob" not in job and job["NumCPUs"] == "1"
    assert {
        job["JobState"] for rule in ("compare", "gather") for job in controller(cluster, f"rule_{rule}_.*", folder)
    } == {"COMPLETED"}
    assert (folder / "results/cluster/index.html").is_file()
    assert jobs(snakemake(folder, "-n", config="studies/cluster.yaml")) == {}


def test_the_queue_says_whom_a_job_is_about_and_what_loses_its_node_is_queued_again(finished, cluster):
    found = controller(cluster, ".*", finished.folder)
    members = {job["Comment"].rpartition("-")[0].removeprefix("rule_") for job in found}
    about = {"cohorts_wildcards_none+smooth-seed0", "measure_wildcards_cait", "measure_wildcards_none+smooth-seed0"}
    assert about <= members
    assert all(job["JobName"].startswith("distillation_") for job in found)
    assert {job["Requeue"] for job in found} == {"1"}, "the cluster's default is 0"


def test_only_a_job_that_ran_out_of_memory_gets_more_and_none_gets_more_time(finished, cluster):
    attempts = controller(cluster, NETWORKS, finished.folder)
    assert [job["MinMemoryNode"] for job in attempts][:2] == ["900M", "1800M"] and len(attempts) <= 3
    assert {job["TimeLimit"] for job in attempts} == {"00:07:00"}


def test_a_training_over_its_time_limit_goes_on_and_finishes(finished, cluster):
    attempts = controller(cluster, "rule_cohorts_.*", finished.folder)
    assert len(attempts) > 1 and attempts[-1]["JobState"] == "COMPLETED"
    assert {(job["TimeLimit"], job["MinMemoryNode"]) for job in attempts} == {("00:02:00", "2200M")}
    assert "sacct" not in finished.said and "account" not in finished.said, "none is guessed"
    assert "stopped by SIGTERM before update" in finished.said and "Trying to restart" in finished.said
    assert logs(finished.folder).count("resume: going on from") >= 2, "both members go on"


def test_a_time_limit_before_the_first_update_is_said_as_one_and_counts_no_attempt(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished.folder, **{"compute.students.runtime": 1})
    shutil.rmtree(folder / "results/shared/runs")
    (folder / LATE).touch()
    workflow = start(folder, "--until", "students", "--retries", "1")
    workflow.wait_for(lambda: workflow.said.count("Trying to restart") == 2, "third attempt")
    assert "compute.students.runtime" in workflow.said and "time limit" in workflow.said
    assert "failed without an error message" not in workflow.said


def test_a_training_on_two_nodes_has_the_losses_of_one(finished, cluster, start, tmp_path):
    students = {"gpu": 4, "gpu_model": "fake", "nodes": 2, "threads": 2, "mem_mb": 3000, "runtime": 9}
    compute = COMPUTE | {"students": students}
    folder = project_with(tmp_path, finished.folder, compute=compute)
    shutil.rmtree(folder / "results/shared/runs")
    target = "results/cluster/students/none/seed0/steps.parquet"
    status, said = start(folder, "--until", "students").end()
    assert status == 0, said[-5000:]
    (job,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert job["NumNodes"] == "2" and job["NodeList"] == "node[1-2]" and job["TresPerNode"] == "gres:gpu:fake:2"
    assert (job["NumTasks"], job["CPUs/Task"]) == ("2", "2")
    ours, theirs = (pd.read_parquet(path / target) for path in (folder, finished.folder))
    np.testing.assert_allclose(ours["value"], theirs["value"], rtol=2e-4)


def test_failures_are_said_with_what_to_change_and_tried_again_only_where_that_may_help(
    finished, cluster, start, tmp_path
):
    """In one run a job that is refused, one that can never start, and one that fails without a sentence."""
    model = {"name": "vit_tiny_patch16_224", "args": {"patch_size": 7, "embed_dim": 12, "depth": 2, "num_heads": 2}}
    recipe = {"train_images": 64, "epochs": 1, "batch_size": 64, "optimizer": {"name": "adamw", "learning_rate": 1e-3}}
    other = {"source": "pretrain", "model": model, "recipe": recipe | {"schedule": {"name": "cosine"}}}
    folder = project_with(tmp_path, finished.folder, **{"networks.other": other, "compute.networks.mem_mb": 2100})
    shutil.rmtree(folder / "results/shared/runs")
    (folder / BROKEN).touch()
    partitions = ["cohorts:slurm_partition=nowhere", "measure:slurm_partition=short"]
    status, said = start(folder, "--set-resources", *partitions, "--retries", "1").end()
    assert status != 0
    last = said.partition("What failed:")[2]
    assert (
        "Make the network other ready: failed without an error message; its log ends with RuntimeError: no room" in last
    )
    assert "logs/shared/networks/" in last
    assert [job["MinMemoryNode"] for job in controller(cluster, NETWORKS, folder)] == ["2100M", "2100M"]
    assert "compute.measure.runtime" in last and "PartitionTimeLimit" in last and "slurm/profile.yaml" in last
    assert [job["JobState"] for job in controller(cluster, "rule_measure.*", folder)] == ["CANCELLED"]
    assert "the cluster refuses the job" in last and "invalid partition" in last and "compute.students" in last
    assert said.count("failed without an error message") == 3, "twice in its own line, and at the end"
    assert said.count("Trying to restart") == 1, "neither what is refused nor what can never start"


def test_a_partition_that_is_closed_to_the_account_refuses_in_one_sentence(cluster, start, tmp_path):
    folder = project_with(tmp_path)
    status, said = start(folder, "--until", "data", "--set-resources", "data:slurm_partition=closed").end()
    last = said.partition("What failed:")[2]
    assert status != 0 and "is not allowed with its account" in last and "closed allows others" in last
    assert "slurm_account or slurm_partition in slurm/profile.yaml" in last
    assert [job["JobState"] for job in controller(cluster, "rule_data.*", folder)] == ["CANCELLED"]


def test_what_makes_room_goes_on_and_what_somebody_cancels_does_not(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished.folder, **ENDLESS, **{"compute.students.runtime": 60})
    workflow = start(folder, "--until", "students", "--set-resources", "cohorts:slurm_partition=loose")
    workflow.wait_for(lambda: "epoch 1:" in logs(folder), "training")
    command = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "sleep 1"]
    subprocess.run(command, env=cluster, check=True, cwd=tmp_path, capture_output=True)
    workflow.wait_for(lambda: "resume: going on from" in logs(folder), "second job")
    first, second = controller(cluster, "rule_cohorts.*", folder)
    assert first["JobState"] == "PREEMPTED" and "was preempted by another job" in workflow.said
    subprocess.run(["scancel", second["JobId"]], env=cluster, check=True)
    status, said = workflow.end()
    last = said.partition("What failed:")[2]
    assert status != 0 and "was cancelled with scancel" in last and "runtime" not in last
    assert len(controller(cluster, "rule_cohorts.*", folder)) == 2 and said.count("Trying to restart") == 1


def test_what_is_preempted_or_left_by_a_killed_run_goes_on_and_is_not_made_twice(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished.folder, **ENDLESS, **{"compute.students.runtime": 60})
    killed = start(folder, "--until", "students")
    killed.wait_for(lambda: "epoch 1:" in logs(folder), "training")
    command = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "sleep 1"]
    subprocess.run(command, env=cluster, check=True, cwd=tmp_path, capture_output=True)
    killed.wait_for(lambda: "resume: going on from" in logs(folder), "second start")
    killed.process.kill()
    killed.process.wait()
    (old,) = controller(cluster, "rule_cohorts.*", folder)
    assert old["JobState"] == "RUNNING" and old["Restarts"] == "1"
    assert snakemake(folder, "--unlock", config="studies/cluster.yaml").returncode == 0
    workflow = start(folder, "--until", "students", pause=LIMIT)
    workflow.wait_for(lambda: "waiting for process" in logs(folder), "second job")
    assert f"{old['JobId']} (cohorts none+smooth-seed0-" in workflow.said and f"scancel {old['JobId']}" in workflow.said
    assert f"(SLURM job {old['JobId']}), which makes it" in logs(folder)
    subprocess.run(["scancel", old["JobId"]], env=cluster, check=True)
    workflow.wait_for(lambda: logs(folder).count("resume: going on from") == 4, "training by the second job")
    begin = time.monotonic()
    workflow.process.send_signal(signal.SIGINT)
    status, _ = workflow.end()
    assert status != 0 and time.monotonic() - begin < LIMIT / 4, "it does not wait for its next look at the jobs"
    deadline = time.monotonic() + LIMIT
    while any(job["JobState"] in ALIVE for job in controller(cluster, ".*", folder)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert [job["JobState"] for job in controller(cluster, "rule_cohorts.*", folder)] == ["CANCELLED"] * 2
