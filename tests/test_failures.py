"""What a failed job means: whether another attempt helps, with how much memory, and the last word of a run."""

import inspect
import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from distillation_dynamics.jobs import slurm
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
    assert failure.kind is kind and words in failure.said


def job(rule="cohorts", wildcards=("a",), number=3, attempt=1):
    """As Snakemake hands one over."""
    dag = SimpleNamespace(jobid=lambda job: number)
    return SimpleNamespace(
        dag=dag, rule=SimpleNamespace(name=rule), wildcards=list(wildcards), attempt=attempt, message="Train x"
    )


@pytest.fixture
def failures():
    """What a run knows of its failed jobs."""
    return Failures(lambda rule: PARTS)


def fail(failures, tmp_path, log, said=FAILED, attempt=1, rule="cohorts", retries=2, **aux):
    """Have a job fail as Snakemake tells of it; whether it is tried again."""
    record = logging.makeLogRecord(
        {"event": LogEvent.JOB_ERROR, "jobid": 3, "rule_name": rule, "rule_msg": said, "aux": aux,
         "log": [written(tmp_path, "log", log)]}
    )  # fmt: skip
    failures.handle(record)
    return failures.attempts(job(rule, attempt=attempt), retries) > attempt - 1


def test_a_sentence_is_not_tried_again_and_is_the_last_word(failures, tmp_path, capsys):
    assert not fail(failures, tmp_path, "error: data.train: the folder x does not exist\n")
    failures.say()
    said = capsys.readouterr().err
    assert "What failed:\nTrain x: data.train: the folder x does not exist\n    log: " in said


def test_what_says_nothing_is_tried_as_often_as_allowed_and_then_said(failures, tmp_path, capsys):
    assert [fail(failures, tmp_path, "Traceback\n", attempt=n) for n in (1, 2, 3)] == [True, True, False]
    failures.say()
    assert "Train x: failed without a sentence" in capsys.readouterr().err


def test_a_run_without_failures_has_no_last_word(failures, tmp_path, capsys):
    assert fail(failures, tmp_path, "Traceback\n"), "tried again, and then it went well"
    failures.say()
    assert capsys.readouterr().err == ""


def test_a_training_that_got_further_goes_on_beyond_the_attempts_allowed(failures, tmp_path):
    stopped = "not finished: stopped by SIGTERM before update {}; run again\n"
    assert all(fail(failures, tmp_path, stopped.format(10 * n), attempt=n) for n in range(1, 6))
    tries = [fail(failures, tmp_path, stopped.format(50), attempt=n) for n in (6, 7, 8)]
    assert tries == [True, True, False], "where it gets no further the attempts count"


def test_no_training_goes_on_where_no_other_attempt_is_asked_for(failures, tmp_path):
    stopped = "not finished: stopped by SIGTERM before update 5; run again\n"
    assert not fail(failures, tmp_path, stopped, retries=0)


def test_memory_grows_only_for_the_job_that_ran_out_of_it(failures, tmp_path):
    assert failures.times_of_memory("cohorts", ["a"]) == 1
    assert fail(failures, tmp_path, "Traceback\n")
    assert failures.times_of_memory("cohorts", ["a"]) == 1
    assert fail(failures, tmp_path, "oom-kill\n", attempt=2)
    assert failures.times_of_memory("cohorts", ["a"]) == 2
    assert failures.times_of_memory("cohorts", ["b"]) == failures.times_of_memory("measure", ["a"]) == 1


def test_what_would_begin_at_the_beginning_is_not_sent_into_the_same_time_limit_again(failures, tmp_path):
    assert not fail(failures, tmp_path, "", FAILED.replace("FAILED", "TIMEOUT"), rule="gather")
    assert fail(failures, tmp_path, "", FAILED.replace("FAILED", "TIMEOUT"), rule="measure"), "what is measured stays"


