# What every stage shares: the validated study, its jobs and the plan of them, and what a job may ask of the machine.
import os
import re
import sys
from functools import cache
from pathlib import Path

# Where this file lies, whichever Snakefile includes it.
LIBRARY = Path(str(workflow.current_basedir)).parent
if LIBRARY.is_dir():
    sys.path.insert(0, str(LIBRARY))
# Jobs run `python -m distillation_dynamics` with this library and, unless conda supplies one, this interpreter.
os.environ.update(
    {
        name: os.pathsep.join(filter(None, [first, os.environ.get(name)]))
        for name, first in (("PYTHONPATH", str(LIBRARY)), ("PATH", os.path.dirname(sys.executable)))
    }
)

from snakemake.io import report as in_report
from snakemake.logging import logger
from snakemake.resources import Resource

from distillation_dynamics import gpus
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import batches, locks, model_info, planning, reports, slurm, summary, why
from distillation_dynamics.jobs.costs import Costs
from distillation_dynamics.jobs.eta import Workload
from distillation_dynamics.jobs.failures import Failures
from distillation_dynamics.jobs.task import CARRYING, TARGETS
from distillation_dynamics.jobs.terminal import Subject
from distillation_dynamics.study import configuration
from distillation_dynamics.study.load import load
from snakemake_logger_plugin_distillation import LogHandler

# A study named on the command line stands alone: nothing of the default study may leak into it. Read here and not by a
# `configfile:`, which would drop what is given twice; Snakemake ships `configfiles` to where jobs have no shared disk.
workflow.configfiles = list(workflow.config_settings.configfiles or ["config.yaml"])
try:
    if workflow.is_main_process:
        planning.check_folders("results", "results/shared", "logs", ".snakemake")
    config = configuration.merged(workflow.configfiles, workflow.config_settings.config_args)
    STUDY = load(config, model_info.describe)
    if workflow.is_main_process:
        planning.check_folders(f"results/{STUDY.name}", f"logs/{STUDY.name}")
    GRAPH, HASHES = planning.graph_of(STUDY, workflow.is_main_process)
except StudyError as error:
    # As an error of the workflow it would be shown with the lines of this file.
    sys.exit(f"the study cannot run:\n{error}{planning.where(LIBRARY.parent)}")

LOGS = f"logs/{STUDY.name}"
# With `--sdm conda` jobs run in it; otherwise in the environment that Snakemake runs in.
ENVIRONMENT = "../../envs/environment.yaml"
# The command line of every job: one file says all.
CARRY_OUT = "python -m distillation_dynamics {params.task:q} --gpus {resources.gpu} > {log:q} 2>&1"
CAPTIONS = {name: workflow.current_basedir.join(f"../report/{name}.rst") for name in reports.CAPTIONS}
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


wildcard_constraints:
    key="[0-9a-f]{16}",
    batch="([A-Za-z0-9_.+-]+-)?[0-9a-f]{12}",
    variant=NAME,
    seed=r"\d+",
    network=NAME,
    image_set=NAME,
    place=f"{re.escape(STUDY.name)}|shared",
    path=".+",


# On one machine no more GPU jobs at a time than it has GPUs, unless `--resources gpu=` says otherwise. (`nodes`, the
# number of jobs at a time, is set only where jobs go to a cluster, which counts by itself.)
if workflow.is_main_process and workflow.resource_settings.nodes is None and gpus.visible():
    workflow.global_resources.setdefault("gpu", Resource("gpu", len(gpus.visible())))


@cache
def costs():
    """What earlier jobs took, as their records say: read once, and only where something is about to run."""
    return Costs()


@cache
def plan():
    """What is due. Asked once, by the first input that is looked for: only then it is known what the command is."""
    try:
        # Without an executor Snakemake only shows something.
        if workflow.executor_plugin is not None and not workflow.dryrun and workflow.execution_settings.lock:
            locks.hold_study(STUDY.name)
        plan = planning.plan_of(GRAPH, HASHES, workflow)
    except StudyError as error:
        # An error in an input function would be shown with its traceback.
        sys.exit(f"the study cannot run:\n{error}")
    slurm.say_queued(os.getcwd())
    if workflow.dryrun:
        print(why.report(plan, costs()), file=sys.stderr)
    for handler in workflow.logger_manager.get_log_handlers():
        if isinstance(handler, LogHandler) and handler.terminal is not None:
            handler.terminal.subject = Subject(
                STUDY.name,
                workload=lambda: Workload.of(workflow, plan, costs()),
                answers=lambda: summary.answers(GRAPH, HASHES),
                failure=lambda record: FAILURES.of(record),
            )
    return plan


def flags_of(tasks):
    """What a job waits for: the flags of those that it reads from, once what flags say is true.

    What is due in a batch is waited for by the batch's flag. A job on another machine knows no plan; it starts when
    those before it are done.
    """
    if workflow.is_main_process:
        plan()
    return list(dict.fromkeys(path for task in tasks for path in batch_of(task) or [task.flag]))


def writer_of(wildcards):
    """The task that leaves a file that is asked for by its path."""
    path = f"results/{wildcards.place}/{wildcards.path}"
    if (task := GRAPH.writer(path)) is None:
        # An error in an input function would be shown with its traceback.
        sys.exit(f"{path}: the study {STUDY.name} leaves no such file; `make files` lists those that it leaves")
    return task


