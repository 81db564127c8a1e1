"""A run on SLURM: jobs of an earlier run, jobs that do not start, and what the executor is given for its own."""

import asyncio
import inspect
import logging
import re
import sys
import threading
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401 (before its parts, which import each other)
import snakemake_executor_plugin_slurm as plugin
from snakemake_executor_plugin_slurm import Executor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from distillation_dynamics.jobs import causes, slurm
from distillation_dynamics.jobs.failures import Failures

PARTS = ("compute.students",)


@pytest.fixture
def queue(monkeypatch):
    """What squeue says of the jobs of a run, and of all that run; the calls of all other commands are kept."""
    queue = SimpleNamespace(lines=[], running=[], calls=[])

    def run(command, **options):
        if command[0] != "squeue":
            queue.calls.append(command)
        mine = "--user" in command
        return SimpleNamespace(stdout="\n".join(queue.lines if mine else queue.running))

    monkeypatch.setattr(slurm.subprocess, "run", run)
    return queue


def line(number, state, reason, comment, folder, partition="main"):
    """The line of squeue on a job."""
    return f"{number}|{state}|{reason}|a|normal|{partition}|{comment}|{folder}"


def test_jobs_of_an_earlier_run_in_the_folder_are_listed_with_whom_they_are_about(queue, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    queue.lines = [
        line(7, "RUNNING", "None", "rule_cohorts_wildcards_none+hard-seed0-0123456789ab", tmp_path),
        line(8, "PENDING", "Priority", "rule_teacher_outputs", tmp_path),
        line(9, "RUNNING", "None", "rule_data", tmp_path),
        line(10, "RUNNING", "None", "(null)", tmp_path),
        line(11, "RUNNING", "None", "rule_data", f"{tmp_path}/other|one"),
    ]
    slurm.say_queued(str(tmp_path))
    said = capsys.readouterr().err
    assert "2 jobs of an earlier run" in said and "scancel 7 8," in said
    assert "7 (cohorts none+hard-seed0-0123456789ab): running" in said and "8 (teacher_outputs): pending" in said
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("squeue")))
    slurm.say_queued(str(tmp_path))
    assert capsys.readouterr().err == "", "no cluster here"


@pytest.fixture
def stuck():
    """What looks for jobs that do not start, with a clock that a test sets."""
    clock = SimpleNamespace(now=0.0)
    found = slurm.Stuck(Failures(None, lambda rule: PARTS), lambda rule: (f"compute.{rule}",), lambda: clock.now)
    found.hands = clock
    return found


def test_a_job_that_can_never_start_is_named_once_and_cancelled(queue, stuck, tmp_path, capsys):
    closed = "Job's account not permitted to use this partition (main allows b not a)"
    queue.lines = [
        line(7, "PENDING", "PartitionTimeLimit", "rule_cohorts_wildcards_a", tmp_path),
        line(8, "PENDING", "JobHeldUser", "rule_cohorts_wildcards_b", tmp_path),
        line(9, "PENDING", "Priority", "rule_cohorts_wildcards_c", tmp_path),
        line(10, "RUNNING", "PartitionTimeLimit", "rule_cohorts_wildcards_d", tmp_path),
        line(11, "PENDING", closed, "rule_data", tmp_path),
        line(12, "PENDING", "PartitionTimeLimit", "rule_data", tmp_path, "main,long"),
        line(13, "PENDING", "SomethingNew", "rule_data", tmp_path),
    ]
    for _ in range(2):
        stuck.look(str(tmp_path))
    assert queue.calls == [["scancel", "7"], ["scancel", "11"]] and list(stuck.failures.hopeless) == ["7", "11"]
    said = dict(re.match(r"SLURM job (\d+) (.*)", text).groups() for text in capsys.readouterr().err.splitlines())
    assert said.keys() == {"7", "8", "11", "12", "13"}
    assert "(cohorts a) asks for more minutes" in said["7"] and "compute.cohorts.runtime" in said["7"]
    assert "(cohorts b) is held" in said["8"] and "SomethingNew" in said["13"]
    assert "slurm_account or slurm_partition in slurm/profile.yaml" in said["11"] and closed in said["11"]


