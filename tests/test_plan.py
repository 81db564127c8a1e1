"""What a plan finds due: after any change, alone or with another, one run makes all that it must and nothing else.

The stages pretend (stand_ins), so that every file can be compared with what the study asks for now.
"""

import copy
import itertools
import json
import os
import random
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

import stand_ins
from conftest import ROOT
from distillation_dynamics import extensions
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_json
from distillation_dynamics.jobs import batches, fingerprints, listing, model_info, planning, provenance, record, run
from distillation_dynamics.jobs import store as jobs_store
from distillation_dynamics.jobs.build import build_graph
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.gathered import statistics_tables
from distillation_dynamics.jobs.graph import Graph
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.plan import Plan
from distillation_dynamics.jobs.publish import publish
from distillation_dynamics.jobs.run import said_by
from distillation_dynamics.jobs.task import GATHERING, Task, key_of
from distillation_dynamics.networks import acceptance
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.spec.base import from_json
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.study.load import load
from helpers import changed, describe, small_config, smoke_config, write_parquet

LIBRARY = "workflow/distillation_dynamics"
SLOTS = {"students": 2, "measure": 2, "compare": 2, "tables": 2}


class Workflow:
    """What a plan asks of Snakemake."""

    dryrun, executor_plugin = True, object()

    class dag_settings:
        forcerun, forceall, targets, until = frozenset(), False, frozenset(), frozenset()

    class resource_settings:
        nodes, cores = None, 1


