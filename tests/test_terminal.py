"""What a run says: the opening, a line a finished job, progress where there is a terminal and where not, the end."""

import io
import json
import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

import snakemake_logger_plugin_distillation as plugin
from distillation_dynamics.jobs import outcome, record, terminal
from distillation_dynamics.jobs.expected import Job, Run
from distillation_dynamics.jobs.terminal import Terminal, Told, bar, clock, duration, line, opening


class TestPlugin(TestLogHandlerBase):
    """Snakemake's own tests of a logger plugin."""

    __test__ = True

    def get_log_handler_cls(self):
        return plugin.LogHandler

    def get_log_handler_settings(self):
        return None


def task(folder, name="students/soft/seed0", stage="students"):
    """A task as far as its name and its files go."""
    job = SimpleNamespace(label=name)
    return SimpleNamespace(
        stage=stage, name=name.removeprefix("students/"), job=job, path=lambda file: str(folder / file)
    )


def job(folder, rule="cohorts", seconds=None, names=("students/soft/seed0",), stage="students"):
    return Job(rule, tuple(task(folder, name, stage) for name in names), {"threads": 1}, seconds=seconds)


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


def test_a_clock_has_hours_only_when_there_are_some():
    assert [clock(61.9), clock(3661)] == ["1:01", "1:01:01"]


def test_a_line_says_when_what_whom_how_long_and_the_number_that_matters(tmp_path):
    leave(tmp_path, result={"test_top1": 77.53}, cost={"seconds": 2.0, "images_per_second": 1234.0})
    said = line(job(tmp_path), 71, 3000, 80)
    assert (
        said.split()
        == ["50:00", "cohorts", "soft,", "seed", "0", "71", "s", "top-1", "77.5", "%,", "1,234", "images/s"]
        and len(said) <= 80
    )
    many = job(tmp_path, names=[f"students/a_variant_with_a_long_name_{n}/seed0" for n in range(3)])
    said = line(many, 71, 3000, 80)
    assert len(said) == 80 and "…" in said and said.endswith("top-1 77.5 %, 1,234 images/s")


def test_a_cohort_has_the_range_of_its_members_and_says_who_failed(tmp_path):
    tasks = [task(tmp_path / name) for name in ("a", "b", "c")]
    leave(tmp_path / "a", result={"test_top1": 70.04}, cost={"seconds": 1.0, "images_per_second": 100.0})
    leave(tmp_path / "b", result={"test_top1": 75.0}, cost={"seconds": 3.0, "images_per_second": 300.0})
    assert outcome.number_of(tasks) == "top-1 70.0-75.0 %, 1 of 3 failed, 250 images/s"


def test_a_network_without_labels_has_no_accuracy(tmp_path):
    leave(tmp_path, result={"test_top1": None}, cost={"images_per_second": None})
    assert outcome.number_of([task(tmp_path, "vit", "networks")]) == ""


def test_what_is_measured_or_gathered_is_counted(tmp_path):
    stages = ["tables", "tables", "summary", "figures"]
    assert outcome.number_of([task(tmp_path, "x", stage) for stage in stages]) == "2 tables, 1 figure"
    assert outcome.number_of([task(tmp_path, "networks/x", "measure")] * 2) == "2 measurements"


def test_the_opening_says_what_will_run_and_how_long_as_earlier_jobs_took(tmp_path):
    jobs = {
        0: job(tmp_path, seconds=300),
        1: job(tmp_path, "student", 0.0),
        2: job(tmp_path, "measure", 60, stage="measure"),
    }
    said = opening(Run(jobs, {"threads": 2}), "mine", 0)
    assert said == [
        "mine: 3 jobs: 1 cohorts (train 1 students), 1 student, 1 measure",
        "Time: about 5 min, as earlier jobs took",
    ]
    said = opening(Run(jobs, None), "mine", 0)
    assert said[1] == "Time: about 6 min of computing, as earlier jobs took", "when a cluster begins nobody knows"


def test_of_what_nothing_tells_nothing_is_invented(tmp_path):
    known, unknown = job(tmp_path, seconds=200), job(tmp_path, "network", names=["vit"], stage="networks")
    said = opening(Run({0: known, 1: unknown}, {"threads": 2}), "mine", 0)[1]
    assert said == "Time: about 3 min and 1 job of unknown length, as earlier jobs took"
    said = opening(Run({0: unknown, 1: job(tmp_path, "student", 0.0)}, {"threads": 2}), "mine", 0)[1]
    assert said == "Time: not known, since no earlier job under results/ was like these"


