"""What a failed job means: whether another attempt helps, with how much memory, and the last word of a run."""

import asyncio
import inspect
import logging
import threading
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401 (before its parts, which import each other)
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_executor_plugin_slurm import Executor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_logger_plugins.common import LogEvent

from distillation_dynamics.jobs import failures, slurm
from distillation_dynamics.jobs.failures import Failures, Kind, read

KEYS = "compute.students"
PARTS = (KEYS,)
FAILED = "SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable."
REFUSED = "SLURM sbatch failed. The error message was 'sbatch: error: {}'.\n    sbatch call:\n        sbatch --parsable"


def written(folder, name, text):
    """The path of a log file with this text."""
    path = folder / name
    path.write_text(text)
    return str(path)


ENDED = {
    "a sentence": (FAILED, "step\nerror: a.png: cannot be decoded; replace it\n", Kind.SENTENCE, "a.png: cannot be"),
    "sentences of a batch, in the log of the cluster": (
        *(FAILED, "error: measure a: x\ncompare b: y\n\n[Wed Nov 25] Error in rule", Kind.SENTENCE),
        "measure a: x\ncompare b: y",
    ),
    "a stop": (
        *(FAILED, "epoch 3\nnot finished: stopped by SIGTERM before update 12; run again\n", Kind.STOPPED),
        "before update 12",
    ),
    "memory, without cgroups": (
        *(FAILED, "slurmstepd: error: Job 7 exceeded memory limit (9 > 5), being killed\n", Kind.MEMORY),
        f"{KEYS}.mem_mb",
    ),
    "memory, with cgroups": (
        *(FAILED, "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\n", Kind.MEMORY),
        f"{KEYS}.mem_mb",
    ),
    "memory, by its state": (FAILED.replace("FAILED", "OUT_OF_MEMORY"), "", Kind.MEMORY, f"{KEYS}.mem_mb"),
    "time, by its state": (FAILED.replace("FAILED", "TIMEOUT"), "epoch 3\n", Kind.TIME, f"{KEYS}.runtime"),
    "time, by its log": (
        *(FAILED, "slurmstepd: error: *** JOB 7 CANCELLED DUE TO TIME LIMIT ***\n", Kind.TIME),
        f"{KEYS}.runtime",
    ),
    "a traceback": (
        *(FAILED, "Traceback (most recent call last):\nRuntimeError: no\n", Kind.OTHER),
        "its log ends with RuntimeError: no",
    ),
    "nothing at all": (FAILED, "", Kind.OTHER, "failed without a sentence; its log has the reason"),
    "a refusal": (REFUSED.format("Invalid account or account/partition"), "", Kind.REFUSED, "slurm/profile.yaml"),
    "a full cluster": (REFUSED.format("QOSMaxSubmitJobPerUserLimit"), "", Kind.FULL, "`jobs` in slurm/profile.yaml"),
    "an account that is not there": (
        *("Job submission failed with exception: no account x\nFor further error details", "", Kind.REFUSED),
        "(no account x)",
    ),
}


@pytest.mark.parametrize(("said", "log", "kind", "words"), ENDED.values(), ids=ENDED)
def test_why_an_attempt_failed_is_told_from_the_executor_and_the_log(tmp_path, said, log, kind, words):
    failure = read(said, [written(tmp_path, "log", log), str(tmp_path / "missing.log")], PARTS)
    assert failure.kind is kind and words in failure.sentence


class Job:
    """A job as Snakemake's scheduler and executors know it."""

    def __init__(self, rule="cohorts", wildcards=("a",), retries=2):
        self.rule, self.wildcards, self.message = SimpleNamespace(name=rule), list(wildcards), "Train x"
        self.restart_times, self.attempt = retries, 1


@pytest.fixture
def run():
    """A run of Snakemake, as far as its failed jobs know it: the jobs, and what decides on another attempt."""
    jobs = []
    dag = SimpleNamespace(needrun_jobs=lambda: jobs, jobid=jobs.index, _ready_jobs=set())
    return SimpleNamespace(jobs=jobs, dag=dag, failures=Failures(SimpleNamespace(dag=dag), lambda rule: PARTS))


@pytest.fixture
def fail(run, tmp_path):
    """Has a job fail; Snakemake's own executor and scheduler decide whether it is tried again."""

    def fail(job, log, message=FAILED, **aux):
        if job not in run.jobs:
            run.jobs.append(job)
        scheduler = SimpleNamespace(
            workflow=SimpleNamespace(dag=run.dag), running={job}, failed=set(), _free_resources=lambda job: None,
            get_executor=lambda job: SimpleNamespace(handle_job_error=lambda job: None),
        )  # fmt: skip
        facts = {
            "rule_name": job.rule.name,
            "jobid": run.jobs.index(job),
            "rule_msg": message,
            "log": [written(tmp_path, "log", log)],
            "aux": aux,
        }
        executor = SimpleNamespace(
            print_job_error=lambda *_: run.failures.handle(
                logging.makeLogRecord({"event": LogEvent.JOB_ERROR} | facts)
            ),
            workflow=SimpleNamespace(
                scheduler=SimpleNamespace(
                    error_callback=lambda job: JobScheduler._handle_error(scheduler, job, postprocess_job=False)
                )
            ),
        )
        RealExecutor.report_job_error(executor, SimpleNamespace(job=job))
        return job not in scheduler.failed

    return fail


