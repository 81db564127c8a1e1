"""Small studies that the tests share."""

import copy
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import yaml

from conftest import ROOT
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.content import DATA, Content
from distillation_dynamics.jobs.graph import Graph
from distillation_dynamics.jobs.task import CARRYING, TARGETS
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.spec.base import From, from_json, to_json
from distillation_dynamics.spec.images import Images
from distillation_dynamics.spec.machine import Machine
from distillation_dynamics.spec.network import ModelInfo, ModelQuery
from distillation_dynamics.spec.students import RunJob
from distillation_dynamics.spec.teacher_outputs import TeacherSource
from distillation_dynamics.stages import data as data_stage
from distillation_dynamics.study import load as loading
from distillation_dynamics.study.study import STUDENT, Study
from pictures import write_parquet

# The study of folders whose stages pretend.
STUDY = "study.yaml"


def copy_project(folder):
    """Copy what a run needs into `folder`; the images stay where they are."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "studies", "profiles", "slurm", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "resources").symlink_to(ROOT / "resources")
    return folder


def write_study(folder, config):
    """Write the study of a folder whose stages pretend."""
    (folder / STUDY).write_text(yaml.safe_dump(config))


def copied(project, folder):
    """Copy a project with its results, links and all, into the new folder `folder`."""
    subprocess.run(["cp", "-a", project, folder], check=True)
    return folder


def extension(monkeypatch, library, kind, text):
    """Write the file `mine.py` of a kind into a folder, and have this process take it for one of the library's."""
    path = library / kind / "mine.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    spec = spec_from_file_location(f"distillation_dynamics.{kind.replace('/', '.')}.mine", path)
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)


def snakemake(folder, *arguments, config="studies/smoke.yaml"):
    """Run Snakemake in `folder` as a user does."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", config]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=1800)


def jobs(dry_run):
    """Stage, or what gathers several -> number of jobs in the output of a dry run; targets have none of their own."""
    assert dry_run.returncode == 0, dry_run.stdout + dry_run.stderr
    text = dry_run.stdout + dry_run.stderr
    if "Nothing to be done" in text:
        return {}
    table = text.rpartition("Job stats:")[2].partition("Reasons:")[0]
    counts = re.findall(r"^(\w+)\s+(\d+)$", table, re.M)
    return {CARRYING.get(name, name): int(count) for name, count in counts if name not in ("total", "all", *TARGETS)}


def shared(project, stage):
    """The one folder of a stage that studies share."""
    (folder,) = (project / "results/shared" / stage).iterdir()
    return folder


def network_of(project, name):
    """The folder of a network that studies share, by its name in a study."""
    records = (project / "results/shared/networks").glob("*/.record.json")
    (folder,) = [path.parent for path in records if json.loads(path.read_text())["name"] == name]
    return folder


def smoke_config() -> dict:
    """The smoke study's configuration, with paths that hold from any folder."""
    config = yaml.safe_load((ROOT / "studies/smoke.yaml").read_text())
    for key in ("train", "test"):
        config["data"][key] = str(ROOT / config["data"][key])
    return config


def changed(config: dict, path: str, value) -> dict:
    """A copy of `config` with the dotted key `path` set to `value`."""
    config = copy.deepcopy(config)
    *parents, last = path.split(".")
    inner = config
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return config


def small_config(**changes) -> dict:
    """The smoke study with three variants and few metrics."""
    config = smoke_config()
    config["measure"]["metrics"] = ["entropy", "magnitude", "spectrum"]
    config["compare"]["metrics"] = ["cka"]
    del config["networks"]["resnet"]
    config["variants"] = {name: config["variants"][name] for name in ("none", "hard", "everything")}
    for path, value in changes.items():
        config = changed(config, path, value)
    return config


def load(config: dict) -> Study:
    """The study, its networks described in this process, each once."""
    return loading.load(config, describe)


def describe(queries: dict[str, ModelQuery]) -> dict[str, ModelInfo]:
    """What the networks are, each asked for once."""
    return {owner: _info(to_json(one)) for owner, one in queries.items()}


@cache
def _info(query: str) -> ModelInfo:
    return info_of(from_json(ModelQuery, query))


def tiny_study(tmp_path, **changes) -> Study:
    """The smoke study on 80 + 40 random images written under `tmp_path`, already split and decoded in `data` there."""
    config = smoke_config()
    for key, count in (("train", 100), ("test", 40)):
        path = tmp_path / f"{key}.parquet"
        write_parquet(path, np.arange(count) % 10, seed=count)
        config["data"][key] = str(path)
    for path, value in {
        "data.validation.per_class": 2,
        "student.recipe.train_images": 80,
        "student.recipe.batch_size": 16,
        "networks.cait.recipe.train_images": 80,
        "networks.cait.recipe.batch_size": 16,
        "networks.resnet.recipe.train_images": 80,
        "networks.resnet.recipe.batch_size": 16,
        "compare.images": 20,
        **changes,
    }.items():
        config = changed(config, path, value)
    result = load(config)
    split(result, tmp_path / "data")
    return result


def split(result: Study, out) -> None:
    """Run the data stage of a study into the folder `out`."""
    data_stage.main(result.data.job({}, out=str(out)))


def images_of(result: Study, folder, owner=STUDENT) -> Images:
    """The images of a study that were split into `folder`, as jobs of a network get them."""
    return result.data.seen(result.view(owner), "key", str(folder))


def run_job(result: Study, folder, variant, out, teacher=None, outputs=None, seed=0, **machine) -> RunJob:
    """The training of one student of a study whose images lie in `folder/data`.

    `teacher` is the weights file of its teacher, `outputs` the folder of its stored outputs (None: it is asked itself);
    of another teacher both have its name before theirs, or `untrained`: `resnet_teacher.safetensors`.
    """
    arm = result.variants[variant]

    def of(source, path):
        named = [source.network] if source.network != arm.teacher else []
        named += [source.weights] if source.weights != "trained" else []
        return str(path.with_name("_".join([*named, path.name])))

    sources = tuple(
        TeacherSource(
            *(result.model(source.network), result.view(source.network), result.model_info[source.network].size),
            From(f"teacher {source}", files=(of(source, Path(teacher)),)),
            stored=outputs is not None,
            outputs=None if outputs is None else of(source, Path(outputs)),
        )
        for source in arm.sources
    )
    student, images = result.students[arm.student], images_of(result, folder / "data", arm.student)
    return RunJob(
        *(images, result.model(arm.student), student.recipe, arm.terms, seed),
        *(student.checkpoints, student.gradient_logs, result.model_info[arm.student].size, sources),
        **{"label": f"{variant} seed {seed}", "machine": Machine(**machine), "out": str(out)},
    )


def graph_of(result: Study) -> Graph:
    """All jobs of a study, with made-up contents of its images."""
    return build_graph(result, Content({DATA: {"train": "a", "test": "b"}}))