def test_a_bar_shows_the_share_of_the_work_and_what_runs(tmp_path):
    run = Run({0: job(tmp_path, seconds=90), 1: job(tmp_path, "measure", 30, stage="measure")}, {"threads": 1})
    run.begin(0, 0.0)
    run.end(0, 90.0)
    run.begin(1, 90.0)
    said = bar(run, 90.0, 79)
    assert said.startswith(f"[{'#' * 18}{'.' * 6}] 75 %, 1 of 2 jobs, time left: about 30 s") and len(said) <= 79
    unknown = Run({0: job(tmp_path), 1: job(tmp_path)}, {"threads": 1})
    unknown.begin(0, 0.0), unknown.end(0, 1.0)
    unknown.jobs[1].tasks = (task(tmp_path, "vit", "networks"),)
    said = bar(unknown, 1.0, 79)
    assert said.startswith(f"[{'#' * 12}{'.' * 12}] 1 of 2 jobs, time left: not known"), "jobs are counted"


class Seen(logging.Handler):
    """Keeps what would be printed in Snakemake's own words."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A run of two jobs that the workflow told of."""
    leave(tmp_path, result={"test_top1": 77.53}, cost={"seconds": 2.0, "images_per_second": 1234.0})
    run = Run({7: job(tmp_path, seconds=60), 8: job(tmp_path, "student", 0.0)}, {"threads": 2})
    monkeypatch.setattr(Run, "of", lambda *_: run)
    monkeypatch.setattr(terminal, "Costs", lambda: None)
    monkeypatch.setattr(terminal, "ending", lambda *_: ["Accuracy: high", "results/mine/statistics/report.md"])
    monkeypatch.setattr(Told, "plan", SimpleNamespace(graph=SimpleNamespace(study=SimpleNamespace(name="mine"))))
    monkeypatch.setattr(Told, "parts", lambda rule: ("compute.students",))
    return run


def made(quiet=(), bars=False):
    return Terminal(io.StringIO(), Seen(), set(quiet), bars, Clock())


def send(to, event=None, message="", level=logging.INFO, **facts):
    to.take(logging.makeLogRecord({"event": event, "msg": message, "levelno": level, **facts}))


def whole(to):
    """A run in which all goes well."""
    send(to, message="Building DAG of jobs...")
    send(to, LogEvent.RESOURCES_INFO, "Provided cores: 2")
    send(to, LogEvent.RUN_INFO, "Job stats")
    for number in (7, 8):
        send(to, LogEvent.JOB_INFO, jobid=number)
        to.clock.now += 65
        send(to, message="Touching output file x.")
        send(to, LogEvent.JOB_FINISHED, job_id=number)
        send(to, LogEvent.PROGRESS, done=1, total=3)
    to.close()
    return to.stream.getvalue()


def test_a_run_says_what_runs_a_line_a_job_and_where_the_answer_is(told):
    to = made()
    said = whole(to).splitlines()
    assert said[0].startswith("mine: 2 jobs: ") and said[1] == "Time: about 60 s, as earlier jobs took"
    assert said[2].split()[:2] == ["1:05", "cohorts"] and said[3].split()[:2] == ["2:10", "student"]
    assert said[4:] == ["2 of 2 jobs done in 2 min", "Accuracy: high", "results/mine/statistics/report.md"]
    assert to.plain.said == [], "nothing of Snakemake's own"
    to.close()
    assert len(to.stream.getvalue().splitlines()) == len(said), "the end is said once"


@pytest.mark.parametrize(
    ("quiet", "lines"),
    [(["all"], 0), (["rules", "progress"], 0), (["progress"], 2), (["rules"], 5), (["host", "reason"], 7)],
)
def test_what_is_to_be_quiet_is_quiet(told, quiet, lines):
    assert len(whole(made(quiet)).splitlines()) == lines


def test_a_failed_job_is_its_sentence_and_its_log_and_the_end_counts(told, tmp_path):
    (tmp_path / "log").write_text("epoch 1\nerror: training: loss became nan in epoch 2\n")
    to = made()
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, LogEvent.JOB_INFO, jobid=7)
    send(to, message="Command 'x' returned non-zero exit status 1.", level=logging.ERROR)
    facts = {"jobid": 7, "rule_name": "cohorts", "rule_msg": None, "log": [str(tmp_path / "log")]}
    send(to, LogEvent.JOB_ERROR, "Error in rule cohorts", logging.ERROR, **facts)
    send(to, message="Exiting because a job execution failed.", level=logging.ERROR)
    to.close()
    said = to.stream.getvalue().splitlines()[2:]
    assert said[0] == "  0:00  FAILED  cohorts soft, seed 0: training: loss became nan in epoch 2"
    assert said[1:] == [f"    log: {tmp_path / 'log'}", "0 of 2 jobs done in 0 s, 1 failed"] and to.plain.said == []


