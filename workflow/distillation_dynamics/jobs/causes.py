"""Finds why an attempt of a job failed, from its log, Snakemake's message and SLURM's state.

A job that ends by itself leaves an error sentence in its log. A job that is killed leaves none, or that of another of
its processes. So the cause is looked for first in SLURM's state and in the signal that killed one of its processes (its
own, one of torchrun's, a loader's).
"""

import os
import re
import signal
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

PROFILE = "slurm/profile.yaml"
# Parts of a study that configure trainings, whose next attempt resumes the last one.
TRAININGS = {"compute.networks", "compute.students"}
# Bytes read from the end of a log.
TAIL = 20_000
OUT_OF_MEMORY = re.compile(r"OUT_OF_MEMORY|oom.kill|exceeded (job |step )?memory limit", re.IGNORECASE)
STOPPED = re.compile(r"^not finished: (.*?)(?: before update (\d+))?;", re.MULTILINE)
REFUSED = re.compile(r"sbatch failed\. The error message was '(.*?)'\.?\s*$", re.MULTILINE | re.DOTALL)
STATE = re.compile(r"SLURM status is: '(\w+)")
# Refusals that pass when other jobs end.
AWAY = re.compile(r"Unable to contact slurm controller|Socket timed out|Zero Bytes were transmitted", re.IGNORECASE)
FULL = re.compile(rf"MaxSubmitJob|MaxJobs|temporarily|try again|{AWAY.pattern}", re.IGNORECASE)
# Marks a job that SLURM preempted and did not requeue; set by `slurm.attend`, since the executor takes the state
# PREEMPTED for a waiting job.
PREEMPTED = "ERROR"
# Wordings for a process killed by a signal: of Python, a shell's exit status, torchrun, PyTorch's loader, srun.
SIGNALS = (
    re.compile(r"<Signals\.(?P<name>SIG\w+): \d+>"),
    re.compile(r"\bexit (?:status|code) (?P<status>\d+)"),
    re.compile(r"\bSignal \d+ \((?P<name>SIG\w+)\) received by PID"),
    re.compile(r"\bexitcode\s*: -(?P<number>\d+)"),
    re.compile(r"\bgot signal: (?P<number>\d+)"),
    re.compile(r"is killed by signal: (?P<words>[A-Z][a-z]+(?: [a-z]+)?)"),
    re.compile(r"^srun: error: .*: (?P<words>[A-Z][a-z]+(?: [a-z]+)?)(?: \(core dumped\))?$", re.MULTILINE),
)
WORDS = {signal.strsignal(number): number.name for number in signal.Signals}
# A killed loader process may be reported missing before the cause is known.
GONE = re.compile(r"DataLoader worker \(pid\(s\) [\d, ]+\) exited unexpectedly")
# Messages of PyTorch's loader and NCCL when shared memory is full.
BUS_ERROR = re.compile(
    r"Unexpected bus error encountered in worker|unable to \w+ .*</torch_|creating shared memory segment /dev/shm"
)
NO_SPACE = re.compile(r"OSError: \[Errno \d+\] (No space left on device|Disk quota exceeded)(?:: (.*))?$", re.MULTILINE)


class Kind(Enum):
    """The cause of a failed attempt."""

    SENTENCE = "said what is wrong"
    STOPPED = "was asked to stop"
    MEMORY = "ran out of memory"
    SHARED_MEMORY = "ran out of shared memory"
    DISK = "found a disk full"
    TIME = "reached its time limit"
    CANCELLED = "was cancelled by somebody"
    PREEMPTED = "made room for others"
    REFUSED = "was refused by the cluster"
    FULL = "was refused while other jobs wait or run"
    OTHER = "failed"


@dataclass(frozen=True)
class Failure:
    """A failed attempt: cause, sentence for the terminal, and the update before which a training was stopped."""

    kind: Kind
    sentence: str
    step: int | None = None


def keys_with(parts: Iterable[str], option: str = "") -> str:
    """Return the keys of one or all options in the given parts of a study's `compute` section."""
    return " or ".join(f"{part}.{option}".rstrip(".") for part in parts)


def read(message: str, logs: Iterable[str], parts: Iterable[str]) -> Failure:
    """Return why an attempt failed, from the executor's message and the ends of the job's log files.

    `message`: what SLURM's executor reports, or on one machine how the command ended. `parts`: the parts of the study
    that configure the job, as compute.students.
    """
    logs, parts = list(logs), list(parts)
    return (
        _refused(message, parts)
        or _ended(message, "\n".join(map(tail, logs)), parts)
        or _disk(logs)
        or Failure(Kind.OTHER, f"failed without an error message{_state(message)}; {_end(message, logs)}")
    )


def _state(message: str) -> str:
    """Return SLURM's state of a job that ended, if it says more than that the job failed."""
    found = STATE.search(message)
    return f" (SLURM: {found[1]})" if found is not None and found[1] != "FAILED" else ""


def _refused(message: str, parts: list[str]) -> Failure | None:
    if (refused := REFUSED.search(message)) is not None:
        why = " ".join(refused[1].split())
        if FULL.search(why):
            if AWAY.search(why):
                return Failure(Kind.FULL, f"the cluster does not answer ({why}); trying again")
            return Failure(Kind.FULL, f"the cluster accepts no more jobs now ({why}); `jobs` in {PROFILE} limits them")
        return Failure(
            Kind.REFUSED,
            f"the cluster refuses the job ({why}); set account, qos and partition in {PROFILE}, "
            f"and resources under {keys_with(parts)} in the study",
        )
    if "Job submission failed with exception" in message:
        why = message.partition("exception:")[2].partition("For further error details")[0]
        return Failure(
            Kind.REFUSED,
            f"the job could not be submitted ({' '.join(why.split())}); {PROFILE} has the cluster's settings",
        )
    return None