def shown(*targets):
    """An input function: what `--report` shows of some targets, each file with its category and labels.

    Those that are as the study asks: of what is due a report says nothing. Where jobs run, nothing is shown.
    """
    stages = [stage for target in targets for stage in TARGETS[target]]

    def files(wildcards):
        if workflow.executor_plugin is not None and "--report-after-run" not in sys.argv:
            return []
        return [
            in_report(item.path, caption=CAPTIONS[item.caption], category=item.category, labels=item.labels)
            for item in reports.items(GRAPH, stages, HASHES)
        ]

    return files


def student(wildcards):
    """The student of a variant and seed."""
    return GRAPH.students[wildcards.variant, int(wildcards.seed)]


def outputs(wildcards):
    """The stored outputs of a teacher, which another recipe or view of a student has others of."""
    return next(task for task in GRAPH.outputs.values() if task.key == wildcards.key)


def batch_of(task):
    """The flag of the batch of jobs that a due training or measurement is done in."""
    batch = plan().batch_of.get(task) if workflow.is_main_process else None
    return [batch.flag] if batch else []


def members_of(stage):
    """An input function: the flags that the members of a batch wait for, and the file that lists them."""
    return lambda wildcards: [
        *batches.members(stage, wildcards.batch)["needs"],
        f"{batches.BATCHES}/{stage}/{wildcards.batch}.json",
    ]


def labels_of(stage):
    """A function that says who is in a batch."""
    return lambda wildcards: ", ".join(batches.members(stage, wildcards.batch)["labels"])


def stages_of(rule):
    """The stages that the jobs of a rule carry out, as `compute` in the study names them."""
    return {"cohorts": ("students",), "network_weights": ("data",)}.get(rule, (CARRYING.get(rule, rule),))


def parts_of(rule):
    """Where the study says what the jobs of a rule ask for."""
    return tuple(f"compute.{stage}" for stage in stages_of(rule))


def resources_of(rule):
    """What the configuration's `compute` says that a job of a rule needs; memory grows with each time that it ran out."""
    compute = [STUDY.compute[stage] for stage in stages_of(rule)]
    nodes, model = compute[0].get("nodes", 1), next((c["gpu_model"] for c in compute if "gpu_model" in c), None)
    gpu = max(c["gpu"] for c in compute)
    resources = {
        "gpu": gpu,
        "mem_mb": lambda wildcards: memory_of(rule, wildcards) * FAILURES.times_of_memory(rule, wildcards),
        # The same in each attempt: a training goes on, and a partition has its limit.
        "runtime": sum(c["runtime"] for c in compute),
    }
    # On a line of its own, which would look like a rule to `snakemake --lint` with a colon at its end.
    trains = rule in ("network", "cohorts")
    if trains:
        resources["slurm_extra"] = slurm.signal_before(resources["runtime"])
    if nodes > 1:
        resources |= slurm.over_nodes(nodes, gpu, model)
    elif gpu and model:
        resources["gpu_model"] = model
    return resources


def memory_of(rule, wildcards):
    """What a job of a rule asks for, the most of what the study says and its networks or earlier jobs tell."""
    memory = max(STUDY.compute[stage]["mem_mb"] for stage in stages_of(rule))
    # A job that has begun has what it asked for.
    return max(memory, costs().mem_mb(GRAPH, tasks_of(wildcards))) if workflow.is_main_process else memory


def tasks_of(wildcards):
    """The tasks that a job carries out: of a batch all that are due, of what is done alone the one of its key."""
    if "batch" in wildcards.keys():
        return [task for batch in plan().batches if batch.name == wildcards.batch for task in batch.tasks]
    return GRAPH.of_key(wildcards.key)


def threads_of(rule):
    """The cores that a job of a rule asks for. It computes with the threads of the study, granted or not."""
    return max(STUDY.compute[stage]["threads"] for stage in stages_of(rule))


def gpus_of(stage, resources):
    """The GPUs of a training: those that Snakemake grants, which may be fewer on one machine."""
    compute = STUDY.compute[stage]
    return compute["gpu"] if compute["nodes"] > 1 else resources.gpu


def launcher(stage, resources):
    """What starts a training: python, or torchrun with a process a GPU, on every node of the job."""
    nodes, gpus = STUDY.compute[stage]["nodes"], gpus_of(stage, resources)
    if gpus <= 1:
        return "python"
    if nodes == 1:
        return f"torchrun --standalone --nproc-per-node {gpus}"
    return (
        f"srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --cpus-per-task={STUDY.compute[stage]['threads']} "
        f"torchrun --nnodes {nodes} --nproc-per-node {gpus // nodes} --rdzv-backend c10d --rdzv-id $SLURM_JOB_ID "
        '--rdzv-endpoint "$(python -m distillation_dynamics.jobs.rendezvous)"'
    )


FAILURES = Failures(workflow, parts_of)
if workflow.is_main_process:
    logger.addHandler(FAILURES)
    slurm.attend(FAILURES, parts_of)


onerror:
    if FAILURES.final:
        logger.error(FAILURES.last_words(), extra={"closing": True})
