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
    "networks": {"gpu": 1, "mem_mb": 2100, "runtime": 7},
    "students": {"gpu": 1, "gpu_model": "fake", "mem_mb": 2200, "runtime": 9},
    "measure": {"mem_mb": 2300, "runtime": 11},
}
# Long enough to be found at work; no test waits for its end.
ENDLESS = {"student.recipe.epochs": 100000, "student.checkpoint_every": 100000}
# Nothing here takes so long, on a machine with other work either: only a defect is ended by it.
LIMIT = 600
# Jobs that make networks ready, as the controller knows them.
NETWORKS = r"rule_network_wildcards_.*"
SLOW_AT_FIRST = """

class Member(Member):
    def update(self, *arguments):
        if not any(self.states.folder.glob("*.state")):
            time.sleep(1)
        super().update(*arguments)
"""
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
    if finished:
        shutil.copytree(finished / "results/shared", folder / "results/shared")
    config = yaml.safe_load((folder / "studies/smoke.yaml").read_text())
    config["name"], config["compute"] = "cluster", COMPUTE
    config["variants"] = {name: config["variants"][name] for name in ("none", "hard")}
    config["measure"]["metrics"] = ["entropy", "magnitude", "spectrum"]
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
    blocks = [dict(re.findall(r"(\w+)=(\S+)", block)) for block in said.split("\n\n") if "JobId" in block]
    found = [b for b in blocks if re.fullmatch(pattern, b.get("Comment", "")) and b["WorkDir"] == str(folder)]
    return sorted(found, key=lambda block: int(block["JobId"]))


def logs(folder, stage="cohorts"):
    """What the jobs of a stage have written to their logs."""
    return "".join(path.read_text() for path in (folder / f"logs/cluster/{stage}").glob("*.log"))


@pytest.fixture(scope="module")
def finished(cluster, tmp_path_factory):
    """The study, run through the cluster."""
    workflow = Workflow(project_with(tmp_path_factory.mktemp("on_slurm")), cluster)
    try:
        status, said = workflow.end()
    finally:
        workflow.process.kill()
    assert status == 0, said[-5000:]
    return workflow.folder


def test_the_study_runs_through_and_then_nothing_is_to_be_done(finished):
    assert len(list((finished / "results/cluster/figures").glob("*.png"))) >= 11
    assert jobs(snakemake(finished, "-n", config="studies/cluster.yaml")) == {}


def test_gpus_go_to_the_rules_that_ask_and_memory_and_time_are_as_declared(finished, cluster):
    (teacher,) = controller(cluster, NETWORKS, finished)
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
        assert job["MinMemoryNode"] == "2300M" and job["TimeLimit"] == "00:11:00"
    comparing = controller(cluster, r"rule_compare_wildcards_\w+", finished)
    assert {(job["MinMemoryNode"], job["TimeLimit"]) for job in comparing} == {("3000M", "01:00:00")}
    for job in controller(cluster, r"rule_data.*|rule_teacher_outputs|rule_compare.*|rule_gather.*", finished):
        assert "TresPerJob" not in job


def test_all_tables_and_figures_are_one_job_of_one_time(finished, cluster):
    (job,) = controller(cluster, r"rule_gather.*", finished)
    assert (job["NumCPUs"], job["MinMemoryNode"], job["TimeLimit"]) == ("1", "1000M", "00:20:00")
    assert len(controller(cluster, ".*", finished)) == 9, (
        "data, network, its outputs, one cohort, two measurings, two comparings, tables"
    )


def test_jobs_are_called_by_stage_variants_and_seed_and_are_requeued(finished, cluster):
    names = [job["JobName"].rpartition(".")[0] for job in controller(cluster, ".*", finished)]
    assert sorted(names) == [
        *("cohorts-none+hard-seed0", "compare-cait-cait+map", "compare-none+hard-seed0", "data", "measure-cait"),
        *("measure-none+hard-seed0", "networks", "tables", "teacher_outputs"),
    ]
    assert {job["Requeue"] for job in controller(cluster, ".*", finished)} == {"1"}, "the cluster's default is 0"


