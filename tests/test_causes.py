"""Why an attempt failed: by a sentence of its log, or by how it was ended from outside."""

import os
import signal
import subprocess
import sys

import pytest

from conftest import ROOT
from distillation_dynamics.jobs import causes
from distillation_dynamics.jobs.causes import Kind, read, signals_in

KEYS = "compute.students"
PARTS = (KEYS,)
FAILED = "SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable."
REFUSED = "SLURM sbatch failed. The error message was 'sbatch: error: {}'.\n    sbatch call:\n        sbatch --parsable"
DIED = "died with <Signals.{}>."


def state(name):
    """What the executor says of a job that SLURM lists so."""
    return FAILED.replace("FAILED", name)


def written(folder, name, text):
    """The path of a log file with this text."""
    path = folder / name
    path.write_text(text)
    return str(path)


TORCHRUN = """E1130 11:00:00.0 7 torch/distributed/elastic/api.py:984] failed (exitcode: -9) local_rank: 1 (pid: 9)
[1] gloo: Connection closed by peer
error: an innocent process was disturbed
  exitcode   : -9 (pid: 9)
  traceback  : Signal 9 (SIGKILL) received by PID 9
"""
LOADER = "Traceback\nRuntimeError: DataLoader worker (pid 34) is killed by signal: {}. \n"
ENDED = {
    "a sentence": (FAILED, "step\nerror: a.png: cannot be decoded; replace it\n", Kind.SENTENCE, "a.png: cannot be"),
    "sentences of a batch, in the log of the cluster": (
        *(FAILED, "error: measure a: x\ncompare b: y\n\n[Wed Nov 25] Error in rule", Kind.SENTENCE),
        "measure a: x\ncompare b: y",
    ),
    "a stop": (
        *(FAILED, "epoch 3\nnot finished: stopped by SIGTERM before update 12; run again\n", Kind.STOPPED),
        f"before update 12; its time limit is {KEYS}.runtime",
    ),
    "a stop on one machine, which has no time limit": (
        *("", "not finished: stopped by SIGTERM before update 12; run again\n", Kind.STOPPED),
        "stopped by SIGTERM before update 12; the same command resumes",
    ),
    "a stop before the first update": (
        *(FAILED, "not finished: stopped by SIGTERM; run again\n", Kind.STOPPED),
        f"(SIGTERM) while it made no updates, usually before a time limit; raise {KEYS}.runtime",
    ),
    "a stop before Python began": (
        *(FAILED, "srun: error: node1: task 0: Terminated\n", Kind.STOPPED),
        f"(SIGTERM) while it made no updates, usually before a time limit; raise {KEYS}.runtime",
    ),
    "a stop of torchrun before its processes began": (
        *(FAILED, "SignalException: Process 3 got signal: 15\n", Kind.STOPPED),
        f"raise {KEYS}.runtime",
    ),
    "memory, without cgroups": (
        *(FAILED, "slurmstepd: error: Job 7 exceeded memory limit (9 > 5), being killed\n", Kind.MEMORY),
        f"{KEYS}.mem_mb",
    ),
    "memory, with cgroups": (
        *(FAILED, "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.\n", Kind.MEMORY),
        f"{KEYS}.mem_mb",
    ),
    "memory, by its state": (state("OUT_OF_MEMORY"), "", Kind.MEMORY, f"{KEYS}.mem_mb"),
    "memory, by its signal on one machine": (
        *(DIED.format("SIGKILL: 9"), "", Kind.MEMORY),
        f"killed (SIGKILL), usually because memory ran out: raise {KEYS}.mem_mb, and run with --resources",
    ),
    "memory, by its status on one machine": ("returned non-zero exit status 137.", "", Kind.MEMORY, f"{KEYS}.mem_mb"),
    "memory, by its signal on a node": (
        *(FAILED, "Command 'x' died with <Signals.SIGKILL: 9>.\n", Kind.MEMORY),
        f"usually because memory ran out; raise {KEYS}.mem_mb",
    ),
    "memory, by srun": (FAILED, "srun: error: node1: task 0: Killed\n", Kind.MEMORY, f"{KEYS}.mem_mb"),
    "one of several processes killed": ("returned non-zero exit status 1.", TORCHRUN, Kind.MEMORY, f"{KEYS}.mem_mb"),
    "a loader killed": ("exit status 1", LOADER.format("Killed"), Kind.MEMORY, f"{KEYS}.mem_mb"),
    "a loader gone": (
        *("exit status 1", "RuntimeError: DataLoader worker (pid(s) 34, 35) exited unexpectedly\n", Kind.MEMORY),
        f"{KEYS}.mem_mb",
    ),
    "a loader without shared memory": (
        *("exit status 1", LOADER.format("Bus error"), Kind.SHARED_MEMORY),
        "/dev/shm is full: enlarge it (in a container: --shm-size=2g)",
    ),
    "a loader without shared memory, said otherwise": (
        *(
            "",
            "RuntimeError: unable to allocate shared memory(shm) for file </torch_7_1>: No space left on device (28)\n",
        ),
        *(Kind.SHARED_MEMORY, "/dev/shm is full"),
    ),
    "several GPUs without shared memory": (
        *("", "Error while creating shared memory segment /dev/shm/nccl-x (size 9637888)\n", Kind.SHARED_MEMORY),
        "/dev/shm is full",
    ),
    "a process without shared memory": (DIED.format("SIGBUS: 7"), "", Kind.SHARED_MEMORY, "/dev/shm is full"),
    "a crash": (DIED.format("SIGSEGV: 11"), "", Kind.OTHER, "one of its processes died of SIGSEGV"),
    "time, by its state": (state("TIMEOUT"), "epoch 3\n", Kind.TIME, f"{KEYS}.runtime"),
    "time, by its log": (
        *(FAILED, "slurmstepd: error: *** JOB 7 CANCELLED DUE TO TIME LIMIT ***\n", Kind.TIME),
        f"{KEYS}.runtime",
    ),
    "time, and the kill behind it": (
        *(state("TIMEOUT"), "Command 'x' died with <Signals.SIGKILL: 9>.\n", Kind.TIME),
        f"reached its time limit; raise {KEYS}.runtime",
    ),
    "time, and what was saved before": (
        *(state("TIMEOUT"), "not finished: stopped by SIGTERM before update 12; run again\n", Kind.STOPPED),
        "before update 12",
    ),
    "a cancel by somebody": (
        *(state("CANCELLED"), "not finished: stopped by SIGTERM before update 12; run again\n", Kind.CANCELLED),
        "was cancelled with scancel",
    ),
    "a cancel, and the kill behind it": (
        *(state("CANCELLED"), "srun: error: node1: task 0: Killed\n", Kind.CANCELLED),
        "was cancelled with scancel",
    ),
    "a preemption that nothing follows": (
        *(state(causes.PREEMPTED), "srun: error: node1: task 0: Killed\n", Kind.PREEMPTED),
        "was preempted by another job",
    ),
    "a state that nobody expects": (
        state("DEADLINE"),
        "",
        Kind.OTHER,
        "without an error message (SLURM: DEADLINE); its log",
    ),
    "a node that failed": (state("NODE_FAIL"), "", Kind.OTHER, "lost its node"),
    "a full disk, in a traceback": (
        *("", "Traceback\nOSError: [Errno 28] No space left on device\n", Kind.DISK),
        "No space left on device, where it writes",
    ),
    "a traceback": (
        *(FAILED, "Traceback (most recent call last):\nRuntimeError: no\n", Kind.OTHER),
        "its log ends with RuntimeError: no",
    ),
    "nothing at all": (FAILED, "", Kind.OTHER, "failed without an error message; its log is empty"),
    "nothing but a status": (
        *("returned non-zero exit status 3.", "", Kind.OTHER),
        "its log is empty, and it ended with exit status 3",
    ),
    "a refusal": (REFUSED.format("Invalid account or account/partition"), "", Kind.REFUSED, "slurm/profile.yaml"),
    "a full cluster": (REFUSED.format("QOSMaxSubmitJobPerUserLimit"), "", Kind.FULL, "`jobs` in slurm/profile.yaml"),
    "a cluster that is away": (
        *(REFUSED.format("Batch job submission failed: Unable to contact slurm controller"), "", Kind.FULL),
        "does not answer",
    ),
    "an account that is not there": (
        *("Job submission failed with exception: no account x\nFor further error details", "", Kind.REFUSED),
        "(no account x)",
    ),
}