def _ended(message: str, text: str, parts: list[str]) -> Failure | None:
    """Return what killed a job, or else the job's own error sentence."""
    state = found[1] if (found := STATE.search(message)) is not None else ""
    signals, runtime, memory = (
        signals_in(message + "\n" + text),
        keys_with(parts, "runtime"),
        keys_with(parts, "mem_mb"),
    )
    stopped = STOPPED.search(text)
    step = int(stopped[2]) if stopped is not None and stopped[2] else None
    late = state == "TIMEOUT" or "DUE TO TIME LIMIT" in text
    if state == "CANCELLED" and not late:
        return Failure(Kind.CANCELLED, "was cancelled with scancel; the same command resumes it")
    if OUT_OF_MEMORY.search(message + text):
        return Failure(Kind.MEMORY, f"ran out of memory; raise {memory}")
    if not late and state != PREEMPTED:
        bus_error = "SIGBUS" in signals or BUS_ERROR.search(text)
        if "SIGKILL" in signals or (GONE.search(text) and not bus_error):
            return Failure(Kind.MEMORY, _killed(memory, bool(state)))
        if bus_error:
            return Failure(
                Kind.SHARED_MEMORY,
                "died of a bus error, usually because /dev/shm is full: enlarge it (in a container: "
                f"--shm-size=2g), or lower {keys_with(parts, 'threads')}, whose processes share it",
            )
    if (sentence := _sentence(text)) is not None:
        return Failure(Kind.SENTENCE, sentence)
    if state == PREEMPTED:
        return Failure(Kind.PREEMPTED, "was preempted by another job (SLURM: PREEMPTED)", step)
    if state in ("NODE_FAIL", "BOOT_FAIL"):
        return Failure(Kind.OTHER, f"lost its node (SLURM: {state})", step)
    if step is not None:
        its_time = f"; its time limit is {runtime}" if state else "; the same command resumes there"
        return Failure(Kind.STOPPED, f"{stopped[1]} before update {step}{its_time}", step)  # type: ignore[index]
    if late:
        return Failure(Kind.TIME, f"reached its time limit; raise {runtime}")
    if stopped is not None or "SIGTERM" in signals:
        if state:
            idle = " while it made no updates" if set(parts) <= TRAININGS else ""
            why = f"was stopped (SIGTERM){idle}, usually before a time limit; raise {runtime}"
        else:
            why = "was stopped by SIGTERM; run the same command again"
        return Failure(Kind.STOPPED, why, 0)
    if crashed := signals - {"SIGINT"}:
        return Failure(Kind.OTHER, f"one of its processes died of {min(crashed)}")
    return None


def _killed(memory: str, on_cluster: bool) -> str:
    why = "one of its processes was killed (SIGKILL), usually because memory ran out"
    if on_cluster:
        return f"{why}; raise {memory}"
    # On one machine Snakemake enforces `mem_mb` only with --resources.
    return f"{why}: raise {memory}, and run with --resources mem_mb=N, so that all jobs together use at most N MB"


def signals_in(text: str) -> set[str]:
    """Return the names of the signals that killed processes, found in a text.

    >>> sorted(signals_in("Command 'x' died with <Signals.SIGKILL: 9>. y returned non-zero exit status 143."))
    ['SIGKILL', 'SIGTERM']
    """
    names = set()
    for pattern in SIGNALS:
        for found in pattern.finditer(text):
            known = found.groupdict()
            number = int(known.get("number") or 0) or int(known.get("status") or 0) - 128
            if (name := known.get("name") or WORDS.get(known.get("words"))) is None and number in _NUMBERS:
                name = signal.Signals(number).name
            names |= {name} if name else set()
    return names


_NUMBERS = {int(number) for number in signal.Signals}


def _disk(logs: list[str]) -> Failure | None:
    """Return that a disk is full, if a traceback says so or the log could not be written."""
    if (found := NO_SPACE.search("\n".join(map(tail, logs)))) is not None:
        where = f": {found[2]}" if found[2] else ", where it writes"
        return Failure(Kind.DISK, f"{found[1]}{where}; free some, and run the same command again")
    if not logs:
        return None
    folder = os.path.dirname(logs[0]) or "."
    try:
        if os.path.exists(logs[0]):
            os.close(os.open(logs[0], os.O_WRONLY | os.O_APPEND))
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"x" * 4096)
            os.fsync(file)
    except OSError as error:
        # One sentence for all jobs of the study: any of its logs may be the one.
        place = error.filename if error.filename == logs[0] else "/".join(folder.split("/")[:2])
        return Failure(Kind.DISK, f"{error.strerror}: {place}; the logs cannot be written")
    return None


def _end(message: str, logs: list[str]) -> str:
    """Return the end of the job's first log (the error, for a traceback), or that it is empty."""
    for log, what in zip(logs, ("its log", "SLURM's log of it"), strict=False):
        if lines := [line.strip() for line in tail(log).splitlines() if line.strip()]:
            return f"{what} ends with {lines[-1]}"
    status = re.search(r"exit status \d+", message)
    return "its log is empty" + (f", and it ended with {status[0]}" if status else "")


def tail(path: str) -> str:
    """Return the end of a log; "" if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _sentence(text: str) -> str | None:
    """Return the text after the last `error: ` at the start of a line, without what others wrote after it."""
    found = list(re.finditer(r"^error: ", text, re.MULTILINE))
    if not found:
        return None
    lines = text[found[-1].end() :].splitlines()
    # In a cluster's log Snakemake's own lines follow an empty line or begin with a date.
    end = next((n for n, line in enumerate(lines) if not line.strip() or re.match(r"\[|srun|slurmstepd", line)), None)
    return "\n".join(lines[:end])
