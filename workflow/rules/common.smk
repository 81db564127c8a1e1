# Shared by all rules: the validated study, its jobs and plan, and the resources of a job.
import os
import re
import sys
from functools import cache
from pathlib import Path

# The folder of this file, whichever Snakefile includes it.
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

# A study named on the command line replaces the default study completely. Read here instead of by `configfile:`, which
# would drop duplicate keys; Snakemake ships `configfiles` to machines without a shared disk.
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
    # As an error of the workflow it would be printed with lines of this file.
    sys.exit(f"the study cannot run:\n{error}{planning.where(LIBRARY.parent)}")

LOGS = f"logs/{STUDY.name}"
# With `--sdm conda` jobs run in this environment; otherwise in Snakemake's.
ENVIRONMENT = "../../envs/environment.yaml"
# The command line of every job; one file describes it.
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


# On one machine at most as many GPU jobs at a time as GPUs, unless `--resources gpu=` is given. (`nodes`, the number of
# parallel jobs, is set only for a cluster, which schedules by itself.)
if workflow.is_main_process and workflow.resource_settings.nodes is None and gpus.visible():
    workflow.global_resources.setdefault("gpu", Resource("gpu", len(gpus.visible())))


@cache
def costs():
    """Costs of earlier jobs from their records; read once, and only if something is about to run."""
    return Costs()


@cache
def plan():
    """The plan; made once, for the first input function, since only then the command is known."""
    try:
        # Without an executor Snakemake runs nothing.
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
    """The flags of a job's inputs, after the flags have been brought up to date.

    What is due in a batch is waited for by the batch's flag. A job on another machine knows no plan; it starts when
    those before it are done.
    """
    if workflow.is_main_process:
        plan()
    return list(dict.fromkeys(path for task in tasks for path in batch_of(task) or [task.flag]))


def writer_of(wildcards):
    """The task that writes a file requested by its path."""
    path = f"results/{wildcards.place}/{wildcards.path}"
    if (task := GRAPH.writer(path)) is None:
        # An error in an input function would be shown with its traceback.
        sys.exit(f"{path}: the study {STUDY.name} leaves no such file; `make files` lists those that it leaves")
    return task


def shown(*targets):
    """An input function: the files of some targets for `--report`, with category and labels.

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
    """The stored outputs of a teacher; they depend on the student's recipe and view."""
    return next(task for task in GRAPH.outputs.values() if task.key == wildcards.key)


def batch_of(task):
    """The flag of the batch that carries out a due training or measurement."""
    batch = plan().batch_of.get(task) if workflow.is_main_process else None
    return [batch.flag] if batch else []


def members_of(stage):
    """An input function: the flags that the members of a batch wait for, and the file that lists them."""
    return lambda wildcards: [
        *batches.members(stage, wildcards.batch)["needs"],
        f"{batches.BATCHES}/{stage}/{wildcards.batch}.json",
    ]


def labels_of(stage):
    """A function that returns the members of a batch."""
    return lambda wildcards: ", ".join(batches.members(stage, wildcards.batch)["labels"])


def stages_of(rule):
    """The stages of a rule's jobs by their names in the study's `compute`."""
    return {"cohorts": ("students",), "network_weights": ("data",)}.get(rule, (CARRYING.get(rule, rule),))


def parts_of(rule):
    """The parts of the study that configure the jobs of a rule."""
    return tuple(f"compute.{stage}" for stage in stages_of(rule))


def resources_of(rule):
    """The resources that `compute` gives a job of a rule; memory grows each time it ran out."""
    compute = [STUDY.compute[stage] for stage in stages_of(rule)]
    nodes, model = compute[0].get("nodes", 1), next((c["gpu_model"] for c in compute if "gpu_model" in c), None)
    gpu = max(c["gpu"] for c in compute)
    resources = {
        "gpu": gpu,
        "mem_mb": lambda wildcards: memory_of(rule, wildcards) * FAILURES.times_of_memory(rule, wildcards),
        # The same in each attempt: a training resumes, and a partition has its limit.
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
    """The resources a job requests: the maximum of the study's setting, estimates and earlier jobs."""
    memory = max(STUDY.compute[stage]["mem_mb"] for stage in stages_of(rule))
    # A job that has begun keeps its resources.
    return max(memory, costs().mem_mb(GRAPH, tasks_of(wildcards))) if workflow.is_main_process else memory


def tasks_of(wildcards):
    """The tasks of a job: all due ones of its batch, or the one with its key."""
    if "batch" in wildcards.keys():
        return [task for batch in plan().batches if batch.name == wildcards.batch for task in batch.tasks]
    return GRAPH.of_key(wildcards.key)


def threads_of(rule):
    """The cores that a job requests. It computes with the study's number of threads in any case."""
    return max(STUDY.compute[stage]["threads"] for stage in stages_of(rule))


def gpus_of(stage, resources):
    """The GPUs of a training: those that Snakemake grants, which may be fewer on one machine."""
    compute = STUDY.compute[stage]
    return compute["gpu"] if compute["nodes"] > 1 else resources.gpu


def launcher(stage, resources):
    """The command of a training: python, or torchrun with one process per GPU on every node."""
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