class Library:
    """A copy of the library, of which tests change the code; what is known of the rest is kept from test to test."""

    def __init__(self, folder):
        self.folder, self.edited = folder, set()
        shutil.copytree(ROOT / LIBRARY, folder / LIBRARY, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(self, name, old, new):
        """Replace what stands once or more often in a module, where it stands first."""
        path = self.folder / LIBRARY / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        self.edited.add(name)
        self.forget()

    def restore(self):
        """Have all modules as they were."""
        for name in self.edited:
            shutil.copy(ROOT / LIBRARY / name, self.folder / LIBRARY / name)
        self.edited.clear()
        self.forget()

    def forget(self):
        """Have files looked at again; those that are what they were are not read."""
        fingerprints.library_at.cache_clear()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    result = Library(tmp_path_factory.mktemp("library"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(fingerprints, "ROOT", result.folder / "workflow")
        result.forget()
        yield result
    result.forget()


class Project:
    """A folder with a study, whose jobs are planned and pretended in this process, by a library that may change."""

    def __init__(self, folder, library):
        self.library, self.config = library, small_config()
        (folder / "train.parquet").symlink_to(ROOT / "resources/fashion_mnist/test-00000-of-00001.parquet")
        write_parquet(folder / "test.parquet", list(range(10)))
        for key in ("train", "test"):
            self.config["data"][key] = f"{key}.parquet"

    def graph(self) -> Graph:
        result = load(copy.deepcopy(self.config), describe)
        self.content = Content.read(result, Hashes())
        return build_graph(result, self.content)

    def graph_without_reading(self) -> Graph:
        """The jobs, of images that were read before."""
        return build_graph(load(copy.deepcopy(self.config), describe), self.content)

    def plan(self, forced=lambda task: False) -> Plan:
        plan = Plan(self.graph(), Hashes("results"), forced, SLOTS)
        plan.settle(begin=True)
        plan.hashes.save()
        return plan

    def run(self, plan=None):
        """Carry out what a plan finds due, in order; return it by stage and name."""
        plan = plan or self.plan()
        hashes = Hashes()
        for task in plan.graph.tasks:
            if task in plan.students and task in plan.reasons:
                if (own := task.needs[0]) in plan.training:
                    self._carry_out(own, hashes)
                publish(Task.read(own.file), Task.read(task.file))
            elif task in plan.reasons:
                self._carry_out(Task.read(task.file), hashes)
        return stand_ins.ran()

    def _carry_out(self, task, hashes):
        run.check(task)
        inputs = run.inputs_of(task, hashes)
        if not run.is_done(task, inputs, hashes):
            record.remove(task)
            stand_ins.carry_out(task)
            record.write(task, inputs, seconds=1.0, threads=1, gpus=0)

    def check(self):
        """One run was enough, and nothing is stale, except where stages write other bits each time."""
        plan = self.plan()
        assert plan.reasons == {}
        assert stand_ins.stale(plan.graph) == [] or Path(stand_ins.OTHER_BITS).is_file()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, library):
    """The results of the finished study."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        result = Project(folder, library)
        result.run()
        result.check()
    return folder / "results"


@pytest.fixture
def fresh(library, tmp_path, monkeypatch):
    """The study in a folder without results."""
    monkeypatch.chdir(tmp_path)
    yield Project(tmp_path, library)
    library.restore()


@pytest.fixture
def project(finished, fresh):
    """The study in a folder with a copy of its results."""
    shutil.copytree(finished, "results", copy_function=shutil.copyfile)
    return fresh


def setting(path, value):
    def change(project):
        project.config = changed(project.config, path, value)

    return change


def edit(name, old, new):
    return lambda project: project.library.edit(name, old, new)


def damage(pattern, content=b"x"):
    def change(project):
        path = sorted(Path("results").glob(pattern))[0]
        # A new file, and not the old one: a link of it lies in the store.
        path.unlink()
        path.write_bytes(content)

    return change


def remove(pattern):
    def change(project):
        paths = sorted(Path("results").glob(pattern))
        assert paths
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def images(project):
    write_parquet("test.parquet", list(range(10)), seed=5)


def other_bits(stage, pattern):
    """A file of a stage is lost, and made again with other bits, as on a GPU."""

    def change(project):
        remove(pattern)(project)
        Path(stand_ins.OTHER_BITS).write_text(stage)

    return change


NOTHING = {
    "a touch of everything": lambda project: [os.utime(path) for path in Path("results").rglob("*") if path.is_file()],
    "another umask": lambda project: [path.chmod(0o600) for path in Path("results").rglob("*") if path.is_file()],
    "threads and memory": setting("compute", {"students": {"threads": 3, "mem_mb": 9000}, "measure": {"threads": 2}}),
    "the size of cohorts": setting("compute", {"students": {"runs_per_job": 1}}),
    "images at a time": setting("compute", {"students": {"images_at_a_time": 8}}),
    "minutes between states": setting("state_minutes", 3),
    "the tolerance of a network": setting("networks.cait.tolerance", 7),
    "another spelling of a path": setting("data.train", "./train.parquet"),
    "another spelling of a number": setting("variants.hard.hard.weight", 0.90),
    "the words of an error": edit("training/loop.py", "is more than the", "exceeds the"),
    "what a training prints": edit(
        "training/written.py", 'f"epoch {epoch}: learning rate', 'f"Epoch {epoch}: learning rate'
    ),
    "a docstring": edit("networks/blocks.py", '"""Return timm', '"""Gives timm'),
    "a type hint": edit("training/member.py", "def _clip(self, recipe: Recipe)", "def _clip(self, recipe)"),
    "the words of an assert": edit("stages/cohorts.py", '"what is stored has a folder"', '"it has a folder"'),
    "the words of an error of Python": edit("networks/gradients.py", "it is in training", "it is not in"),
    "what a column says of itself": edit("training/log.py", "rate of this update", "its rate"),
    "a new function": edit("files.py", "def sha256(", "def unused():\n    return 1\n\n\ndef sha256("),
    "a comment": edit("data/split.py", "import numpy", "import  numpy"),
    "a constant of the plan": edit("jobs/costs.py", 'WEIGHTS = ".safetensors"', 'WEIGHTS = "safetensors"'),
    "the check of a study": edit("study/checks.py", "give one per channel", "one for each"),
    "the meaning of a key": edit("spec/training.py", "Passes over the training images", "Passes over all images"),
    "the bound of a key": edit("spec/training.py", "ge=1, le=100_000", "ge=1, le=200_000"),
    "metrics without the workflow": edit("metrics/__init__.py", "for number in range", "for number in  range"),
    "how a job is carried out": edit("jobs/run.py", "is already up to date", "is there"),
    "how a GPU is taken": edit("gpus.py", "time.sleep(1)", "time.sleep(2)"),
    "what only pairs that move need": edit("objectives/_gate.py", "total / count >=", "total / count >"),
    "a metric that is not measured": edit("metrics/tokens.py", "import torch\n", "import torch\nUNUSED = 1\n"),
    "the memory of hashes is lost": lambda project: (project.plan(), remove(".hashes.json")(project)),
    "flags are lost": remove(".flags"),
}
SOMETHING = {
    # What changes, and the trainings that follow.
    "the weight of a term": (setting("variants.hard.hard.weight", 0.8), ["hard"]),
    "a new variant": (setting("variants.more", {"cross_entropy": {"weight": 2}}), ["more"]),
    "a variant less": (lambda project: project.config["variants"].pop("hard"), []),
    "a variant under another name": (
        lambda project: project.config["variants"].update(other=project.config["variants"].pop("hard")),
        [],
    ),
    "two equal variants": (setting("variants.twin", {"cross_entropy": {"weight": 1}}), []),
    "a new seed": (setting("seeds", [0, 4]), ["none", "hard", "everything"]),
    "the recipe": (setting("student.recipe.epochs", 1), ["none", "hard", "everything"]),
    "an objective": (edit("objectives/hard.py", "argmax(dim=1)", "argmax(dim=-1)"), ["hard"]),
    "the trainer": (
        edit("training/member.py", "STEPS_BETWEEN_LOG_WRITES = 50", "STEPS_BETWEEN_LOG_WRITES = 9"),
        ["none", "hard", "everything"],
    ),
    "how teachers answer": (
        edit("training/teacher.py", "VERIFIED_IMAGES = 64", "VERIFIED_IMAGES = 32"),
        ["none", "hard", "everything"],
    ),
    "what sets threads": (
        edit("threads.py", "max(1, threads", "max(2, threads"),
        ["none", "hard", "everything"],
    ),
    "the teacher": (setting("networks.cait.label_smoothing", 0.1), ["hard", "everything"]),
    "the normalisation": (setting("view.mean", [0.3]), ["none", "hard", "everything"]),
    "the images": (images, ["none", "hard", "everything"]),
    "a metric": (edit("metrics/nearest_entropy.py", "CHUNK_VALUES = 2**18", "CHUNK_VALUES = 2**16"), []),
    "an option of a metric": (setting("measure.entropy_bins", 50), []),
    "the probe set": (setting("measure.images", 30), []),
    "the comparison": (setting("compare.images", 60), []),
    "the baseline": (setting("statistics", {"baseline": "hard"}), []),
    "a figure": (edit("figures/accuracy.py", "0.23 * len", "0.22 * len"), []),
    "what a figure shows": (edit("figures/accuracy.py", '"""', '"""So: '), []),
    "what a figure says": (edit("figures/accuracy.py", "CAPTION = (", 'CAPTION = (\n    "So: "'), []),
    "what a column of the curves says": (edit("training/log.py", "finished epochs; 0 is", "epochs; 0 is"), []),
    "colours": (setting("figures", {"palette": "muted"}), []),
    "a damaged table": (damage("smoke/tables/depth.parquet"), []),
    "a damaged link of a student": (damage("smoke/students/hard/seed0/logits_test.npy"), []),
    "a damaged run that nobody asks for": (damage("shared/runs/*/logits_test.npy"), []),
    "a damaged range of the teacher": (damage("smoke/measure/networks/cait/entropy/trained/range.json"), []),
    "a damaged teacher": (damage("shared/networks/*/trained.safetensors"), []),
    "a teacher made again with other bits": (other_bits("networks", "shared/networks"), ["hard", "everything"]),
    "a damaged teacher made again with other bits": (
        lambda project: (
            damage("shared/networks/*/trained.safetensors")(project),
            other_bits("networks", ".flags")(project),
        ),
        ["hard", "everything"],
    ),
    "damaged images made again with other bits": (
        lambda project: (damage("shared/data/*/train.npy")(project), other_bits("data", ".flags")(project)),
        ["none", "hard", "everything"],
    ),
    "measurements made again with other bits": (other_bits("measure", "smoke/measure/networks/cait"), []),
    "damaged images": (damage("shared/data/*/splits.parquet"), []),
    "students are gone": (remove("smoke/students"), []),
    "the store is gone": (remove("shared/runs"), []),
    "students and store are gone": (
        lambda project: (remove("smoke/students")(project), remove("shared/runs")(project)),
        ["none", "hard", "everything"],
    ),
    "all that is shared is gone": (remove("shared"), []),
    "records are gone": (remove("**/.record.json"), ["none", "hard", "everything"]),
}
SINGLE = NOTHING | {name: change for name, (change, _) in SOMETHING.items()}


def test_what_cannot_change_results_runs_nothing(project):
    for name, change in NOTHING.items():
        change(project)
        assert (name, project.plan().reasons) == (name, {})
    project.check()


@pytest.mark.parametrize("name", SOMETHING)
def test_a_change_trains_what_it_must_and_after_one_run_nothing_is_stale(project, name):
    change, expected = SOMETHING[name]
    change(project)
    trained = {name.partition("/")[0] for name in stand_ins.trained(project.run())}
    assert trained == set(expected)
    project.check()


def test_the_page_says_what_a_figure_shows_as_its_file_says_it_now(project, monkeypatch):
    """What a figure shows is the first sentence of its file, which changes nothing of the figure."""
    monkeypatch.setattr(extensions, "ROOT", project.library.folder / LIBRARY)
    edit("figures/accuracy.py", '"""', '"""So: ')(project)
    plan = project.plan()
    assert [task.stage for task in plan.reasons] == ["page"] and "So: " in plan.graph.page.job.shows["accuracy"]


# Ten pairs each day, fifty with what is slow.
PAIRS = random.Random(0).sample(list(itertools.combinations(SINGLE, 2)), 50)
PAIRS = [
    pytest.param(pair, id=" and ".join(pair), marks=[pytest.mark.slow] * (n >= 10)) for n, pair in enumerate(PAIRS)
]


@pytest.mark.parametrize("pair", PAIRS)
def test_two_changes_at_once_are_found_by_one_run(project, pair):
    for name in sorted(pair, key=lambda name: "gone" in name or "damage" in name or "lost" in name or "bits" in name):
        try:
            SINGLE[name](project)
        except (IndexError, AssertionError, KeyError):
            pytest.skip("the first change took what the second one changes")
    project.run()
    project.check()


def copy_over(path, to):
    """Copy as `cp -f` and rsync do, which replace a file that is not to be written into."""
    Path(to).unlink(missing_ok=True)
    return shutil.copyfile(path, to)


@pytest.mark.parametrize("copied", ["", "smoke", "shared", "shared/runs", "smoke/students", "smoke/measure"])
def test_results_copied_from_other_settings_are_told_by_what_they_are(project, tmp_path, copied):
    """A folder of results made with one weight lies over those made with another: whole, or a part of them."""
    kept = tmp_path / "kept"
    shutil.copytree("results", kept)
    setting("variants.hard.hard.weight", 0.5)(project)
    project.run()
    project.check()
    shutil.copytree(kept / copied, Path("results") / copied, dirs_exist_ok=True, copy_function=copy_over)
    plan = project.plan()
    if copied in ("", "smoke", "smoke/students"):
        assert [str(task) for task in plan.due("students")] == ["students hard/seed0"]
    assert plan.training == {}, "the run of these settings lies in the store"
    project.run(plan)
    project.check()
    # And the other way round: the results that were copied are those of the first settings.
    setting("variants.hard.hard.weight", 0.9)(project)
    assert stand_ins.trained(project.run()) == []
    project.check()


def test_a_configuration_changed_back_links_again_and_trains_nothing(project):
    for weight, expected in ((0.5, ["hard/seed0"]), (0.9, []), (0.5, [])):
        setting("variants.hard.hard.weight", weight)(project)
        assert stand_ins.trained(project.run()) == expected
        project.check()


def test_students_come_back_from_the_store_and_nothing_that_follows_them_is_due(project):
    remove("smoke/students")(project)
    plan = project.plan()
    assert {task.stage for task in plan.reasons} == {"students"} and project.run(plan) == []


def test_students_that_left_the_store_are_not_trained_again_where_their_teacher_comes_out_as_it_was(project):
    remove("shared/runs")(project)
    damage("shared/networks/*/trained.safetensors")(project)
    assert stand_ins.trained(project.run()) == []
    project.check()


def test_two_studies_with_an_equal_student_train_it_once(project):
    setting("name", "other")(project)
    setting("variants.more", {"cross_entropy": {"weight": 3}})(project)
    lines = project.run()
    assert stand_ins.trained(lines) == ["more/seed0"]
    assert not any(line.startswith(("data", "networks", "teacher")) for line in lines)
    project.check()
    setting("name", "smoke")(project)
    project.config["variants"].pop("more")
    project.check()


@pytest.fixture
def store(monkeypatch, capsys):
    """The command that lists and clears the store; returns what it says, that with which it fails too."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["store", *arguments])
        with pytest.raises(SystemExit) as end:
            jobs_store.main()
        return end.value.code or capsys.readouterr().out

    return command


def test_what_no_study_uses_is_listed_and_then_deleted(project, store):
    assert "Everything in the store is used" in store("unused")
    setting("variants.hard.hard.weight", 0.5)(project)
    project.run()
    listed = store("unused")
    assert len(re.findall(r"^results/shared/runs/[0-9a-f]{16} \(", listed, re.M)) == 1
    assert len(list(Path("results/shared/runs").iterdir())) == 4, "listing deletes nothing"
    assert "1 folders deleted" in store("unused", "--delete")
    project.check()


def test_clearing_a_study_leaves_what_others_use(project, store):
    setting("name", "other")(project)
    assert stand_ins.trained(project.run()) == []
    assert (
        "stay, because other studies use them" in store("clear", "other", "--yes")
        and not Path("results/other").exists()
    )
    setting("name", "smoke")(project)
    project.check()
    assert "there is no study of that name; there are smoke" in store("clear", "smok")
    refused = store("clear", "smoke")
    assert refused == "error: results/smoke: nothing was deleted; answer y, or give YES=1 (--yes)", "nobody is asked"
    project.check()
    store("clear", "smoke", "--yes")
    assert not Path("results/smoke").exists() and not list(Path("results/shared").glob("*/*"))
    assert len(stand_ins.trained(project.run())) == 3


def test_on_a_terminal_a_study_is_deleted_only_after_a_yes(project, store, monkeypatch):
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, stays in (("", True), ("n", True), ("y", False)):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: asked.append(question) or answer)
        store("clear", "smoke")
        assert Path("results/smoke").exists() is stays
    assert len(asked) == 3 and asked[0].startswith("Delete results/smoke (") and asked[0].endswith("? [y/N] ")


def test_unfinished_trainings_go_with_their_study(project, store):
    (run_folder, *_) = Path("results/shared/runs").iterdir()
    (run_folder / ".record.json").unlink()
    (run_folder / ".resume").mkdir()
    store("clear", "smoke", "--yes")
    assert not run_folder.exists()


def test_what_was_tampered_with_is_found_though_size_and_time_are_kept(project):
    remove("smoke/students")(project)
    assert stand_ins.trained(project.run()) == []
    path = next(Path("results/smoke/students").rglob("epoch001.safetensors"))
    status, content = path.stat(), bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and path.stat().st_mtime_ns == status.st_mtime_ns
    # It is a link: the run in the store is damaged with it.
    reasons = project.plan().reasons
    assert any("has changed since it was written" in reason for reason in reasons.values())
    assert len(stand_ins.trained(project.run())) == 1
    project.check()


def test_linking_a_run_into_another_study_has_no_file_read_again(project, monkeypatch):
    for name in ("third", "fourth"):
        setting("name", name)(project)
        project.run()
    monkeypatch.setattr("distillation_dynamics.jobs.hashes.sha256", lambda path: pytest.fail(f"{path} is read"))
    graph = project.graph_without_reading()
    for student in graph.students.values():
        for task in (student, student.needs[0]):
            assert record.fault(task, record.read(task.record), Hashes()) is None
    setting("name", "third")(project)
    for student in project.graph_without_reading().students.values():
        assert record.fault(student, record.read(student.record), Hashes()) is None


def test_a_second_plan_reads_no_file(project, monkeypatch):
    for path in Path("results").rglob("*"):
        os.utime(path)
    project.plan()
    monkeypatch.setattr("distillation_dynamics.jobs.hashes.sha256", lambda path: pytest.fail(f"{path} is read"))
    assert Plan(project.graph_without_reading(), Hashes("results"), slots=SLOTS).reasons == {}


def test_a_metric_that_changes_is_measured_alone_and_only_what_follows_is_made_again(project):
    edit("metrics/magnitude.py", "import torch\n", "import torch\nMORE = 1\n")(project)
    plan = project.plan()
    networks = ["networks/cait", *(f"students/{variant}/seed0" for variant in ("none", "hard", "everything"))]
    measured = [task.name for task in plan.due("measure")]
    assert sorted(measured) == sorted(f"{network}/magnitude" for network in networks)
    assert {task.stage for task in plan.reasons} == {"measure", "tables"} | {*GATHERING} - {"summary"}
    # Of depth.parquet: the metric has no bins, and no rows that are compared.
    assert [task.name for task in plan.due("tables")] == ["depth"] and plan.cohorts == []
    follows = {task.name for task in plan.due("figures")}
    reads = {name: {Path(path).stem for path in task.reads} for name, task in plan.graph.figures.items()}
    assert follows == {name for name, read in reads.items() if read & {"depth", *statistics_tables()}}
    assert {"depth_profiles", "shape"} <= follows and not {"cka", "terms"} & follows
    project.run(plan)
    project.check()


def test_the_range_of_the_reference_is_taken_along_by_the_entropy_of_all_others(project):
    damage("smoke/measure/networks/cait/entropy/trained/range.json")(project)
    plan = project.plan()
    assert {task.name.rpartition("/")[2] for task in plan.due("measure")} == {"entropy"}
    assert len(plan.due("measure")) == 4 and plan.due("compare") == [] and plan.training == {}


def test_an_added_network_measures_only_itself_and_its_comparisons(project):
    setting("networks.resnet", copy.deepcopy(smoke_config()["networks"]["resnet"]))(project)
    plan = project.plan()
    assert [task.name for task in plan.due("networks")] == ["resnet"]
    assert {task.name.rpartition("/")[0] for task in plan.due("measure")} == {"networks/resnet"}
    pairs = {task.name.rpartition("/")[0] for task in plan.due("compare")}
    assert pairs == {"networks/cait/resnet", "networks/resnet/resnet"}
    assert not {task.stage for task in plan.reasons} & {"data", "teacher_outputs", "students"}
    project.run(plan)
    project.check()
    project.config["networks"].pop("resnet")
    plan = project.plan()
    assert not {task.stage for task in plan.reasons} - {"map", *GATHERING}, "a network less measures nothing"
    project.run(plan)
    project.check()


def test_a_probe_more_is_measured_by_all_that_has_columns_of_images_and_compares_nothing(project):
    write_parquet("more.parquet", [0] * 5, seed=3)
    setting("probes", {"more": {"source": "parquet", "test": "more.parquet"}})(project)
    plan = project.plan()
    assert [task.name for task in plan.due("data")] == ["more"]
    assert {task.name.rpartition("/")[2] for task in plan.due("measure")} == {"entropy", "magnitude", "spectrum"}
    assert plan.due("compare") == plan.due("map") == [] and plan.training == {}
    project.run(plan)
    project.check()


def test_what_a_study_is_stands_in_a_file_when_something_runs(project):
    path = Path("results/smoke/study.json")
    graph, hashes = planning.graph_of(load(copy.deepcopy(project.config), describe), True)

    class Run(Workflow):
        dryrun = touch = False

    class Summary(Run):
        executor_plugin = None

    for shows in (Workflow, Summary):
        planning.plan_of(graph, hashes, shows)
        assert not path.exists(), "a dry run and a summary write nothing"
    planning.plan_of(graph, hashes, Run)
    first = path.read_text()
    said = json.loads(first)
    assert said["name"] == "smoke" and said["configuration"]["measure"]["entropy_bins"] == 100, "a default"
    assert said["configuration"] == graph.study.configuration
    assert said["configuration"]["variants"]["hard"]["hard"]["weight"] == 0.9
    shared = {str(task): task.folder for task in graph.tasks if task.folder.startswith("results/shared/")}
    assert said["shared_folders"] == shared and {"data main", "networks cait"} < {*shared}
    assert all(Path(folder).is_dir() for folder in shared.values())
    assert said["images"] == {"main": {"train": Hashes().of("train.parquet"), "test": Hashes().of("test.parquet")}}
    assert said["image_counts"] == {"main": {"train": 10000, "test": 10}}
    assert said["code"].keys() == {entry.partition(":")[0] for task in graph.tasks for entry in task.code}
    assert {"training.loop", "metrics.entropy"} < said["code"].keys()
    assert {"torch", "timm", "numpy", "snakemake", "python"} <= said["versions"].keys()
    assert said["commit"] is None or set(said["commit"]) == {"hash", "clean"}
    assert said["networks"]["cait"]["classes"] == 10 and said["networks"]["student"]["view"]["image_size"] == 28
    assert said["machine"]["cores"] and said["date"].startswith("20")
    # Nothing is due, and nothing is written; it is when something is.
    planning.plan_of(project.graph(), Hashes(), Run)
    assert path.read_text() == first
    setting("variants.hard.hard.weight", 0.8)(project)
    planning.plan_of(project.graph(), Hashes(), Run)
    assert json.loads(path.read_text())["configuration"]["variants"]["hard"]["hard"]["weight"] == 0.8


def test_packages_are_a_warning_and_on_demand_a_reason(project, capsys):
    path = Path("results/smoke/students/hard/seed0/.record.json")
    known = json.loads(path.read_text())
    known["packages"]["torch"] = "2.0.0"
    path.write_text(json.dumps(known))
    plan = project.plan()
    plan.say()
    assert plan.reasons == {} and "1 jobs were made with torch 2.0.0, here is" in capsys.readouterr().err
    setting("package_versions", "rerun")(project)
    (reason,) = {reason for task, reason in project.plan().reasons.items() if task.stage == "students"}
    assert "made with torch 2.0.0" in reason
    project.run()
    project.check()
    measured = Path("results/smoke/measure/networks/cait/entropy/.record.json")
    known = json.loads(measured.read_text())
    known["packages"]["timm"] = "0.1"
    measured.write_text(json.dumps(known))
    lines = project.run()
    assert "measure networks/cait/entropy" in lines and "measure networks/cait/magnitude" not in lines
    project.check()


@pytest.mark.parametrize(
    ("stage", "package"),
    [("figures", "matplotlib"), ("statistics", "scipy"), ("measure", "numpy"), ("tables", "pyarrow")],
)
def test_another_version_of_any_package_is_said_where_it_was_used(project, capsys, stage, package):
    paths = [Path(task.record) for task in project.plan().graph.of(stage)]
    for path in paths:
        known = json.loads(path.read_text())
        known["packages"][package] = "0.1"
        path.write_text(json.dumps(known))
    plan = project.plan()
    plan.say()
    assert plan.reasons == {}
    assert f"the results of {len(paths)} jobs were made with {package} 0.1, here is" in capsys.readouterr().err
    setting("package_versions", "rerun")(project)
    reasons = project.plan().reasons
    assert {task.stage for task, reason in reasons.items() if f"made with {package} 0.1" in reason} == {stage}
    assert not {"students", "networks", "data"} & {task.stage for task in reasons}
    project.run()
    project.check()


def test_what_only_some_trainings_need_trains_those_alone(project):
    """Shares of the loss, and pairs that move by a gate."""
    plain = {"cross_entropy": {"weight": 1}}
    shared = {"hard": {"weight": {"share": 0.3}}}
    gated = {"spectral": {"weight": 1, "pairs": [[0, 0], [1, 1]], "moves": {"by": "cka", "gate": 0.5}}}
    setting("variants", {"none": plain, "shared": plain | shared, "gated": plain | gated})(project)
    project.run()
    for edited, expected in (
        (edit("spec/training.py", "CALIBRATION_UPDATES = 100", "CALIBRATION_UPDATES = 50"), ["shared"]),
        (edit("objectives/_calibration.py", "1 - shares.sum()", "1.0 - shares.sum()"), ["shared"]),
        (edit("objectives/_gate.py", "total / count >=", "total / count >"), ["gated"]),
    ):
        edited(project)
        plan = project.plan()
        assert {run.name.partition("/")[0] for run in plan.training} == set(expected)
        assert not {"networks", "teacher_outputs", "data"} & {task.stage for task in plan.reasons}
        project.run(plan)
        project.check()


def test_forced_students_train_anew(project):
    plan = project.plan(lambda task: task.stage == "students")
    assert set(plan.training.values()) == {"forced"}
    assert len(stand_ins.trained(project.run(plan))) == 3
    project.check()


@pytest.mark.parametrize("stage", ["data", "networks", "measure", "compare", "map", "tables", "figures"])
def test_a_forced_stage_is_made_anew(project, stage):
    lines = project.run(project.plan(lambda task: task.stage == stage))
    assert any(line.split()[0] == stage for line in lines)
    project.check()


@pytest.mark.parametrize(
    ("seeds", "size", "slots", "expected"),
    [
        ([0], None, 2, [1, 2]),
        ([0], None, 1, [3]),
        ([0], None, 16, [1, 1, 1]),
        ([0, 1, 2], None, 2, [3, 3, 3]),
        ([0, 1], None, 4, [1, 1, 2, 2]),
        ([0, 1], 2, 2, [1, 1, 2, 2]),
        ([0, 1], 8, 2, [3, 3]),
        ([0, 1], None, None, [3, 3]),
    ],
)
def test_cohorts_hold_students_of_one_seed_and_leave_every_core_a_job(fresh, seeds, size, slots, expected):
    setting("seeds", seeds)(fresh)
    if size:
        setting("compute", {"students": {"runs_per_job": size}})(fresh)
    plan = Plan(fresh.graph(), Hashes(), slots=dict.fromkeys(SLOTS, slots))
    assert sorted(len(batch.tasks) for batch in plan.cohorts) == expected
    assert all(len({task.job.seed for task in batch.tasks}) == 1 for batch in plan.cohorts)
    members = [task.name for batch in plan.cohorts for task in batch.tasks]
    assert len(members) == len(set(members)) == 3 * len(seeds)
    measured = [task for batch in plan.measuring for task in batch.tasks]
    # Of each four metrics, the rows of comparisons among them; of each pair one comparison; the map.
    assert len(measured) == len(set(measured)) == 4 * (1 + 3 * len(seeds)) + (1 + 3 * len(seeds)) + 1


def test_what_is_more_than_half_of_a_slots_work_is_split_so_that_nobody_waits_for_it():
    parts = {"seed 0": list(range(12)), "the reference": list(range(12, 16))}
    shares = {"seed 0": 0.75, "the reference": 0.25}
    jobs = list(batches.dealt(parts, None, 2, shares))
    assert list(map(len, jobs)) == [4, 4, 4, 4]
    assert sorted(member for members in jobs for member in members) == list(range(16))


@pytest.mark.parametrize(("slots", "many", "expected"), [(None, 1, 1), (1, 1, 1), (2, 100, 1), (2, 1, 4)])
def test_many_figures_are_drawn_beside_the_statistics_where_there_is_a_slot(fresh, monkeypatch, slots, many, expected):
    monkeypatch.setattr("distillation_dynamics.jobs.batches.MANY_FIGURES", many)
    graph = fresh.graph()
    plan = Plan(graph, Hashes(), slots=dict.fromkeys(SLOTS, slots))
    assert len(plan.gathering) == expected
    gathered = [task for batch in plan.gathering for task in batch.tasks]
    assert sorted(task.name for task in gathered) == sorted(
        task.name for task in graph.tasks if task.stage in GATHERING
    )
    if expected == 4:
        tables, last, figures, ends = (batch.tasks for batch in plan.gathering)
        assert set(ends) == {graph.page, graph.paper}
        assert {task.stage for task in tables} == {"tables", "summary"}
        assert graph.statistics in last and {task.stage for task in figures} == {"figures"}
        rest = {n for n in gathered if graph.statistics in n.needs} - {*ends}
        assert {n for n in last if n is not graph.statistics} == rest
        plan.settle()
        waits = [read_json(batch.file)["needs"] for batch in plan.gathering]
        flags = [batch.flag for batch in plan.gathering]
        assert flags[0] in waits[1] and flags[0] in waits[2] and flags[1] not in waits[2]
        assert set(flags[:3]) == set(waits[3]), "page and paper wait for all others"


def test_a_study_of_15_variants_and_5_seeds_is_some_dozen_jobs_on_a_cluster(fresh):
    setting("seeds", list(range(5)))(fresh)
    terms = {"cross_entropy": {"weight": 0.1}, "soft": {"weight": 0.9}}
    setting("variants", {f"variant{n}": {**terms, "hard": {"weight": n + 1}} for n in range(15)})(fresh)
    plan = Plan(fresh.graph(), Hashes(), slots=dict.fromkeys(SLOTS))
    assert len(plan.training) == 75 and len(plan.gathering) == 1
    alone = [task for task in plan.reasons if task not in plan.batch_of and task.stage != "students"]
    assert {task.stage for task in alone} == {"data", "networks", "teacher_outputs"}
    assert len(plan.batches) + len(alone) == 3 + 10 + 11 + 11 + 1, "two cohorts, measurings and comparings a seed"
    names = {(batch.stage, batch.name.rpartition("-")[0]) for batch in plan.batches}
    assert len(names) == len(plan.batches), "each has a name of its own"
    assert {("cohorts", "variant0+variant10+variant12+variant14+4more-seed3"), ("tables", "")} <= names


def test_a_reason_names_the_key_and_the_code_that_changed(project):
    setting("variants.hard.hard.weight", 0.8)(project)
    reasons = {str(task): reason for task, reason in project.plan().reasons.items()}
    assert reasons["students hard/seed0"] == "terms.hard.weight: 0.9 -> 0.8"
    assert reasons["measure students/hard/seed0/entropy"] == "follows students"
    setting("variants.hard.hard.weight", 0.9)(project)
    edit("figures/accuracy.py", "0.23 * len", "0.22 * len")(project)
    reasons = {str(task): reason for task, reason in project.plan().reasons.items()}
    reason = reasons.pop("figures accuracy")
    assert reason.startswith("code of figures.accuracy: ") and " -> " in reason
    assert reasons == {"page": "follows figures", "paper": "follows figures"}


def test_a_task_survives_the_way_through_its_file(project):
    for task in project.graph().tasks:
        task.write("task.json")
        read = Task.read("task.json")
        assert {**vars(read), "needs": task.needs} == vars(task)
        assert key_of(read.stage, read.job, read.code) == task.key
        Path("task.json").unlink()


def weights_of_a_teacher(project, path, seed=0):
    """Write weights that fit the study's teacher; return what its configuration says of the model and its view."""
    model = changed(project.config["networks"]["cait"]["model"], "args.num_classes", 10)
    # Given whole: of this model's released weights timm knows another crop.
    view = project.config["view"] | {"crop_fraction": 1.0, "interpolation": "bicubic"}
    torch.manual_seed(seed)
    save_weights(path, build(Model(model["name"], model["args"], "xavier", 10), from_json(View, json.dumps(view))))
    return {"model": model, "view": view}


def test_a_teacher_that_is_not_what_is_expected_stops_the_plan(fresh):
    """With other expectations nothing is fetched or measured again, and they are checked all the same."""
    teacher = {"source": "checkpoint", "weights": "w.safetensors"}
    setting("networks.cait", teacher | weights_of_a_teacher(fresh, "w.safetensors"))(fresh)
    fresh.run()
    fresh.check()
    setting("networks.cait.expected_top1", 50.5)(fresh)
    setting("networks.cait.tolerance", 0.6)(fresh)
    fresh.check()

    planning.plan_of(fresh.graph(), Hashes(), Workflow)
    setting("networks.cait.tolerance", 0.4)(fresh)
    with pytest.raises(
        StudyError, match=r"networks\.cait\.expected_top1: 50\.00 % was measured .* 50\.5 \+- 0\.4 % is expected"
    ):
        planning.plan_of(fresh.graph(), Hashes(), Workflow)
    setting("networks.cait.sha256", "0" * 64)(fresh)
    with pytest.raises(StudyError, match=r"networks\.cait\.sha256: w\.safetensors has sha256 .* but 000"):
        planning.graph_of(load(copy.deepcopy(fresh.config), describe), True)


def test_images_that_were_left_out_stop_a_plan_that_allows_fewer(fresh, monkeypatch):
    """How many may be left out is in no key: what another study allowed is there for all, and is checked by each."""
    broken = {"a.png": "it is empty", "b.png": "it is no picture of a format that is read here"}
    monkeypatch.setattr(stand_ins, "BROKEN", broken)
    setting("data.broken_images", 3)(fresh)
    fresh.run()
    fresh.check()
    for allowed in (2, 3):
        setting("data.broken_images", allowed)(fresh)
        assert fresh.plan().reasons == {}
        planning.plan_of(fresh.graph(), Hashes(), Workflow)
    for allowed in (0, 1):
        setting("data.broken_images", allowed)(fresh)
        with pytest.raises(StudyError) as error:
            planning.plan_of(fresh.graph(), Hashes(), Workflow)
        assert str(error.value) == (
            "data.test: 2 of 5 images cannot be read: a.png (it is empty), b.png (it is no picture of a format that is "
            "read here); replace or remove them, or give data.broken_images: 2 to go on without them"
        )


def test_outputs_that_take_too_much_room_stop_the_plan_unless_they_are_there(project, monkeypatch):
    monkeypatch.setattr(acceptance, "MOST_STORED", 1000)
    planning.plan_of(project.graph(), Hashes(), Workflow)
    damage("shared/teacher_outputs/*/logits.npy")(project)
    with pytest.raises(
        StudyError, match=r"^student\.recipe: the teacher's outputs on the training images, stored because"
    ):
        planning.plan_of(project.graph(), Hashes(), Workflow)


def test_weights_of_a_local_folder_count_by_their_content_and_are_checked_for_damage(fresh):
    Path("local").mkdir()
    teacher = {"source": "timm", "weights": "local-dir:./local/"}
    teacher |= weights_of_a_teacher(fresh, "local/model.safetensors")
    setting("networks.cait", teacher | {"expected_top1": 50, "tolerance": 50})(fresh)
    fresh.run()
    fresh.check()
    setting("networks.cait.weights", "local-dir:local")(fresh)
    fresh.check()
    damage("shared/network_weights/*/model.safetensors")(fresh)
    assert [line.split()[0] for line in fresh.run()] == ["network_weights"]
    fresh.check()
    weights_of_a_teacher(fresh, "local/model.safetensors", seed=1)
    lines = fresh.run()
    assert {"network_weights", "networks"} <= {line.split()[0] for line in lines}
    assert len(stand_ins.trained(lines)) == 2
    fresh.check()
    setting("networks.cait.weights", "local-dir:nowhere")(fresh)
    with pytest.raises(StudyError, match=r"^networks\.cait\.weights: nowhere/model\.safetensors does not exist"):
        load(copy.deepcopy(fresh.config), model_info.describe)
    with pytest.raises(StudyError, match=r"^weights: nowhere/model\.safetensors does not exist"):
        load(copy.deepcopy(fresh.config), describe)


def test_only_what_is_asked_for_and_what_it_is_made_from_is_planned(project):
    remove("smoke/measure/networks/cait/entropy")(project)
    remove("smoke/figures")(project)
    graph = project.graph()
    figure = graph.writer("results/smoke/figures/terms.png")
    plan = Plan(graph, Hashes(), slots=SLOTS, asked=[figure])
    assert list(plan.reasons) == [figure] and [batch.tasks for batch in plan.batches] == [(figure,)]
    figure = graph.writer("results/smoke/figures/depth_profiles.png")
    plan = Plan(graph, Hashes(), slots=SLOTS, asked=[figure])
    assert {task.stage for task in plan.reasons} == {"measure", "tables", "statistics", "figures"}
    assert plan.due("figures") == [figure] and plan.due("compare") == plan.due("page") == []


def test_the_files_of_a_study_are_listed_with_what_made_them_and_whether_they_are_as_asked(
    project, capsys, monkeypatch
):
    # The project here plans without them.
    monkeypatch.setattr("distillation_dynamics.jobs.tried.columns", lambda study: {})
    assert (
        said_by(lambda: listing.print_files("smoke", [])) == "error: STUDY: results/smoke holds no study; run one first"
    )
    damage("smoke/tables/depth.parquet")(project)
    plan = project.plan()
    provenance.write(plan.graph)
    found = {file.path: file for file in listing.files(plan)}
    assert found.keys() == {path for task in plan.graph.asked for path in task.writes}
    file, task = found["results/smoke/summary/cost.md"], plan.graph.summary
    assert file[1:3] == ("summary", task.key) and file.written.startswith("20") and file.state == listing.AS_ASKED
    assert found["results/smoke/tables/depth.parquet"].state.endswith("has 1 bytes, 64 were written")
    assert found["results/smoke/index.html"].state.startswith("follows")
    assert {file.stage for file in listing.files(plan, ["figures", "results/smoke/paper/t"])} == {"figures", "paper"}
    capsys.readouterr()
    listing.print_files("smoke", ["page"])
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "stage", "key", "written", "state"]
    assert line.split()[:3] == ["results/smoke/index.html", "page", plan.graph.page.key]
