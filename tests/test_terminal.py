"""What a run says: the opening, a line a finished job, progress where there is a terminal and where not, the end."""

import dataclasses
import io
import json
import logging
from types import SimpleNamespace

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

import snakemake_logger_plugin_distillation as plugin
from distillation_dynamics.jobs import causes, record, summary, terminal
from distillation_dynamics.jobs.costs import RECORDS, Cost
from distillation_dynamics.jobs.eta import Job, Workload
from distillation_dynamics.jobs.failures import Failures
from distillation_dynamics.jobs.terminal import Subject, Terminal
from distillation_dynamics.progress import Pace, duration, so_far


class TestPlugin(TestLogHandlerBase):
    """Snakemake's own tests of a logger plugin."""

    __test__ = True

    def get_log_handler_cls(self):
        return plugin.LogHandler

    def get_log_handler_settings(self):
        return None


def task(folder, name="soft/seed0", stage="students"):
    """A task as far as its name and its files go."""
    return SimpleNamespace(stage=stage, name=name, path=lambda file: str(folder / file))


def job(folder, rule="cohorts", seconds=0.0, names=("soft/seed0",), stage="students"):
    return Job(rule, tuple(task(folder, name, stage) for name in names), {"threads": 1}, Cost(seconds, RECORDS))


def leave(folder, **files):
    """Write what a training leaves."""
    folder.mkdir(exist_ok=True)
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5000, "83 min"), (9000, "2.5 h"), (2e5, "2.3 days")],
)
def test_a_duration_is_said_as_a_person_says_it(seconds, said):
    assert duration(seconds) == said


def test_a_cohort_has_the_range_of_its_members_and_says_who_failed(tmp_path):
    tasks = [task(tmp_path / name) for name in ("a", "b", "c")]
    leave(tmp_path / "a", result={"test_top1": 70.04}, cost={"seconds": 1.0, "images_per_second": 100.0})
    leave(tmp_path / "b", result={"test_top1": 75.0}, cost={"seconds": 3.0, "images_per_second": 300.0})
    assert summary.number_of(tasks) == "top-1 70.0-75.0 %, 1 of 3 failed, 250 images/s"
    assert summary.number_of(tasks[:1]) == "top-1 70.0 %, 100 images/s"


def test_a_network_without_labels_has_no_accuracy(tmp_path):
    leave(tmp_path, result={"test_top1": None}, cost={"images_per_second": None})
    assert summary.number_of([task(tmp_path, "vit", "networks")]) == ""


def test_what_is_measured_or_gathered_is_counted(tmp_path):
    stages = ["tables", "tables", "summary", "figures"]
    assert summary.number_of([task(tmp_path, "x", stage) for stage in stages]) == "2 tables, 1 figure"
    assert summary.number_of([task(tmp_path, "networks/x", "measure")] * 2) == "2 measurements"