def test_what_studies_share_alone_is_an_unfinished_study_and_is_finished_without_training(finished, start, tmp_path):
    folder = project_with(tmp_path, finished)
    status, said = start(folder).end()
    assert status == 0, said[-5000:]
    assert "cohorts" not in said and (folder / "results/cluster/statistics/report.md").is_file()
    for name in ("result.json", "steps.parquet"):
        path = f"results/cluster/students/none/seed0/{name}"
        assert (folder / path).read_bytes() == (finished / path).read_bytes()


def test_a_training_over_its_time_limit_goes_on_and_finishes(finished, cluster, start, tmp_path):
    # One minute, and the warning may come at once: the controller sends it up to a minute early.
    changes = {"student.recipe.epochs": 10, "student.checkpoint_every": 10}
    changes["compute"] = {"students": {"gpu": 1, "mem_mb": 2000, "runtime": 1}}
    folder = project_with(tmp_path, finished, **changes)
    # On no machine fast enough to be done before: until there is a state 100 updates take a second each.
    code = folder / "workflow/distillation_dynamics/stages/cohorts.py"
    code.write_text(code.read_text() + SLOW_AT_FIRST)
    status, said = start(folder, "--until", "students", "--retries", "1").end()
    assert status == 0, said[-5000:]
    attempts = controller(cluster, r"rule_cohorts_wildcards_\w+", tmp_path)
    assert len(attempts) > 1 and attempts[-1]["JobState"] == "COMPLETED"
    assert {(job["TimeLimit"], job["MinMemoryNode"]) for job in attempts} == {("00:01:00", "2000M")}
    assert "stopped by SIGTERM before update" in said and "Trying to restart" in said
    assert logs(folder).count("resume: going on from") == 2, "both members go on"


