"""How long a plan of a finished study takes, and how little of the results it reads.

    python benchmarks/plans.py [--study studies/imagenet.yaml] [--networks 3] [--variants 15] [--seeds 5] [--images 12]
    python benchmarks/plans.py --study config.yaml --networks 100 --variants 50 --seeds 10

A copy of the project in a temporary folder gets the study and all its results without computing any: sparse files of a
realistic size, and records that give each file a made-up hash. A study on folders of images gets tiny ones (`--images`
a class and source; ImageNet has 1281 and 50). More networks and variants than it has are copies of its own, of other
seeds and weights. Then `snakemake -n` runs twice, each time as a whole process; of the two the second is what a user
waits for. Before that it runs once where nothing is finished and all is due. Prints seconds (wall, and of processors),
bytes read (Linux: by the process and all that it started, its own code included), peak memory (of the largest of its
processes), and jobs, files and bytes of the study.

Since hashes are made up, a plan that reads any of the results finds it damaged. Fails where the second plan would run
anything. Goals: 2 seconds for the default study (`--study config.yaml`), 20 for ImageNet with 15 variants, 5 seeds and
11 checkpoints, 60 and 1 GB for 100 networks and 50 variants of 10 seeds.
"""

import argparse
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import yaml
from PIL import Image

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "workflow"
sys.path.insert(0, str(LIBRARY))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LIBRARY), os.environ.get("PYTHONPATH")]))

from distillation_dynamics.files import write_json  # noqa: E402
from distillation_dynamics.jobs import costs, model_info, record, run  # noqa: E402
from distillation_dynamics.jobs.build import build_graph  # noqa: E402
from distillation_dynamics.jobs.graph import Graph  # noqa: E402
from distillation_dynamics.jobs.hashes import IDENTITY, Hashes, identity  # noqa: E402
from distillation_dynamics.jobs.planning import content_of  # noqa: E402
from distillation_dynamics.jobs.publish import publish  # noqa: E402
from distillation_dynamics.jobs.task import Task  # noqa: E402
from distillation_dynamics.spec.data import PICTURES  # noqa: E402
from distillation_dynamics.study.load import load  # noqa: E402
from distillation_dynamics.study.study import Study  # noqa: E402

CONFIG = "study.yaml"
# Bytes of a table, a figure or a note; of arrays and weights whose size does not follow from the study.
SMALL, ARRAY, OBJECTIVE = 20_000, 25_000_000, 300_000
TABLE = ".parquet"
# What a plan looks at of networks that teach: such a result is that of a good one.
FIGURES = {
    "validation_images": 10_000, "validation_chance": 0.1, "test_top1": 80.0, "test_images": 10_000, "test_chance": 0.1,
    "images_per_second": None,
}  # fmt: skip


def copy_project(folder: Path) -> None:
    """Copy what a run needs; the images that come with the project stay where they are."""
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "resources").symlink_to(ROOT / "resources")


def configuration(path: Path, networks: int | None, variants: int | None, seeds: int | None) -> dict:
    """Return a study's configuration with so many networks, variants and seeds (None: its own)."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if networks is not None:
        config["networks"] |= dict(more(config["networks"], networks, of_another_seed))
    config["variants"] = dict(list(config["variants"].items())[:variants])
    if variants is not None:
        config["variants"] |= dict(more(config["variants"], variants, of_another_weight))
    if seeds is not None:
        config["seeds"] = list(range(seeds))
    if config.get("statistics", {}).get("baseline") not in config["variants"]:
        config.pop("statistics", None)
    families = config.get("statistics", {}).get("families", {})
    if not {name for family in families.values() for one in family for name in one} <= set(config["variants"]):
        config["statistics"].pop("families")
    return config


def more(known: dict[str, dict], count: int, changed: Callable[[dict, int], None]) -> Iterator[tuple[str, dict]]:
    """Yield copies of what is known, in turn, each changed by its number, until there are `count`."""
    names = list(known)
    for number in range(count - len(names)):
        name = names[number % len(names)]
        one = copy.deepcopy(known[name])
        changed(one, 1 + number)
        yield f"{name}_{number}", one


def of_another_seed(network: dict, number: int) -> None:
    """Change the seed of a network."""
    network["seed"] = network.get("seed", 0) + 1000 + number


def of_another_weight(variant: dict, number: int) -> None:
    """Change the weight of the first term of a variant."""
    term = next(part for part in variant.values() if isinstance(part, dict))
    term["weight"] = round(term["weight"] * (1 + number / 1000), 9)


def make_images(folder: Path, classes: int, count: int) -> None:
    """Write `count` images a class, all of them links to a few files: an image of one class is that of all."""
    first = folder / "class0000"
    for number in range(classes):
        own = folder / f"class{number:04d}"
        own.mkdir(parents=True)
        for image in range(count):
            name = f"{image:04d}.png"
            if own == first:
                Image.new("RGB", (8, 8), (image % 256, image // 256, 0)).save(own / name)
            else:
                os.link(first / name, own / name)


def make_sparse(path: str | Path, size: int) -> None:
    """Make a file of so many bytes that takes no room."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)


def size_of(result: Study, task: Task, path: str) -> int:
    """Return about how many bytes a file of a job has."""
    name, job = Path(path).name, task.job
    if name == "objective.safetensors":
        return OBJECTIVE
    if task.stage == "measure":
        count, blocks = job.image_sets[0].count, len(job.network.shapes)
        if name == "scalars.parquet":
            return 8 * count * blocks * len(job.network.folders)
        # Of all files that it leaves together.
        size, large = costs.stored_bytes(job), [path for path in task.writes if not path.endswith(TABLE)]
        return SMALL if size is None or path not in large else size // len(large)
    if name.endswith(".safetensors"):
        owner = result.variants[task.name.partition("/")[0]].student if task.stage == "students" else task.name
        return 4 * result.model_info[owner].parameters
    return ARRAY if name.endswith(".npy") else SMALL