def test_a_sentence_is_not_tried_again_and_is_the_last_word(run, fail):
    assert not fail(Job(), "error: data.train: the folder x does not exist\n")
    said = run.failures.last_words()
    assert "What failed:\nTrain x: data.train: the folder x does not exist\n    log: " in said


def test_what_says_nothing_is_tried_as_often_as_allowed_and_then_said(run, fail):
    job = Job()
    assert [fail(job, "Traceback\n") for _ in range(3)] == [True, True, False]
    assert "Train x: failed without a sentence" in run.failures.last_words()


def test_a_run_without_failures_has_no_last_word(run, fail):
    assert fail(Job(), "Traceback\n"), "tried again, and then it went well"
    assert run.failures.last_words() == ""


def test_a_training_that_got_further_goes_on_beyond_the_attempts_allowed(fail):
    stopped, job = "not finished: stopped by SIGTERM before update {}; run again\n", Job()
    assert all(fail(job, stopped.format(10 * n)) for n in range(1, 6))
    tries = [fail(job, stopped.format(50)) for _ in range(3)]
    assert tries == [True, True, False], "where it gets no further the attempts count"


def test_no_training_goes_on_where_no_other_attempt_is_asked_for(fail):
    assert not fail(Job(retries=0), "not finished: stopped by SIGTERM before update 5; run again\n")


def test_memory_grows_only_for_the_job_that_ran_out_of_it(run, fail):
    job, times = Job(), run.failures.times_of_memory
    assert times("cohorts", ["a"]) == 1
    assert fail(job, "Traceback\n")
    assert times("cohorts", ["a"]) == 1
    assert fail(job, "oom-kill\n")
    assert times("cohorts", ["a"]) == 2
    assert times("cohorts", ["b"]) == times("measure", ["a"]) == 1


def test_what_would_begin_at_the_beginning_is_not_sent_into_the_same_time_limit_again(fail):
    late = FAILED.replace("FAILED", "TIMEOUT")
    assert not fail(Job("gather"), "", late)
    assert fail(Job("measure"), "", late), "what is measured stays"


def test_a_refusal_is_final_but_for_a_cluster_that_takes_no_more_jobs_now(fail, monkeypatch):
    pauses = []
    monkeypatch.setattr(failures.time, "sleep", pauses.append)
    assert not fail(Job(), "", REFUSED.format("Invalid qos specification")) and not pauses
    job = Job(retries=0)
    assert all(fail(job, "", REFUSED.format("AssocMaxSubmitJobLimit")) for _ in range(8))
    assert pauses == [failures.SECONDS_WHEN_FULL] * 8, "it is not asked again at once"


def test_a_job_that_could_never_start_is_not_sent_again(run, fail):
    run.failures.hopeless["8"] = "asks for more minutes"
    assert not fail(Job(), "", FAILED.replace("FAILED", "CANCELLED"), external_jobid="8")
    assert "Train x: asks for more minutes" in run.failures.last_words()


def test_snakemake_has_one_number_of_attempts_for_all_failures_of_a_rule():
    """When it has more (snakemake/snakemake#2441), `Failures` need not move the attempt of a job."""
    source = inspect.getsource(JobScheduler._handle_error)
    assert "if job.restart_times > job.attempt - 1:" in source and "job.attempt += 1" in source


@pytest.mark.parametrize(
    ("reason", "words", "never"),
    [
        ("PartitionTimeLimit", "compute.students.runtime", True),
        ("QOSMaxWallDurationPerJobLimit", "compute.students.runtime", True),
        ("AssocMaxWallDurationPerJobLimit", "compute.students.runtime", True),
        ("PartitionNodeLimit", "compute.students.nodes", True),
        ("QOSMaxCpuPerJobLimit", "compute.students.threads", True),
        ("MaxMemPerLimit", "compute.students.mem_mb", True),
        ("QOSMaxGRESPerJob", "compute.students.gpu", True),
        ("BadConstraints", "compute.students", True),
        ("InvalidAccount", "slurm_account in slurm/profile.yaml", True),
        ("InvalidQOS", "qos in slurm/profile.yaml", True),
        ("AssocGrpCPUMinutesLimit", "budget", False),
        ("JobHeldUser", "scontrol release", False),
    ],
)
def test_a_reason_that_cannot_pass_is_named_with_the_key_to_change(reason, words, never):
    said, for_ever = slurm.stuck(reason, PARTS)
    assert words in said and reason in said and for_ever is never


