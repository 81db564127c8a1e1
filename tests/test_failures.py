"""What a failed job means: whether another attempt helps, with how much memory, and the last word of a run."""

import inspect
import logging
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401 (before its parts, which import each other)
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.jobs import Job as SnakemakeJob
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_logger_plugins.common import LogEvent

from distillation_dynamics.jobs import causes, failures
from distillation_dynamics.jobs.failures import Failures

PARTS = ("compute.students",)
FAILED = "SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable."
REFUSED = "SLURM sbatch failed. The error message was 'sbatch: error: {}'.\n    sbatch call:\n        sbatch --parsable"
# What Snakemake says when a command on this machine was killed.
KILLED = (
    "CalledProcessError in file x, line 3:\nCommand 'set -euo pipefail; exec python' died with <Signals.SIGKILL: 9>."
)


def written(folder, name, text):
    """The path of a log file with this text."""
    path = folder / name
    path.write_text(text)
    return str(path)


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

    def fail(job, log, message=FAILED, before=None, **aux):
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
        if before:
            run.failures.handle(logging.makeLogRecord({"msg": before, "levelno": logging.ERROR}))
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
    assert "Train x: failed without an error message" in run.failures.last_words()


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


def test_a_cancel_by_somebody_is_final_and_a_preemption_counts_no_attempt(run, fail):
    stopped = "not finished: stopped by SIGTERM before update 5; run again\n"
    assert not fail(Job(), stopped, FAILED.replace("FAILED", "CANCELLED"))
    assert "Train x: was cancelled with scancel" in run.failures.last_words()
    assert "runtime" not in run.failures.last_words()
    job = Job()
    assert all(fail(job, stopped, FAILED.replace("FAILED", causes.PREEMPTED)) for _ in range(9))


def test_a_stop_before_the_first_update_counts_no_attempt_but_where_it_comes_again(fail):
    job = Job()
    tries = [fail(job, "not finished: stopped by SIGTERM; run again\n") for _ in range(4)]
    assert tries == [True, True, True, False], "the first is for nothing"


def test_the_log_of_a_job_that_was_stopped_before_it_could_speak_says_so(fail, tmp_path):
    fail(Job(), "", "SLURM status is: 'FAILED'. Command 'x' died with <Signals.SIGTERM: 15>.")
    assert "was stopped (SIGTERM)" in (tmp_path / "log").read_text()
    fail(Job(), "not finished: stopped by SIGTERM; run again\n")
    assert (tmp_path / "log").read_text() == "not finished: stopped by SIGTERM; run again\n"


def test_how_a_command_on_this_machine_died_is_taken_from_what_snakemake_said_before(run, fail, tmp_path):
    job = Job(retries=0)
    assert not fail(job, "", None, before=KILLED)
    assert f"log: {tmp_path / 'log'}" in run.failures.last_words()
    assert "was killed (SIGKILL)" in (tmp_path / "log").read_text(), "the log of a killed job is not empty"
    assert "was killed (SIGKILL)" in run.failures.last_words() and run.failures.times_of_memory("cohorts", ["a"]) == 2
    assert not fail(Job(retries=0), "", None)
    assert run.failures.ended == {}, "of another job nothing was said"


def test_a_log_is_put_aside_when_its_job_begins_again_and_not_where_nothing_begins(run, tmp_path):
    log = tmp_path / "log.log"

    def begin(**how):
        run.failures.workflow = SimpleNamespace(**{"dryrun": False, "touch": False} | how)
        facts = {"event": LogEvent.JOB_INFO, "levelno": logging.INFO, "log": [str(log), str(tmp_path / "none.log")]}
        run.failures.handle(logging.makeLogRecord(facts))

    for said in ("first", "second"):
        log.write_text(said)
        begin(dryrun=True), begin(touch=True)
        assert log.read_text() == said
        begin()
    log.touch()
    begin()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "log.1.log": "first", "log.2.log": "second", "log.log": "",
    }  # fmt: skip


def test_snakemake_removes_the_logs_of_a_job_that_begins():
    """When it does not, `failures.keep` need not put them aside."""
    assert "for f in self.log:\n            await f.remove(" in inspect.getsource(SnakemakeJob.remove_existing_output)


def test_snakemake_says_how_a_command_died_in_the_thread_that_reports_the_job():
    source = inspect.getsource(LocalExecutor._callback)
    assert source.index("print_exception(ex") < source.index(
        "self.report_job_error(job_info)", source.index("print_exc")
    )


def test_a_job_that_could_never_start_is_not_sent_again(run, fail):
    run.failures.hopeless["8"] = "asks for more minutes"
    assert not fail(Job(), "", FAILED.replace("FAILED", "CANCELLED"), external_jobid="8")
    assert "Train x: asks for more minutes" in run.failures.last_words()


def test_snakemake_has_one_number_of_attempts_for_all_failures_of_a_rule():
    """When it has more (snakemake/snakemake#2441), `Failures` need not move the attempt of a job."""
    source = inspect.getsource(JobScheduler._handle_error)
    assert "if job.restart_times > job.attempt - 1:" in source and "job.attempt += 1" in source
