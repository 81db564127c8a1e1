"""Stages that only pretend to work, for tests of what runs: each file holds a hash of the job and of what it reads.

So it can be told of any folder of results whether every file in it is what the study asks for now, made from what lies
beside it now. `use_in` puts them into a copy of the project, where Snakemake runs them in the place of the real ones.
"""

import hashlib
import json
import time
from pathlib import Path

LIBRARY = "workflow/distillation_dynamics"
# In a folder with this file stages that it names write other bits each time, like those of a GPU.
OTHER_BITS = "other_bits"
# Images that the data stage left out, and why.
BROKEN: dict[str, str] = {}
# While this file is there no stage goes on.
HOLD = "hold"
# What plans read of results.
FIGURES = {
    "validation_top1": 50.0, "validation_images": 200, "validation_chance": 10.0, "test_top1": 50.0, "test_images": 200,
    "test_chance": 10.0, "classes": 10, "images_per_second": None,
}  # fmt: skip


def content(task, name, salt=""):
    """What a stage writes into a file: nothing but its key, the file's name and all that it reads."""
    read = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in sorted(task.reads)]
    return hashlib.sha256(json.dumps([task.key, Path(name).name, read, salt]).encode()).hexdigest()


def carry_out(task):
    """Write the files of a task, and note that it was carried out; not while a test holds the jobs."""
    while Path(HOLD).is_file():
        time.sleep(0.05)
    with open("ran.log", "a") as log:
        log.write(f"{task}\n")
    salted = Path(OTHER_BITS).is_file() and task.stage in Path(OTHER_BITS).read_text().split()
    salt = str(Path("ran.log").stat().st_size) if salted else ""
    for path in task.writes:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        said = content(task, path, salt)
        if path.endswith("pictures.json"):
            said = json.dumps({"test": {"images": 3, "notes": [], "broken": BROKEN, "said": said}})
        elif path.endswith(".json"):
            said = json.dumps(FIGURES | {"said": said})
        Path(path).write_text(said)


def ran(folder="."):
    """What was carried out since the last call."""
    log = Path(folder) / "ran.log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return lines


def trained(lines):
    """The trainings among them."""
    return [line.removeprefix("students ") for line in lines if line.startswith("students ")]


class Together:
    """Stands for a stage that carries out several jobs together, told their tasks beforehand."""

    tasks = ()
    Session = object

    @classmethod
    def main(cls, jobs, gpus, progress, start, session=None):
        """Pretend to work."""
        for number, task in enumerate(cls.tasks):
            progress.begin(number)
            carry_out(task)
            progress.end(number, 1.0)


RUN_REPLACED = {
    "    main = load_stage(task.stage, count).main\n": "    main = lambda *a, **k: stand_ins.carry_out(task)\n",
    '    cohorts = load_stage("students", count)\n': (
        "    cohorts = stand_ins.Together\n    cohorts.tasks = [task for task, _ in due]\n"
    ),
    '        measuring = load_stage("measure", count)\n': (
        "        measuring = stand_ins.Together\n        measuring.tasks = [task for task, _ in due]\n"
    ),
    "import argparse\n": "import argparse\nfrom . import stand_ins\n",
}


def use_in(project):
    """Have the stages of a copy of the project pretend."""
    run = project / LIBRARY / "jobs/run.py"
    text = run.read_text()
    for old, new in RUN_REPLACED.items():
        assert old in text
        text = text.replace(old, new, 1)
    run.write_text(text)
    (project / LIBRARY / "jobs/stand_ins.py").write_text(Path(__file__).read_text())
    return project


def stale(graph):
    """Files of a study that are not what it asks for, made from what lies there now."""
    wrong = []
    for task in graph.asked:
        for path in task.writes:
            expected = content(task, path)
            said = Path(path).read_text() if Path(path).is_file() else "missing"
            if path.endswith(".json") and said.startswith("{"):
                read = json.loads(said)
                said = read.get("test", read)["said"]
            if said != expected:
                wrong.append(path)
    return wrong