@pytest.mark.parametrize(("said", "log", "kind", "words"), ENDED.values(), ids=ENDED)
def test_why_an_attempt_failed_is_told_from_the_executor_and_the_log(tmp_path, said, log, kind, words):
    failure = read(said, [written(tmp_path, "log", log), str(tmp_path / "missing.log")], PARTS)
    assert failure.kind is kind and words in failure.sentence


def test_what_slurm_wrote_in_its_own_log_is_told_where_that_of_the_job_is_empty(tmp_path):
    logs = [written(tmp_path, "log", ""), written(tmp_path, "slurm.log", "bash: python: command not found\n")]
    assert read(FAILED, logs, PARTS).sentence.endswith("SLURM's log of it ends with bash: python: command not found")


def test_only_of_a_training_it_is_said_that_it_made_no_updates():
    said = causes._ended(FAILED, "not finished: stopped by SIGTERM; run again", ["compute.measure"]).sentence
    assert said == "was stopped (SIGTERM), usually before a time limit; raise compute.measure.runtime"


def test_a_log_that_cannot_be_written_is_the_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs/mine/measure").mkdir(parents=True)
    log = "logs/mine/measure/log"
    (tmp_path / log).mkdir()
    assert read(FAILED, [log], PARTS).sentence.startswith(f"Is a directory: {log};")
    (tmp_path / log).rmdir()
    monkeypatch.setattr(causes.tempfile, "TemporaryFile", raising(OSError(28, os.strerror(28))))
    failure = read(FAILED, [log], PARTS)
    assert failure.kind is Kind.DISK and failure.sentence.startswith("No space left on device: logs/mine;")
    (tmp_path / log).write_text("error: x\n")
    assert read(FAILED, [log], PARTS).sentence == "x", "it could say why"