def test_a_refusal_is_final_but_for_a_cluster_that_takes_no_more_jobs_now(failures, tmp_path):
    assert not fail(failures, tmp_path, "", REFUSED.format("Invalid qos specification"))
    assert not failures.full
    assert all(fail(failures, tmp_path, "", REFUSED.format("AssocMaxSubmitJobLimit"), attempt=n) for n in range(1, 9))
    assert failures.full, "the next one waits a while"


def test_a_job_that_could_never_start_is_not_sent_again(failures, tmp_path, capsys):
    failures.hopeless["8"] = "asks for more minutes"
    assert not fail(failures, tmp_path, "", FAILED.replace("FAILED", "CANCELLED"), external_jobid="8")
    failures.say()
    assert "Train x: asks for more minutes" in capsys.readouterr().err


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


def attendant(failures=None, **options):
    """One that names jobs after their rule."""
    return slurm.Attendant(
        failures or Failures(lambda rule: PARTS), lambda job: job.rule.name, lambda rule: PARTS, {"cohorts"}, **options
    )


def sent(attendant, rule="cohorts", attempt=1, retries=2, extra="", runtime=40):
    """The call of sbatch that the executor would make for a job."""

    def build(job, params, settings, failed_nodes):
        return f"sbatch --job-name {params['run_uuid']} --exclude={','.join(failed_nodes or ())} {job.resources.extra}"

    told = SimpleNamespace(
        rule=SimpleNamespace(name=rule, restart_times=retries), attempt=attempt,
        resources=SimpleNamespace(runtime=runtime, extra=extra),
    )  # fmt: skip
    return attendant.command(build)(told, {"run_uuid": "run"}, failed_nodes={"node1"})


def test_jobs_are_called_by_what_they_do_and_asked_for_by_all_their_names():
    standing = attendant()
    assert "--job-name cohorts.run " in sent(standing)
    assert "--job-name data.run " in sent(standing, "data")
    assert standing.query(lambda names: f"squeue --name {names}")("run") == "squeue --name cohorts.run,data.run"
    assert attendant().query(lambda names: names)("run") == "run", "before the first job"


def test_the_report_of_efficiency_asks_for_jobs_by_all_their_names():
    from snakemake_executor_plugin_slurm import efficiency_report

    standing = attendant()
    sent(standing), sent(standing, "data")
    assert standing.used(lambda names, logger: names)("run", None) == "cohorts.run,data.run"
    assert list(inspect.signature(efficiency_report.get_sacct_data).parameters) == ["run_uuid", "logger"]


def test_a_training_gets_its_signal_whatever_else_is_asked_for_and_others_get_none():
    assert sent(attendant(), extra="--nice=5").endswith("--nice=5 --signal=TERM@300")
    assert sent(attendant(), runtime=4).endswith("--signal=TERM@60")
    assert sent(attendant(), extra="--signal=TERM@99").count("--signal") == 1
    assert "--signal" not in sent(attendant(), "data")


def test_a_node_that_failed_is_left_out_but_on_the_last_attempt():
    assert "--exclude=node1" in sent(attendant(), attempt=2)
    assert "--exclude= " in sent(attendant(), attempt=3)


def test_a_full_cluster_is_not_asked_again_at_once(monkeypatch):
    slept, failures = [], Failures(lambda rule: PARTS)
    monkeypatch.setattr(slurm.time, "sleep", slept.append)
    failures.full = True
    standing = attendant(failures)
    sent(standing), sent(standing)
    assert slept == [slurm.SECONDS_WHEN_FULL] and not failures.full


def test_a_job_of_several_stages_names_the_key_of_each():
    parts = ("compute.data", "compute.networks")
    said, _ = slurm.stuck("PartitionTimeLimit", parts)
    assert "lower compute.data.runtime or compute.networks.runtime" in said
    said, _ = slurm.stuck("BadConstraints", parts)
    assert "change compute.data or compute.networks in the study" in said
    assert read(FAILED.replace("FAILED", "OUT_OF_MEMORY"), [], parts).said == (
        "ran out of memory; raise compute.data.mem_mb or compute.networks.mem_mb"
    )
