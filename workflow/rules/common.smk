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

from distillation_dynamics import facts, files, records, study as studies
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
# The end of every job's command line.
RECORD = " --record {params.record:q} --outputs {output:q} --threads {threads} > {log:q} 2>&1"
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

wildcard_constraints:
    variant=NAME,
    seed=r"\d+",
    figure=NAME,
    table=NAME,


def shared_folder(stage, *asked):
    """The folder, below SHARED, of a stage that depends on nothing but `asked`."""
    return f"{stage}/" + hashlib.sha256(to_json(asked).encode()).hexdigest()[:12]


def resources_of(stage):
    """What the configuration's `compute` says that a stage's jobs need; memory and time grow with the attempt."""
    compute = STUDY.compute[stage]
    model = {"gpu_model": compute["gpu_model"]} if compute["gpu"] and "gpu_model" in compute else {}
    return {
        "gpu": compute["gpu"],
        "mem_mb": lambda wildcards, attempt: compute["mem_mb"] * attempt,
        "runtime": lambda wildcards, attempt: compute["runtime"] * attempt,
        **model,
    }


def minutes_between_states(wildcards, resources):
    """How often a training saves its state; asking for `resources` keeps Snakemake from rerunning when it changes."""
    return STUDY.state_minutes
