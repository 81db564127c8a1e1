# What every stage shares: the validated study, where its results lie, and what a job may ask of the machine.
import hashlib
import os
import shutil
import sys
from functools import cache
from pathlib import Path

LIBRARY = Path(str(workflow.basedir)) / "workflow"
sys.path.insert(0, str(LIBRARY))
# Jobs run `python -m distillation_dynamics.<stage>` with this library and, unless conda supplies one, this interpreter.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LIBRARY), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])

from snakemake.exceptions import WorkflowError
from snakemake.resources import Resource

from distillation_dynamics import facts, files, gpus, records, study as studies
from distillation_dynamics.errors import StudyError
from distillation_dynamics.sources import fingerprint, literals
from distillation_dynamics.spec import to_json

try:
    STUDY = studies.load(config, facts.describe)
except StudyError as error:
    raise WorkflowError(f"the configuration is not a valid study:\n{error}")

RESULTS = f"results/{STUDY.name}"
LOGS = f"logs/{STUDY.name}"
# What another study may use as it is lies in folders named after all that is asked of their content. Snakemake's own
# cache between workflows would do for one file a rule, kept outside the project and only where every user sets it up.
SHARED = "results/shared"
# With `--sdm conda` jobs run in it; otherwise in the environment that Snakemake runs in.
ENVIRONMENT = str(Path(str(workflow.basedir)) / "envs/environment.yaml")
# The end of every job's command line.
RECORD = " --record {params.record:q} --outputs {output:q} --threads {threads} > {log:q} 2>&1"
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

wildcard_constraints:
    variant=NAME,
    seed=r"\d+",
    figure=NAME,
    table=NAME,


# On one machine no more GPU jobs at a time than it has GPUs, unless `--resources gpu=` says otherwise. (`nodes`, the
# number of jobs at a time, is set only where jobs go to a cluster, which counts by itself.)
if workflow.is_main_process and workflow.resource_settings.nodes is None and gpus.visible():
    workflow.global_resources.setdefault("gpu", Resource("gpu", len(gpus.visible())))


def shared_folder(stage, *asked):
    """The folder, below SHARED, of a stage that depends on nothing but `asked`."""
    return f"{stage}/" + hashlib.sha256(to_json(asked).encode()).hexdigest()[:12]


def resources_of(stage):
    """What the configuration's `compute` says that a stage's jobs need; memory and time grow with the attempt."""
    compute = STUDY.compute[stage]
    nodes, model = compute.get("nodes", 1), compute.get("gpu_model")
    resources = {
        "gpu": compute["gpu"],
        "mem_mb": lambda wildcards, attempt: compute["mem_mb"] * attempt,
        "runtime": lambda wildcards, attempt: compute["runtime"] * attempt,
    }
    if nodes > 1:
        # As an MPI job: the rule itself calls srun, and GPUs are asked for by node.
        gres = ":".join(filter(None, ["gpu", model, str(compute["gpu"] // nodes)]))
        resources |= {"gpu": 0, "gres": gres, "nodes": nodes, "tasks": nodes, "mpi": "srun"}
    elif compute["gpu"] and model:
        resources["gpu_model"] = model
    if stage == "tables":
        # How many of these small jobs a group of them runs at a time, for which it asks: `resources` of the profile.
        resources["tables"] = 1
    if stage in ("teacher", "students"):
        # Asked to stop some minutes before SLURM's time limit, a training saves its state for the next attempt.
        resources["slurm_extra"] = (
            lambda wildcards, attempt: f"--signal=TERM@{min(300, 15 * compute['runtime'] * attempt)}"
        )
    return resources


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
        '--rdzv-endpoint "$(hostname):$((20000 + SLURM_JOB_ID % 40000))"'
    )


def minutes_between_states(wildcards, resources):
    """How often a training saves its state; asking for `resources` keeps Snakemake from rerunning when it changes."""
    return STUDY.state_minutes