def test_a_job_that_waits_for_others_of_its_user_is_left_alone_while_one_runs(
    queue, stuck, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(slurm.getpass, "getuser", lambda: "me")
    queue.lines = [line(7, "PENDING", "QOSMaxCpuPerUserLimit", "rule_cohorts_wildcards_a", tmp_path)]
    queue.running = ["me|x|y|z", "you|a|normal|main"]
    stuck.look(str(tmp_path))
    stuck.hands.now = 10_000
    stuck.look(str(tmp_path))
    queue.running = ["you|a|normal|main"]
    stuck.look(str(tmp_path))
    stuck.hands.now += slurm.SECONDS_ALONE
    stuck.look(str(tmp_path))
    assert capsys.readouterr().err == "", "the one before it may just have ended"
    stuck.hands.now += 1
    stuck.look(str(tmp_path))
    assert "none runs: lower compute.cohorts" in capsys.readouterr().err and queue.calls == [], "named, and left"


def test_a_limit_of_many_is_that_of_account_qos_or_partition(queue):
    jobs = [slurm.Queued("7", "PENDING", "AssocGrpCpuLimit", "a", "normal", "main", "data", "")]
    queue.running = ["you|b|high|other"]
    assert slurm.competing(jobs) == set()
    for running in ("you|a|high|other", "you|b|normal|other", "you|b|high|main"):
        queue.running = [running]
        assert slurm.competing(jobs) == set(jobs)


def test_states_are_as_the_executor_knows_them(queue, tmp_path):
    queue.lines = [line(3, "PENDING", "BeginTime", "rule_data", tmp_path)]
    states = {"1": "CANCELLED by 1000", "2": "PREEMPTED", "3": "PREEMPTED", "4": "RUNNING", "5": "TIMEOUT"}
    plain = {"1": "CANCELLED", "2": causes.PREEMPTED, "3": "PREEMPTED", "4": "RUNNING", "5": "TIMEOUT"}
    assert slurm.plain(states, str(tmp_path)) == plain


@pytest.fixture
def attended(monkeypatch):
    """An executor that looks after its jobs as `slurm.attend` has it, until the test ends."""
    names = {plugin: ["query_job_status"], Executor: ["sleep", "get_account_arg"]}
    for owner, own in names.items():
        for name in own:
            monkeypatch.setattr(owner, name, getattr(owner, name))
    slurm.attend(Failures(None, lambda rule: PARTS), lambda rule: PARTS)
    return object.__new__(Executor)


def test_the_executor_ends_its_pause_with_the_run_and_looks_for_stuck_jobs_in_it(attended, monkeypatch):
    looks, executor = [], attended
    monkeypatch.setattr(slurm.Stuck, "look", lambda *_: looks.append(1))
    executor.lock, executor.active_jobs, executor.wait = threading.Lock(), [], True
    settings = SimpleNamespace(init_seconds_before_status_checks=10_000)
    own = SimpleNamespace(common_settings=SimpleNamespace(init_seconds_before_status_checks=0))
    executor.workflow = SimpleNamespace(executor_plugin=own, executor_settings=settings)

    async def check(jobs):
        executor.wait = False
        for job in jobs:
            yield job

    executor.check_active_jobs = check
    asyncio.run(executor._wait_for_jobs())
    assert looks == [1]


def test_the_executor_is_given_plain_states_and_no_guessed_account(attended, queue, monkeypatch):
    command = f"{sys.executable} -c 'print(\"7|CANCELLED by 0\")'"
    states, seconds = asyncio.run(plugin.query_job_status(command, logging.getLogger()))
    assert states == {"7": "CANCELLED"} and seconds > 0
    assert list(attended.get_account_arg(SimpleNamespace(resources={}))) == [""]
    monkeypatch.setattr(plugin, "validate_account", lambda account, logger: account)
    attended.logger, job = None, SimpleNamespace(resources=Resources(slurm_account="mine"))
    assert list(attended.get_account_arg(job)) == [" -A mine"]


def test_the_executor_by_itself_waits_for_the_end_of_its_pause():
    """When it does not (snakemake/snakemake-interface-executor-plugins#97), `slurm.attend` need not replace it."""
    assert "await asyncio.sleep(duration)" in inspect.getsource(RemoteExecutor.sleep)


def test_the_executor_by_itself_knows_no_states_of_several_words_and_pipes_sacct_without_a_shell():
    """When it does otherwise, `slurm.attend` need not replace its questions."""
    check = inspect.getsource(Executor.check_active_jobs)
    assert "elif status in fail_stati" in check and "fail_stati" not in inspect.getsource(plugin.query_job_status)
    assert '"CANCELLED",' in check and '"PREEMPTED",' not in check and f'"{causes.PREEMPTED}",' in check
    assert "| tail -1'" in inspect.getsource(plugin.get_account)


class Resources(dict):
    """What a job asks for, as the executor reads it."""

    __getattr__ = dict.get


@pytest.mark.parametrize(("minutes", "signal"), [(40, "--signal=TERM@300"), (4, "--signal=TERM@60")])
def test_the_executor_passes_the_signal_on_and_leaves_rule_and_members_in_the_comment(minutes, signal):
    job = SimpleNamespace(threads=1, resources=Resources(slurm_extra=slurm.signal_before(minutes), runtime=minutes))
    validate_slurm_extra(job)
    comment = "rule_cohorts_wildcards_none+hard-seed0-0123456789ab"
    params = {"run_uuid": "distillation_1", "slurm_logfile": "log", "comment_str": comment, "workdir": "."}
    call = get_submit_command(job, params | {"account": "", "partition": ""})
    assert f" {signal} " in call and f"--comment {comment} " in call
    assert slurm.COMMENT.fullmatch(comment).groups() == ("cohorts", "none+hard-seed0-0123456789ab")


def asked(job):
    """The options of sbatch that the executor makes of the resources of a job."""
    params = {"run_uuid": "d", "slurm_logfile": "log", "comment_str": "rule_x", "workdir": ".", "account": ""}
    return (get_submit_command(job, params | {"partition": ""}) + plugin.set_gres_string(job)).split()


@pytest.mark.parametrize(("nodes", "gpus"), [(2, 2), (2, 8), (4, 16)])
def test_a_training_on_several_nodes_asks_for_a_task_a_node_and_gpus_by_node(nodes, gpus):
    resources = Resources(slurm.over_nodes(nodes, gpus, "h200"), mem_mb=2000, runtime=9)
    options = asked(SimpleNamespace(threads=2, resources=resources))
    assert {f"--nodes={nodes}", f"--ntasks={nodes}", f"--gres=gpu:h200:{gpus // nodes}", "--cpus-per-task=2"} <= set(
        options
    )
    assert not [option for option in options if "per-gpu" in option or option.startswith("--gpus")]
    assert f"--gres=gpu:{gpus // nodes}" in asked(
        SimpleNamespace(threads=2, resources=Resources(slurm.over_nodes(nodes, gpus, None)))
    )