def test_a_job_that_is_tried_again_and_succeeds_has_not_failed(told, tmp_path):
    to = made()
    send(to, LogEvent.RUN_INFO, "Job stats")
    for event, facts in (
        (LogEvent.JOB_INFO, {"jobid": 7}),
        (LogEvent.JOB_ERROR, {"jobid": 7, "rule_name": "cohorts", "rule_msg": None, "log": []}),
        (LogEvent.JOB_INFO, {"jobid": 7}),
        (LogEvent.JOB_FINISHED, {"job_id": 7}),
        (LogEvent.JOB_INFO, {"jobid": 8}),
        (LogEvent.JOB_FINISHED, {"job_id": 8}),
    ):
        send(to, event, **facts)
    to.close()
    assert "2 of 2 jobs done in 0 s\nAccuracy" in to.stream.getvalue()


def test_warnings_of_others_are_printed_and_another_workflow_has_snakemakes_words(told, monkeypatch):
    to = made()
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, message="the disk is nearly full", level=logging.WARNING)
    assert to.plain.said == ["the disk is nearly full"]
    monkeypatch.setattr(Told, "plan", None)
    to = made()
    send(to, LogEvent.RUN_INFO, "Job stats")
    send(to, LogEvent.JOB_INFO, "rule other", jobid=1)
    send(to, LogEvent.ERROR, "no such rule", logging.ERROR)
    to.close()
    assert to.plain.said == ["Job stats", "rule other", "no such rule"] and to.stream.getvalue() == ""


def test_where_nothing_is_to_be_done_the_answers_are_told_all_the_same(told):
    to = made()
    send(to, message=f"{terminal.NOTHING} (all files are there).")
    to.close()
    assert to.stream.getvalue().splitlines() == ["Accuracy: high", "results/mine/statistics/report.md"]
    assert to.plain.said == [f"{terminal.NOTHING} (all files are there)."]


def test_progress_is_drawn_in_one_line_on_a_terminal_and_said_at_intervals_elsewhere(told):
    screen, log = made(bars=True), made()
    for to in (screen, log):
        send(to, LogEvent.RUN_INFO, "Job stats")
        send(to, LogEvent.JOB_INFO, jobid=7)
        begun = len(to.stream.getvalue())
        for seconds in range(1, 200):
            to.clock.now = float(seconds)
            to.draw()
        to.text = to.stream.getvalue()[begun:]
        to.over.set()
        told.jobs[7].begun = None
    assert "\n" not in screen.text and screen.text.count("\r\x1b[K") > 100
    lines = log.text.splitlines()
    assert len(lines) == 3 and lines[0] == "  1:00  99 %, 0 of 2 jobs, time left: about 0 s; running: cohorts"
    assert "\x1b" not in log.text


REPORT = """# mine: report

## Accuracy

**2 variants reach from 1 % to 2 %.** More.

## What this study can show

- Little.

## Is it U-shaped?

**In none; but so is
the null.**

## Does a variant help?

No bold answer here.

## Published beside measured

**Not asked.**

## The paper's claims, one by one

**Of 13 claims: undecided.**
"""


def test_answers_are_those_of_the_report_whole_and_with_what_qualifies_them():
    assert outcome.answer(REPORT, "Is it U-shaped?") == "In none; but so is the null."
    assert outcome.answer(REPORT, "Does a variant help?") is None, "not that of the next section"
    assert outcome.answer(REPORT, "Dose and place") is None


def test_the_end_has_accuracies_answers_and_paths_and_nothing_of_a_report_that_is_not_todays(tmp_path, monkeypatch):
    (tmp_path / "report.md").write_text(REPORT)
    statistics = SimpleNamespace(record=str(tmp_path / ".record.json"), path=lambda name: str(tmp_path / name))
    graph = SimpleNamespace(home=str(tmp_path), statistics=statistics)
    monkeypatch.setattr(record, "fault", lambda *_: None)
    expected = [
        "Accuracy: 2 variants reach from 1 % to 2 %.",
        "Is it U-shaped? In none; but so is the null.",
        "The paper's claims, one by one Of 13 claims: undecided.",
        str(tmp_path / "report.md"),
    ]
    assert outcome.ending(graph, None) == expected
    (tmp_path / "index.html").touch()
    assert outcome.ending(graph, None) == [*expected, str(tmp_path / "index.html")]
    monkeypatch.setattr(record, "fault", lambda *_: "is of another key")
    assert outcome.ending(graph, None) == []