def made_up(task: Task, name: str) -> dict:
    """Return what a record keeps of a file, with a hash that is not that of its content."""
    return {IDENTITY: identity(os.stat(name)), "sha256": hashlib.sha256(name.encode()).hexdigest()}


def finish(graph: Graph) -> None:
    """Write the files and the record of every job, as if all had run."""
    runs = {id(task): graph.runs[pair] for pair, task in graph.students.items()}
    with mock.patch.object(record, "facts_of", made_up):
        for task in graph.tasks:
            if id(task) in runs:
                publish(runs[id(task)], task)
                continue
            for path in task.writes:
                make_sparse(path, size_of(graph.study, task, path))
                if Path(path).name == "cost.json":
                    # Read where something is due: a training that took no time tells nothing.
                    write_json(path, {"seconds": 0.0, "start_seconds": 0.0, "images_per_second": None, "device": "cpu"})
                elif Path(path).name == PICTURES:
                    # Read by every plan: no image was left out.
                    write_json(path, {})
            if task.stage == "networks":
                top1 = 80.0 if task.job.expected_top1 is None else task.job.expected_top1
                figures = FIGURES | {"validation_top1": top1, "classes": graph.study.data.classes}
                write_json(task.path("result.json"), figures)
            record.write(task, run.inputs_of(task, Hashes()), seconds=1.0, threads=1, gpus=0)


def bytes_read() -> int | None:
    """Return what this process and those that it has waited for have read so far; None where nobody counts it."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    (line,) = [line for line in lines if line.startswith("rchar:")]
    return int(line.split()[1])


def plan(name: str) -> str:
    """Run `snakemake -n` as a whole process, print what it took and return what it said."""
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", CONFIG]
    read, start = bytes_read(), time.perf_counter()
    # Into a file: what comes through a pipe would count as read.
    with open("said.txt", "wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        # The usage of this process and of those that it waited for alone.
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds, after = time.perf_counter() - start, bytes_read()
    megabytes = "?" if read is None or after is None else f"{(after - read) / 1e6:.1f}"
    # Kilobytes on Linux, bytes on macOS.
    peak = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    print(f"{name:<8}{seconds:>10.2f}{used.ru_utime + used.ru_stime:>14.2f}{megabytes:>12}{peak:>12.0f}", flush=True)
    text = Path("said.txt").read_text(encoding="utf-8")
    if process.returncode != 0:
        raise SystemExit(f"the plan failed:\n{text[-3000:]}")
    return text


def print_size(graph: Graph, images: int) -> None:
    """Print how much there is to be planned."""
    links = set(graph.students.values())
    sizes = [os.stat(path).st_size for task in graph.tasks if task not in links for path in task.writes]
    linked = sum(len(task.writes) for task in links)
    records = sum(os.stat(task.record).st_size for task in graph.tasks)
    print(f"study {graph.study.name}: {len(graph.study.variants)} variants, {len(graph.study.seeds)} seeds, ", end="")
    kept = sum(len(student.checkpoints) for student in graph.study.students.values())
    print(f"{kept} checkpoints; {len(graph.tasks)} jobs, {images} images in folders")
    print(f"{len(sizes)} files and {linked} links, {sum(sizes) / 1e6:.0f} MB that are spoken for; ", end="")
    print(f"records {records / 1e6:.1f} MB")


def main() -> None:
    """Finish a study without computing it, and time two plans of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="studies/imagenet.yaml")
    parser.add_argument("--networks", type=int, help="with copies of other seeds; those of the study if left out")
    parser.add_argument("--variants", type=int, help="the first so many, or with copies; all if left out")
    parser.add_argument("--seeds", type=int, help="5 for the study of ImageNet, those of the study otherwise")
    parser.add_argument("--images", type=int, default=12, help="in each class folder of each source")
    arguments = parser.parse_args()
    of_imagenet = arguments.study == parser.get_default("study")
    seeds = 5 if arguments.seeds is None and of_imagenet else arguments.seeds
    config = configuration(ROOT / arguments.study, arguments.networks, arguments.variants, seeds)
    with tempfile.TemporaryDirectory(prefix="plans-") as folder:
        copy_project(Path(folder))
        os.chdir(folder)
        Path(CONFIG).write_text(json.dumps(config), encoding="utf-8")
        images = 0
        if config["data"]["source"] == "folder":
            for source in ("train", "test"):
                make_images(Path(config["data"][source]), config["data"]["classes"], arguments.images)
            images = 2 * config["data"]["classes"] * arguments.images
        # What is asked here is not remembered for the plan after the results: the first one is a first one.
        result = load(config, lambda asked: model_info.describe(asked, "networks"))
        graph = build_graph(result, content_of(result, Hashes()))
        heads = f"{'plan':<8}{'seconds':>10}{'CPU seconds':>14}{'read [MB]':>12}{'peak [MB]':>12}"
        print(heads)
        plan("all due")
        shutil.rmtree("results")
        finish(graph)
        print_size(graph, images)
        print(heads)
        plan("first")
        said = plan("second")
        os.chdir(ROOT)
    if "nothing would run" not in said:
        raise SystemExit(f"the second plan would run something:\n{said[:2000]}")


if __name__ == "__main__":
    main()