@pytest.mark.parametrize(
    "reason",
    ["Priority", "Resources", "BeginTime", "Dependency", "None", "ReqNodeNotAvail", "QOSMaxJobsPerUserLimit",
     "AssocGrpCpuLimit", "AssocMaxJobsLimit", "AssocGrpCPURunMinutesLimit", "Licenses", "Reservation"],
)  # fmt: skip
def test_a_reason_that_passes_is_left_alone(reason):
    assert slurm.stuck(reason, PARTS) is None


@pytest.fixture
def queue(monkeypatch):
    """What squeue says; the calls of all other commands are kept."""
    queue = SimpleNamespace(lines=[], calls=[])

    def run(command, **options):
        if command[0] != "squeue":
            queue.calls.append(command)
        return SimpleNamespace(stdout="\n".join(queue.lines))

    monkeypatch.setattr(slurm.subprocess, "run", run)
    return queue


def test_jobs_of_an_earlier_run_in_the_folder_are_listed_with_whom_they_are_about(queue, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    queue.lines = [
        f"7|RUNNING|None|rule_cohorts_wildcards_none+hard-seed0-0123456789ab|{tmp_path}",
        f"8|PENDING|Priority|rule_teacher_outputs|{tmp_path}",
        f"9|RUNNING|None|rule_data|{tmp_path}",
        f"10|RUNNING|None|(null)|{tmp_path}",
        f"11|RUNNING|None|rule_data|{tmp_path}/other|one",
    ]
    slurm.say_queued(str(tmp_path))
    said = capsys.readouterr().err
    assert "2 jobs of an earlier run" in said and "scancel 7 8," in said
    assert "7 (cohorts none+hard-seed0-0123456789ab): running" in said and "8 (teacher_outputs): pending" in said
    monkeypatch.setattr(slurm.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("squeue")))
    slurm.say_queued(str(tmp_path))
    assert capsys.readouterr().err == "", "no cluster here"


def test_a_job_that_can_never_start_is_named_once_and_cancelled(queue, tmp_path, capsys):
    queue.lines = [
        f"7|PENDING|PartitionTimeLimit|rule_cohorts_wildcards_a|{tmp_path}",
        f"8|PENDING|JobHeldUser|rule_cohorts_wildcards_b|{tmp_path}",
        f"9|PENDING|Priority|rule_cohorts_wildcards_c|{tmp_path}",
        f"10|RUNNING|PartitionTimeLimit|rule_cohorts_wildcards_d|{tmp_path}",
    ]
    found, named = Failures(None, lambda rule: PARTS), set()
    for _ in range(2):
        slurm.end_stuck(str(tmp_path), found, lambda rule: (f"compute.{rule}",), named)
    assert queue.calls == [["scancel", "7"]] and list(found.hopeless) == ["7"]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "SLURM job 7 (cohorts a) asks for more minutes" in said[0]
    assert "compute.cohorts.runtime" in said[0] and "SLURM job 8 (cohorts b) is held" in said[1]


def test_the_executor_ends_its_pause_with_the_run_and_looks_for_stuck_jobs_in_it(monkeypatch):
    looks = []
    monkeypatch.setattr(Executor, "sleep", RemoteExecutor.sleep)
    monkeypatch.setattr(slurm, "end_stuck", lambda *_: looks.append(1))
    slurm.attend(Failures(None, lambda rule: PARTS), lambda rule: PARTS)
    executor = object.__new__(Executor)
    executor.lock, executor.active_jobs, executor.wait = threading.Lock(), [], True
    plugin = SimpleNamespace(common_settings=SimpleNamespace(init_seconds_before_status_checks=0))
    settings = SimpleNamespace(init_seconds_before_status_checks=10_000)
    executor.workflow = SimpleNamespace(executor_plugin=plugin, executor_settings=settings)

    async def check(jobs):
        executor.wait = False
        for job in jobs:
            yield job

    executor.check_active_jobs = check
    asyncio.run(executor._wait_for_jobs())
    assert looks == [1]


def test_the_executor_by_itself_waits_for_the_end_of_its_pause():
    """When it does not (snakemake/snakemake-interface-executor-plugins#97), `slurm.attend` need not replace it."""
    assert "await asyncio.sleep(duration)" in inspect.getsource(RemoteExecutor.sleep)


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


def test_a_job_of_several_stages_names_the_key_of_each():
    parts = ("compute.data", "compute.networks")
    said, _ = slurm.stuck("PartitionTimeLimit", parts)
    assert "lower compute.data.runtime or compute.networks.runtime" in said
    said, _ = slurm.stuck("BadConstraints", parts)
    assert "change compute.data or compute.networks in the study" in said
    assert read(FAILED.replace("FAILED", "OUT_OF_MEMORY"), [], parts).sentence == (
        "ran out of memory; raise compute.data.mem_mb or compute.networks.mem_mb"
    )