class Seen(logging.Handler):
    """Keeps what would be printed in Snakemake's own words."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


FAILURES = Failures(None, lambda rule: ("compute.students",))


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def subject(tmp_path):
    """A run of a cohort of three students, a measurement, and the links of two students."""
    leave(tmp_path, result={"test_top1": 77.53}, cost={"seconds": 2.0, "images_per_second": 1234.0})
    jobs = {7: job(tmp_path, seconds=60, names=[f"soft/seed{n}" for n in range(3)])}
    jobs[8] = job(tmp_path, "measure", names=["networks/cait/entropy"], stage="measure")
    links = {9 + n: job(tmp_path, "student", names=[f"soft/seed{n}"]) for n in range(2)}
    ends = ["Accuracy: high", "results/mine/statistics/report.md"]
    return Subject("mine", lambda: Workload(jobs, {"threads": 2}, links), lambda: ends, FAILURES.of)


def made(subject, quiet=(), **console):
    stream = io.StringIO()
    options = {"highlight": False, "markup": False, "width": 80} | console
    to = Terminal(Console(file=stream, **options), Seen(), set(quiet), Clock())
    to.subject, to.stream = subject, stream
    return to


def send(to, event=None, message="", level=logging.INFO, **facts):
    to.take(logging.makeLogRecord({"event": event, "msg": message, "levelno": level, **facts}))


def whole(to):
    """A run in which all goes well."""
    send(to, message="Building DAG of jobs...")
    send(to, LogEvent.RESOURCES_INFO, "Provided cores: 2")
    send(to, LogEvent.RUN_INFO, "Job stats")
    for number in (7, 8, 9, 10):
        send(to, LogEvent.JOB_INFO, jobid=number)
        to.clock.now += 65 * (number < 9)
        send(to, message="Touching output file x.")
        send(to, LogEvent.JOB_FINISHED, job_id=number)
        send(to, LogEvent.PROGRESS, done=1, total=3)
    to.close()
    return to.stream.getvalue()


def test_a_run_says_what_runs_a_line_a_job_none_for_links_and_where_the_answer_is(subject):
    to = made(subject)
    lines = whole(to).splitlines()
    assert lines[:2] == [
        "mine: 2 jobs: 1 cohorts (train 3 students), 1 measure",
        "Time: about 60 s here, as earlier jobs took",
    ]
    number = ["top-1", "77.5", "%,", "1,234", "images/s"]
    assert lines[2].split() == ["0:01:05", "cohorts", "soft,", "3", "seeds", "65", "s", *number]
    assert lines[3].split() == ["0:02:10", "measure", "cait", "65", "s", "1", "measurement"]
    assert lines[4:] == ["2 of 2 jobs done in 2 min", "Accuracy: high", "results/mine/statistics/report.md"]
    assert all(len(text) <= 80 for text in lines) and to.snakemake.said == [], "nothing of Snakemake's own"
    to.close()
    assert len(to.stream.getvalue().splitlines()) == len(lines), "the end is said once"


def test_a_line_counts_variants_where_their_names_are_long_and_keeps_its_numbers(tmp_path):
    leave(tmp_path, result={"test_top1": 77.53}, cost={"seconds": 2.0, "images_per_second": 1234.0})
    long = job(tmp_path, names=[f"a_variant_with_a_long_name_{n}/seed0" for n in range(3)])
    long.begun, long.ended = 0.0, 71.0
    said = terminal.line(long, 3000, 80)
    assert len(said) == 80 and "  3 variants, seed 0 " in said
    assert said.endswith("   71 s  top-1 77.5 %, 1,234 images/s")


@pytest.mark.parametrize(
    ("quiet", "lines"),
    [(["all"], 0), (["rules", "progress"], 0), (["progress"], 2), (["rules"], 5), (["host", "reason"], 7)],
)
def test_what_is_to_be_quiet_is_quiet(subject, quiet, lines):
    assert len(whole(made(subject, quiet)).splitlines()) == lines


def test_a_failed_job_is_its_sentence_and_its_log_and_the_last_words_come_last(subject, tmp_path):
    (tmp_path / "log").write_text("epoch 1\nerror: training: loss became nan in epoch 2\n")
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, LogEvent.JOB_INFO, jobid=7)
    send(to, message="Command 'x' returned non-zero exit status 1.", level=logging.ERROR)
    facts = {"jobid": 7, "rule_name": "cohorts", "rule_msg": None, "log": [str(tmp_path / "log")], "aux": {}}
    send(to, LogEvent.JOB_ERROR, "Error in rule cohorts", logging.ERROR, **facts)
    send(to, message="Exiting because a job execution failed.", level=logging.ERROR)
    send(to, message="\nWhat failed:\nTrain x: no", level=logging.ERROR, closing=True)
    to.close()
    lines = to.stream.getvalue().splitlines()[2:]
    assert lines[0] == "0:00:00  FAILED  cohorts soft, 3 seeds: training: loss became nan in epoch 2"
    assert lines[1:3] == [f"    log: {tmp_path / 'log'}", "0 of 2 jobs done in 0 s, 1 failed"]
    assert lines[3:] == ["", "What failed:", "Train x: no"] and to.snakemake.said == []


def test_a_job_that_could_never_start_says_why_in_its_own_line(subject, monkeypatch):
    monkeypatch.setitem(FAILURES.hopeless, "8", "asks for more minutes")
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    facts = {"rule_name": "cohorts", "rule_msg": None, "log": [], "aux": {"external_jobid": "8"}}
    send(to, LogEvent.JOB_ERROR, jobid=7, **facts)
    to.close()
    assert "FAILED  cohorts soft, 3 seeds: asks for more minutes" in to.stream.getvalue()


def test_a_cluster_that_takes_no_more_jobs_is_said_once_and_is_no_failure(subject):
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    full = "SLURM sbatch failed. The error message was 'sbatch: error: QOSMaxSubmitJobPerUserLimit'."
    for _ in range(3):
        for number in (7, 8):
            send(to, LogEvent.JOB_INFO, jobid=number)
            send(to, LogEvent.JOB_ERROR, jobid=number, rule_name="cohorts", rule_msg=full, log=[], aux={})
            send(to, message=f"Trying to restart job {number}.")
    send(to, message="Trying to restart job 9.")
    to.close()
    said = to.stream.getvalue()
    assert "FAILED" not in said and said.count("the cluster accepts no more jobs now") == 1
    assert to.snakemake.said == ["Trying to restart job 9."] and "failed" not in said


def test_a_full_disk_is_said_once_and_a_log_only_where_it_says_something(subject, tmp_path, monkeypatch):
    (tmp_path / "log").touch()
    monkeypatch.setattr(causes.tempfile, "TemporaryFile", lambda **_: (_ for _ in ()).throw(OSError(28, "No space")))
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    for number in (7, 8):
        facts = {"rule_name": "cohorts", "rule_msg": "", "log": [str(tmp_path / "log")], "aux": {}}
        send(to, LogEvent.JOB_ERROR, jobid=number, created=float(number), **facts)
    to.close()
    said = to.stream.getvalue()
    assert said.count("No space: ") == 1 and "log:" not in said and "2 failed" in said


def test_a_link_has_a_line_only_where_it_failed_and_then_nothing_is_answered(subject):
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    for number in (7, 8, 9, 10):
        send(to, LogEvent.JOB_INFO, jobid=number)
    for number in (7, 8, 9):
        send(to, LogEvent.JOB_FINISHED, job_id=number)
    assert "student  soft" not in to.stream.getvalue()
    send(to, LogEvent.JOB_ERROR, jobid=10, rule_name="student", rule_msg=None, log=[], aux={})
    assert "FAILED  student soft, seed 1" in to.stream.getvalue()
    to.close()
    assert to.stream.getvalue().endswith("2 of 2 jobs done in 0 s, 1 failed\n")


def test_a_run_that_only_links_finished_students_says_how_many(subject):
    links = subject.workload().links
    to = made(dataclasses.replace(subject, workload=lambda: Workload({}, {"threads": 1}, links)))
    send(to, LogEvent.RUN_INFO, "Job stats")
    to.close()
    lines = to.stream.getvalue().splitlines()
    assert lines == ["mine: 2 finished students to link", "Accuracy: high", "results/mine/statistics/report.md"]


def test_a_job_that_is_tried_again_and_succeeds_has_not_failed(subject):
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, LogEvent.JOB_INFO, jobid=7)
    send(to, LogEvent.JOB_ERROR, jobid=7, rule_name="cohorts", rule_msg=None, log=[], aux={})
    for number in (7, 8, 9):
        send(to, LogEvent.JOB_INFO, jobid=number)
        send(to, LogEvent.JOB_FINISHED, job_id=number)
    to.close()
    assert "2 of 2 jobs done in 0 s\nAccuracy" in to.stream.getvalue()


def test_warnings_of_others_are_printed_and_another_workflow_has_snakemakes_words(subject):
    to = made(subject)
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, message="the disk is nearly full", level=logging.WARNING)
    assert to.snakemake.said == ["the disk is nearly full"]
    to.close()
    to = made(None)
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, LogEvent.JOB_INFO, "rule other", jobid=1)
    send(to, LogEvent.ERROR, "no such rule", logging.ERROR)
    to.close()
    assert to.snakemake.said == ["Job stats", "rule other", "no such rule"] and to.stream.getvalue() == ""


def test_where_nothing_is_to_be_done_the_answers_are_told_all_the_same(subject):
    to = made(subject)
    send(to, message=f"{terminal.NOTHING} (all files are there).")
    to.close()
    assert to.stream.getvalue().splitlines() == ["Accuracy: high", "results/mine/statistics/report.md"]
    assert to.snakemake.said == [f"{terminal.NOTHING} (all files are there)."]


def test_progress_is_a_bar_in_the_last_line_of_a_terminal_and_lines_at_intervals_elsewhere(subject, monkeypatch):
    screen, log = made(subject, force_terminal=True), made(subject)
    for to in (screen, log):
        monkeypatch.setattr(to.over, "wait", lambda pause: True)
        send(to, LogEvent.RUN_INFO, "Job stats")
        send(to, LogEvent.JOB_INFO, jobid=7)
        to.clock.now = 30.0
    progress = "50 %, 0 of 2 jobs, about 30 s left; running: cohorts"
    screen.bar.refresh()
    assert "━" in screen.stream.getvalue() and progress in screen.stream.getvalue()
    screen.close()
    begun, pauses = log.stream.getvalue(), []
    monkeypatch.setattr(log.over, "wait", lambda pause: pauses.append(pause) or len(pauses) > 1)
    log.say_progress()
    assert log.stream.getvalue() == f"{begun}0:00:30  {progress}\n"
    log.clock.now = 6000.0
    log.say_progress()
    assert pauses == [terminal.INTERVAL] * 2 + [6000 / 20], "later on at longer intervals"
    log.close()


SUMMARY = """# mine: summary