def test_a_training_on_two_nodes_has_the_losses_of_one(finished, cluster, start, tmp_path):
    compute = {"students": {"gpu": 2, "nodes": 2, "mem_mb": 2000}}
    folder = project_with(tmp_path, finished, compute=compute)
    shutil.rmtree(folder / "results/shared/runs")
    target = "results/cluster/students/none/seed0/steps.parquet"
    status, said = start(folder, "--until", "students").end()
    assert status == 0, said[-5000:]
    (job,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert job["NumNodes"] == "2" and job["NodeList"] == "node[1-2]" and job["TresPerNode"] == "gres:gpu:1"
    ours, theirs = (pd.read_parquet(path / target) for path in (folder, finished))
    np.testing.assert_allclose(ours["value"], theirs["value"], rtol=2e-4)


def test_only_a_job_that_ran_out_of_memory_gets_more_and_none_gets_more_time(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished, **{"compute.networks.mem_mb": 900})
    shutil.rmtree(folder / "results/shared/networks")
    code = folder / "workflow/distillation_dynamics/stages/networks.py"
    code.write_text(code.read_text() + "\n\nBALLAST = b'x' * 1_200_000_000\nimport time\ntime.sleep(3)\n")
    status, said = start(folder, "--until", "networks").end()
    assert status == 0, said[-5000:]
    attempts = controller(cluster, NETWORKS, tmp_path)
    assert [job["MinMemoryNode"] for job in attempts][:2] == ["900M", "1800M"] and len(attempts) <= 3
    assert {job["TimeLimit"] for job in attempts} == {"00:07:00"}


def test_an_unforeseen_failure_is_reported_with_its_log_and_tried_again_as_it_was(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished)
    code = folder / "workflow/distillation_dynamics/stages/networks.py"
    code.write_text(code.read_text() + "\n\nraise RuntimeError('no room')\n")
    status, said = start(folder, "--until", "networks", "--retries", "1").end()
    assert status != 0
    assert "RuntimeError: no room" in said and "logs/shared/networks/" in said
    assert said.rstrip().splitlines()[-2].startswith("Make the network cait ready: failed without a sentence")
    assert [job["MinMemoryNode"] for job in controller(cluster, NETWORKS, tmp_path)] == ["2100M", "2100M"]


def test_students_that_diverge_are_the_last_word_and_not_tried_again(finished, cluster, start, tmp_path):
    optimizer = {"name": "adamw", "learning_rate": 1e30}
    folder = project_with(tmp_path, finished, **{"student.recipe.optimizer": optimizer})
    status, said = start(folder, "--until", "students").end()
    assert status != 0 and "Trying to restart" not in said
    last = said.partition("What failed:")[2]
    assert last.count("training: cross_entropy became nan") == 2, "each of the two, by the rule that links its run"
    (job,) = controller(cluster, r"rule_cohorts_wildcards_\w+", tmp_path)
    assert job["JobState"] == "COMPLETED"


def test_a_job_that_can_never_start_is_named_with_the_key_to_change(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished)
    shutil.rmtree(folder / "results/shared/runs")
    status, said = start(folder, "--set-resources", "cohorts:slurm_partition=short", "--until", "students").end()
    assert status != 0 and "Trying to restart" not in said
    last = said.partition("What failed:")[2]
    assert "compute.students.runtime" in last and "PartitionTimeLimit" in last and "slurm/profile.yaml" in last
    (job,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert job["JobState"] == "CANCELLED"


def test_a_refused_job_names_the_profile_and_is_sent_once(finished, start, tmp_path):
    folder = project_with(tmp_path, finished)
    shutil.rmtree(folder / "results/shared/runs")
    status, said = start(folder, "--set-resources", "cohorts:slurm_partition=nowhere", "--until", "students").end()
    assert status != 0 and said.count("  FAILED  ") == 1
    last = said.partition("What failed:")[2]
    assert "invalid partition" in last and "slurm/profile.yaml" in last and "compute.students" in last


def test_a_preempted_training_is_queued_again_and_goes_on(finished, cluster, start, tmp_path):
    folder = project_with(tmp_path, finished, **ENDLESS)
    workflow = start(folder, "--until", "students")
    workflow.wait_for(lambda: "epoch 1:" in logs(folder), "training")
    command = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "sleep 1"]
    subprocess.run(command, env=cluster, check=True, cwd=tmp_path, capture_output=True)
    workflow.wait_for(lambda: "resume: going on from" in logs(folder), "second start")
    (job,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert job["Restarts"] == "1"


def test_a_killed_workflow_leaves_jobs_that_the_next_one_waits_for_and_ctrl_c_ends_at_once(
    finished, cluster, start, tmp_path
):
    folder = project_with(tmp_path, finished, **ENDLESS)
    killed = start(folder, "--until", "students")
    killed.wait_for(lambda: "epoch 1:" in logs(folder), "training")
    killed.process.kill()
    killed.process.wait()
    (old,) = controller(cluster, "rule_cohorts.*", tmp_path)
    assert old["JobState"] == "RUNNING"
    assert snakemake(folder, "--unlock", config="studies/cluster.yaml").returncode == 0
    workflow = start(folder, "--until", "students", pause=LIMIT)
    workflow.wait_for(lambda: "waiting for process" in logs(folder), "second job")
    assert (
        f"{old['JobId']} running cohorts-none+hard-seed0" in workflow.said
        and f"scancel {old['JobId']}" in workflow.said
    )
    assert f"(SLURM job {old['JobId']}), which makes it" in logs(folder)
    subprocess.run(["scancel", old["JobId"]], env=cluster, check=True)
    workflow.wait_for(lambda: logs(folder).count("resume: going on from") == 2, "training by the second job")
    begin = time.monotonic()
    workflow.process.send_signal(signal.SIGINT)
    status, _ = workflow.end()
    assert status != 0 and time.monotonic() - begin < LIMIT / 4, "it does not wait for its next look at the jobs"
    deadline = time.monotonic() + LIMIT
    while any(job["JobState"] in ALIVE for job in controller(cluster, ".*", tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert [job["JobState"] for job in controller(cluster, "rule_cohorts.*", tmp_path)] == ["CANCELLED"] * 2
    assert snakemake(folder, "-n", config="studies/cluster.yaml").returncode == 0, "unlocked"