def raising(error):
    """A function that raises an error."""

    def function(*arguments, **options):
        raise error

    return function


def test_a_job_of_several_stages_names_the_key_of_each():
    assert read(state("OUT_OF_MEMORY"), [], ("compute.data", "compute.networks")).sentence == (
        "ran out of memory; raise compute.data.mem_mb or compute.networks.mem_mb"
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT])
@pytest.mark.parametrize("shell", ["exec ", ""])
def test_by_which_signal_a_command_died_is_known_from_the_words_of_python(number, shell):
    code = f"import os; os.kill(os.getpid(), {int(number)})"
    with pytest.raises(subprocess.CalledProcessError) as error:
        subprocess.check_call(["bash", "-c", f"ulimit -c 0; {shell}{sys.executable} -c '{code}'; exit $?"])
    assert signals_in(str(error.value)) == {number.name}
    assert signals_in("returned non-zero exit status 1.") == signals_in("srun: error: a: task 0: Exited") == set()


def test_a_process_that_is_stopped_before_it_begins_says_so_in_its_log():
    code = "import os, runpy, signal, sys, time; sys.meta_path.insert(0, type('Ask', (), {'find_spec': staticmethod("
    code += "lambda name, *rest: os.kill(os.getpid(), 15) or time.sleep(9) if name.endswith('jobs') else None)})); "
    code += "runpy.run_module('distillation_dynamics', run_name='__main__', alter_sys=True)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run([sys.executable, "-c", code, "task"], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM
    assert read("", [], PARTS).kind is Kind.OTHER and causes.STOPPED.search(done.stderr)[2] is None
    assert done.stderr == "not finished: stopped by SIGTERM; run the same command again\n"


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, Kind.MEMORY), (signal.SIGBUS, Kind.SHARED_MEMORY)], ids=["killed", "no room"]
)
def test_a_loader_process_that_is_killed_is_known_from_the_words_of_pytorch(number, kind):
    code = f"""
import os, torch
class Ends(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, place): os.kill(os.getpid(), {int(number)})
list(torch.utils.data.DataLoader(Ends(), num_workers=1))
"""
    command = ["bash", "-c", f'ulimit -c 0; exec {sys.executable} -c "$0"', code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert causes._ended("returned non-zero exit status 1.", done.stderr, [KEYS]).kind is kind


def test_one_of_several_processes_that_is_killed_is_known_from_the_words_of_torchrun(tmp_path):
    script = tmp_path / "one.py"
    script.write_text("import os, time\nos.kill(os.getpid(), 9) if os.environ['RANK'] == '1' else time.sleep(60)\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert causes._ended("returned non-zero exit status 1.", done.stderr, [KEYS]).kind is Kind.MEMORY