[Report](report.md) · [Methods](methods.md)

- **place**: last minus first, +0.10 [-0.20, +0.40] points.
- **Cannot show**: other teachers.

| claim | verdict | number |
|---|---|---|
| Late hurts | not seen here | last +0.10 points |

Points are of test top-1.
"""


def test_the_end_has_the_summary_and_paths_and_nothing_of_a_report_that_is_not_todays(tmp_path, monkeypatch):
    (tmp_path / "summary.md").write_text(SUMMARY)
    task = SimpleNamespace(record=str(tmp_path / ".record.json"), path=lambda name: str(tmp_path / name))
    graph = SimpleNamespace(home=str(tmp_path), report=task)
    monkeypatch.setattr(record, "fault", lambda *_: None)
    expected = [
        "- place: last minus first, +0.10 [-0.20, +0.40] points.",
        "- Cannot show: other teachers.",
        "Late hurts: not seen here (last +0.10 points)",
        "Points are of test top-1.",
        str(tmp_path / "report.md"),
    ]
    assert summary.answers(graph, None) == expected
    (tmp_path / "index.html").touch()
    assert summary.answers(graph, None) == [*expected, str(tmp_path / "index.html")]
    monkeypatch.setattr(record, "fault", lambda *_: "is of another key")
    assert summary.answers(graph, None) == []


def test_a_long_job_says_at_intervals_how_far_it_is_and_a_short_one_nothing(capsys):
    clock = Clock()
    pace = Pace(400, clock)
    for _ in range(10):
        clock.now += 25
        pace.add(40)
    # After 75, 150 and 225 s.
    assert capsys.readouterr().err.splitlines() == [
        "so far: 120 of 400 images, about 3 min left",
        "so far: 240 of 400 images, about 2 min left",
        "so far: 360 of 400 images, about 25 s left",
    ]
    clock.now = 0.0
    short = Pace(400, clock)
    for _ in range(10):
        clock.now += 5
        short.add(40)
    assert capsys.readouterr().err == ""


def test_of_a_log_the_last_line_counts_that_says_how_far_the_job_is():
    assert so_far("note\nso far: 1 of 3 images, x\nso far: 2 of 3 images, y\nmore") == "2 of 3 images, y"
    assert so_far("not so far: 1") == so_far("") == ""


def test_of_a_single_running_job_its_log_says_how_far_it_is(subject, tmp_path):
    to, log = made(subject), tmp_path / "job.log"
    log.write_text("so far: 120 of 400 images, about 3 min left\n")
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, LogEvent.JOB_INFO, jobid=7, log=[str(log)])
    assert to.progress(60.0).endswith("running: cohorts (120 of 400 images, about 3 min left)")
    log.unlink()
    assert to.progress(60.0).endswith("running: cohorts")
    log.write_text("so far: 120 of 400 images, about 3 min left\n")
    send(to, LogEvent.JOB_INFO, jobid=8, log=[])
    assert to.progress(60.0).endswith("running: cohorts, measure")
    to.close()
