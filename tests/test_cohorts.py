"""A student ends in the same bits alone and in any cohort; each member ends, stops and goes on by itself."""

import importlib.util
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import zoo
from conftest import ROOT
from distillation_dynamics import errors
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_json
from distillation_dynamics.jobs import record, run
from distillation_dynamics.jobs.task import SHARED, Task, code_of, key_of
from distillation_dynamics.networks.blocks import block_names
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.weights import save_weights
from distillation_dynamics.progress import Progress
from distillation_dynamics.stages import cohorts, teacher_outputs
from distillation_dynamics.training import loop
from distillation_dynamics.training import member as member_module
from distillation_dynamics.training.member import Member
from distillation_dynamics.training.teacher import OnlineTeacher
from distillation_dynamics.training.trainable import Seen, Trainable
from helpers import images_of, run_job, tiny_study
from losses import LOGITS
from test_measure import FAMILIES
from test_training import use_rate

CPU = torch.device("cpu")
ASK_FOR_LOGITS = {"cross_entropy": {"weight": 0.1, "label_smoothing": 0.1}, "soft": {"weight": 0.9}}
# Labels alone, logits, features of one block or several, trained and frozen projections, features without logits; and
# terms whose weight or pairs change over training, controls, and another teacher.
VARIANTS = {
    "none": {"cross_entropy": {"weight": 1}},
    "hard": {"cross_entropy": {"weight": 0.1}, "hard": {"weight": 0.9}},
    "soft": ASK_FOR_LOGITS,
    "spectral": {**ASK_FOR_LOGITS, "spectral": {"weight": 0.2, "pairs": ["first", "last"]}},
    "projector": {**ASK_FOR_LOGITS, "projector": {"weight": 0.2, "pairs": "last"}},
    "frozen": {**ASK_FOR_LOGITS, "projector": {"weight": 0.2, "pairs": "first", "frozen": True}},
    "features": {"cross_entropy": {"weight": 1}, "spectral": {"weight": 0.5, "pairs": [[0, 1]]}},
    "shared": {**ASK_FOR_LOGITS, "spectral": {"weight": {"share": 0.3}, "pairs": "last"}},
    "course": {
        **ASK_FOR_LOGITS,
        "late": {
            "objective": "spectral",
            "weight": 0.2,
            "pairs": "last",
            "course": {"shape": "cosine", "values": [0, 1], "between": [0.3, 0.6], "off_after": 0.8},
        },
    },
    "targets": {
        **ASK_FOR_LOGITS,
        "null": {"objective": "spectral", "weight": 0.2, "pairs": "first", "target": "zero"},
        "other": {"objective": "spectral", "weight": 0.2, "pairs": "last", "target": "shuffled"},
        "placebo": {"objective": "projector", "weight": 0.2, "pairs": "last", "target": "permuted"},
    },
    "untrained": {
        **ASK_FOR_LOGITS,
        "spectral": {"weight": 0.2, "pairs": ["first", "last"], "target": "untrained"},
    },
    "two_teachers": {
        "cross_entropy": {"weight": 0.1},
        "soft": {"weight": 0.9, "teacher": "resnet"},
        "spectral": {"weight": 0.2, "pairs": "last"},
    },
    "dose": {**ASK_FOR_LOGITS, "spectral": {"weight": {"gradient_share": 0.2}, "pairs": "last"}},
    "moving": {
        **ASK_FOR_LOGITS,
        "spectral": {"weight": 0.2, "pairs": [[0, 0], [1, 2]], "moves": {"by": "cka", "gate": 0.01}},
        "projector": {"weight": 0.1, "pairs": [[0, 0], [1, 2]], "moves": {"by": "epoch"}},
    },
    "both": {
        **ASK_FOR_LOGITS,
        "spectral": {"weight": 0.2, "pairs": [[1, 2]]},
        "projector": {"weight": 0.1, "pairs": [[0, 0]]},
    },
    # Modules with random draws, and modules rebuilt from their parameters in each update.
    "drawn": {
        **ASK_FOR_LOGITS,
        "mgd": {"weight": 1, "pairs": "last"},
        "random": {"objective": "gram", "over": "random", "sampled": 50, "weight": 1, "pairs": "first"},
        "vkd": {"weight": 0.1, "pairs": "last"},
    },
}
AUGMENTATION = {"auto_augment": "rand-m9-mstd0.5-inc1", "random_erasing": 0.25, "crop_scale": [0.5, 1.0]}
CHANGES = {
    "variants": VARIANTS,
    # Everything that draws from a random stream while a student trains.
    "student.model.args.drop_path_rate": 0.2,
    "student.model.args.proj_drop_rate": 0.1,
    "student.recipe.clip_gradient_norm": 1.0,
    "student.recipe.validate_every": 2,
    "student.recipe.epochs": 3,
}
FILES = [
    "objective.safetensors",
    "logits_validation.npy",
    "logits_test.npy",
    "steps.parquet",
    "epochs.parquet",
    "terms.parquet",
    "term_gradients.parquet",
]
FILES += ["result.json", *(f"checkpoints/epoch{epoch:03d}.safetensors" for epoch in (0, 1, 2, 3))]


class Study:
    """A tiny study with a teacher, asked each time (`online`) or once, and its students trained alone."""

    def __init__(self, folder, online):
        augmentation = {"student.recipe.augmentation": AUGMENTATION} if online else {}
        self.folder, self.result = folder, tiny_study(folder, **CHANGES, **augmentation)
        self.weights, self.outputs = folder / "teacher.safetensors", None if online else folder / "outputs"
        teacher, features = self.result.teacher, [("features", block) for block in range(3)]
        asked = {"": (teacher, [LOGITS, *features]), "untrained_": (teacher, features), "resnet_": ("resnet", [LOGITS])}
        for seed, (kind, (name, parts)) in enumerate(asked.items(), 9):
            torch.manual_seed(seed)
            network = build(self.result.model(name), self.result.view(name))
            save_weights(folder / f"{kind}teacher.safetensors", network)
            if not online:
                images = Split(images_of(self.result, folder / "data"), "train", 80)
                teacher_outputs.write(folder / f"{kind}outputs", network, images, None, parts, CPU)
        self.alone = folder / "alone"
        for variant in VARIANTS:
            self.train([variant], self.alone)

    def job(self, variant, out, **machine):
        return run_job(self.result, self.folder, variant, out / variant, self.weights, self.outputs, **machine)

    def train(self, variants, out, progress=None, **machine):
        cohorts.main([self.job(variant, out, **machine) for variant in variants], progress=progress)
        return out


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("stored"), online=False)


@pytest.fixture(scope="module")
def online(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("online"), online=True)


def assert_equal(out, study, variants=tuple(VARIANTS)):
    for variant in variants:
        for name in FILES:
            assert (out / variant / name).read_bytes() == (study.alone / variant / name).read_bytes(), (variant, name)


SETS = {
    "all of them": list(VARIANTS),
    "all of them the other way round": list(reversed(VARIANTS)),
    "two": ["both", "none"],
    "two that ask for features alone and for nothing": ["features", "none"],
    "three in some order": random.Random(4).sample(list(VARIANTS), 3),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("teacher", ["stored", "online"])
def test_a_student_has_the_same_bits_alone_and_in_a_cohort(request, tmp_path, teacher, name):
    study = request.getfixturevalue(teacher)
    assert_equal(study.train(SETS[name], tmp_path), study, SETS[name])


def test_students_that_were_compared_are_not_all_alike(stored):
    last = {(stored.alone / variant / FILES[-1]).read_bytes() for variant in VARIANTS}
    assert len(last) == len(VARIANTS)


class Silent(Progress):
    """Records the events it receives."""

    def __init__(self):
        self.ended, self.failed = [], {}

    def end(self, member, seconds):
        self.ended.append(member)
        assert seconds > 0

    def fail(self, member, error):
        self.failed[member] = error


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_member_that_diverges_ends_alone_and_the_others_have_their_bits(stored, tmp_path, monkeypatch, place):
    variants = [variant for variant in VARIANTS if variant != "projector"]
    variants.insert(place, "projector")
    real = Trainable.forward

    def poisoned(self, *arguments):
        parts = real(self, *arguments)
        terms = self.objective.terms
        trains_projections = "projector" in terms and not terms["projector"].options["frozen"]
        if trains_projections and "spectral" not in terms and torch.is_grad_enabled():
            poisoned.calls += 1
            if poisoned.calls > 7:
                parts["projector"] = parts["projector"] * float("nan")
        return parts

    poisoned.calls = 0
    monkeypatch.setattr(Trainable, "forward", poisoned)
    progress = Silent()
    stored.train(variants, tmp_path, progress)
    (member,) = progress.failed
    assert variants[member] == "projector" and len(progress.ended) == len(variants) - 1
    assert "training: projector became nan in epoch 2, step" in str(progress.failed[member])
    assert not (tmp_path / "projector/result.json").exists()
    assert_equal(tmp_path, stored, [variant for variant in variants if variant != "projector"])


def test_when_all_members_diverge_the_cohort_ends(tmp_path, stored, monkeypatch):
    use_rate(monkeypatch, 1e30)
    result = tiny_study(tmp_path, **CHANGES)
    jobs = [run_job(result, tmp_path, v, tmp_path / v, stored.weights, stored.outputs) for v in ("none", "soft")]
    progress = Silent()
    cohorts.main(jobs, progress=progress)
    assert sorted(progress.failed) == [0, 1] and progress.ended == []


# What a term does -> what is said of it. It stands in the ninth line of its file.
FORWARD = "def forward(self, student_logits, teacher_logits): "
RAISES = {
    "build": ("def build(self): raise ValueError('no\\nroom')", r"objectives/mine\.py, line 9: ValueError: no room$"),
    "forward": (FORWARD + "return 1 / 0", r"mine\.py, line 9: ZeroDivisionError"),
    "forward, later": (
        "calls = 0\n"
        "    def forward(self, student_logits, teacher_logits):\n"
        "        Loss.calls += 1\n"
        "        return student_logits.mean() if Loss.calls < 8 else teacher_logits[len(teacher_logits)]",
        r"mine\.py, line 12: IndexError",
    ),
    "backward": (FORWARD + "return Bad.apply(student_logits)", r"mine\.py, line 7: KeyError: 'a gradient'"),
    "no number": (FORWARD + "return None", r"mine\.py, line 9: returned None; return one number"),
    "a text": (FORWARD + "return 'low'", r"mine\.py, line 9: returned 'low'; return one number"),
    "many numbers": (FORWARD + "return student_logits", r"returned torch.float32 \(2, 10\); return one number"),
    "a whole number": (FORWARD + "return student_logits.argmax()", r"returned torch.int64 \(\); return one number"),
    "what others are handed": (
        FORWARD + "return teacher_logits.div_(4).sub(student_logits).mean()",
        r"line 9: it \(or the term's target\) changes teacher_logits in place, which others are handed, too",
    ),
}
MINE = """import torch
from distillation_dynamics.objective import Term
class Bad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.mean()
    @staticmethod
    def backward(ctx, y): raise KeyError("a gradient")
class Loss(Term):
    {}
"""


def own_module(monkeypatch, tmp_path, kind, text):
    """Put a file that people might add into the library, as far as this process sees it."""
    path = tmp_path / "workflow/distillation_dynamics" / kind / "mine.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    monkeypatch.setattr(errors, "LIBRARY", str(path.parents[1]))
    spec = importlib.util.spec_from_file_location(f"distillation_dynamics.{kind}.mine", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)


def with_mine(study, out, **term):
    """Jobs of two variants and, between them, one with a term of its own."""
    jobs = [study.job(variant, out) for variant in ("soft", "both", "spectral")]
    terms = jobs[0].terms
    mine = replace(
        terms[-1], **{"name": "mine", "objective": "mine", "takes": ("student_logits", "teacher_logits")} | term
    )
    jobs[1] = replace(jobs[1], terms=(terms[0], mine), out=str(out / "mine"))
    return jobs


@pytest.mark.parametrize("name", RAISES)
def test_a_member_whose_objective_fails_ends_alone_with_file_and_line(stored, tmp_path, monkeypatch, name):
    own_module(monkeypatch, tmp_path, "objectives", MINE.format(RAISES[name][0]))
    progress = Silent()
    cohorts.main(with_mine(stored, tmp_path), progress=progress)
    assert list(progress.failed) == [1] and sorted(progress.ended) == [0, 2]
    assert re.search(RAISES[name][1], str(progress.failed[1])) and "\n" not in str(progress.failed[1])
    assert not (tmp_path / "mine/result.json").exists()
    assert_equal(tmp_path, stored, ["soft", "spectral"])


def test_a_member_whose_target_fails_ends_alone_with_file_and_line(stored, tmp_path, monkeypatch):
    own_module(monkeypatch, tmp_path, "targets", "def target(values, kind, seed):\n    return values.no_such\n")
    progress = Silent()
    cohorts.main(with_mine(stored, tmp_path, name="mine", objective="soft", target="mine"), progress=progress)
    assert re.search(r"targets/mine\.py, line 2: AttributeError", str(progress.failed[1]))
    assert_equal(tmp_path, stored, ["soft", "spectral"])


def test_a_cohort_none_of_whose_members_can_begin_ends(stored, tmp_path, monkeypatch):
    own_module(monkeypatch, tmp_path, "objectives", MINE.format(RAISES["build"][0]))
    progress = Silent()
    cohorts.main(with_mine(stored, tmp_path)[1:2], progress=progress)
    assert list(progress.failed) == [0] and progress.ended == []


def test_memory_that_runs_out_is_not_a_members_own(stored, tmp_path, monkeypatch):
    own_module(
        monkeypatch, tmp_path, "objectives",
        MINE.format("def forward(self, student_logits, teacher_logits): raise MemoryError"),
    )  # fmt: skip
    with pytest.raises(StudyError, match="memory ran out with the whole batch at a time and 3 networks"):
        cohorts.main(with_mine(stored, tmp_path), progress=Silent())


class Killed(Exception):
    """Stands for SIGKILL."""


def test_members_at_different_steps_catch_up(stored, tmp_path, monkeypatch):
    """One member alone is stopped after 11 updates, another after 4, a third has not begun; then all three together."""
    real = Member.state

    def kill_after(step):
        def state(self):
            if self.step > step:
                raise Killed
            return real(self)

        return state

    for variant, step in (("both", 11), ("hard", 4)):
        monkeypatch.setattr(Member, "state", kill_after(step))
        with pytest.raises(Killed):
            stored.train([variant], tmp_path, Keys(variant), minutes_between_states=0.0)
    monkeypatch.setattr(Member, "state", real)
    seen = []
    update = Member.update
    monkeypatch.setattr(Member, "update", lambda self, *rest: (seen.append(self.step), update(self, *rest)))
    variants = ["both", "hard", "frozen"]
    stored.train(variants, tmp_path, Keys(*variants))
    assert len(seen) == 15 + (15 - 4) + (15 - 11)
    assert_equal(tmp_path, stored, variants)


class Keys(Progress):
    """Names states after the variant, as they are named after a run's key."""

    def __init__(self, *variants):
        self.variants = variants

    def state_key(self, member):
        return self.variants[member]


def write_batch(study, folder, variants):
    """Tasks of runs under `folder`, and the file of the batch."""
    paths = []
    for variant in variants:
        job = study.job(variant, folder, minutes_between_states=0.0)
        by_name = tuple(f"objectives.{term.objective}" for term in job.terms)
        code = code_of("students", *by_name)
        writes = tuple(f"{job.out}/{name}" for name in [*FILES, "cost.json"])
        key = key_of("students", job, code)
        paths.append(str(folder / f"{variant}.json"))
        task = Task("students", variant, key, job, code, {}, writes, f"{job.out}/{record.NAME}", SHARED, by_name)
        task.write(paths[-1])
    (folder / "batch.json").write_text(json.dumps({"stage": "cohorts", "tasks": paths}))
    return folder / "batch.json"


# Trains as `python -m distillation_dynamics` does, but before update AT it makes the file HELD and waits for GO.
HELD = """
import sys, time
START = time.time()
from pathlib import Path
from distillation_dynamics.jobs.run import main
from distillation_dynamics.training.member import Member
at, held, go = int(sys.argv.pop()), Path(sys.argv.pop()), Path(sys.argv.pop())
update = Member.update
def waiting(self, *rest):
    if self.step >= at:
        held.touch()
        while not go.exists():
            time.sleep(0.01)
    update(self, *rest)
Member.update = waiting
main(START)
"""
# What is imported in the place of torch.
NO_TORCH = "raise SystemExit('torch is imported')\n"


def start(batch, *command, first=()):
    paths = os.pathsep.join([*map(str, first), str(ROOT / "workflow")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *(command or ("-m", "distillation_dynamics", str(batch)))]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def stop(batch, kind, at):
    """Send a signal to the training of a batch while it is at an update; return what it said."""
    held, go = (batch.with_name(f"{name}{at}") for name in ("held", "go"))
    process = start(batch, "-c", HELD, str(batch), str(go), str(held), str(at))
    while not held.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(kind)
    go.touch()
    said = process.communicate()[1]
    assert process.returncode != 0 and not list(batch.parent.glob("*/result.json"))
    return said


def test_a_cohort_that_is_stopped_goes_on_to_the_same_bits_of_every_member(stored, tmp_path):
    variants = ["none", "both", "projector", "course", "untrained", "two_teachers", "dose", "moving"]
    batch = write_batch(stored, tmp_path, variants)
    assert "not finished: stopped by SIGTERM before update" in stop(batch, signal.SIGTERM, 4)
    stop(batch, signal.SIGKILL, 9)
    process = start(batch)
    said = process.communicate()[1]
    assert process.returncode == 0 and said.count("resume: going on from") == len(variants)
    assert_equal(tmp_path, stored, variants)
    # A second time there is nothing to do, and torch is not even imported.
    (tmp_path / "torch.py").write_text(NO_TORCH)
    process = start(batch, first=[tmp_path])
    said = process.communicate()[1]
    assert process.returncode == 0 and said.count("is already up to date") == len(variants) and "epoch" not in said
    assert not list(tmp_path.glob("*/.resume"))


def carry_out(batch):
    """Carry out a batch in this process; return the sentence with which it failed."""
    return run.said_by(lambda: run.run_batch(read_json(batch), 0, time.time()))


def test_a_run_of_which_a_file_is_damaged_trains_again_and_the_others_stay(stored, tmp_path, capsys):
    batch = write_batch(stored, tmp_path, ["none", "hard"])
    assert carry_out(batch) is None
    (tmp_path / "hard" / FILES[-1]).write_bytes(b"other")
    capsys.readouterr()
    assert carry_out(batch) is None
    said = capsys.readouterr().err
    assert "students none: is already up to date" in said and "epoch 3" in said
    assert_equal(tmp_path, stored, ["none", "hard"])


def test_code_that_changed_after_the_plan_is_refused(stored, tmp_path):
    batch = write_batch(stored, tmp_path, ["none"])
    path = tmp_path / "none.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 3'))
    assert "the code was changed after the run was planned" in carry_out(batch)


@pytest.mark.parametrize("variant", ["none", "both", "features", "projector", "dose"])
@pytest.mark.parametrize("size", [5, 16])
def test_a_batch_in_parts_has_the_gradients_of_the_whole(stored, tmp_path, variant, size):
    """Batch statistics of a projector included: the two differ by rounding alone."""
    job = stored.job(variant, tmp_path)
    member = Member(*cohorts.make(job), 0, [0])
    member.begin(job.recipe, 5, CPU)
    member.trainable.train()
    # The student in float64; the objective works in float32.
    member.student.double()
    pixels, labels = torch.randn(16, 1, 28, 28, dtype=torch.float64), torch.arange(16) % 10
    torch.manual_seed(1)
    said = {LOGITS: torch.randn(16, 10)} | {("features", b): torch.randn(16, 16, 4, 4) for b in (0, 1, 2)}
    gradients, seen = {}, Seen(pixels, labels, labels, {0: said})
    for at_a_time in (None, size):
        for module in member.trainable.modules():
            # With parts of another size dropout draws other places: what is compared is all else.
            module.drop_prob = 0.0 if hasattr(module, "drop_prob") else None
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        member.trainable.zero_grad()
        given = seen, member.when, "float32"
        _, parts = member._in_parts(*given, at_a_time) if at_a_time else member._whole(*given)
        gradients[at_a_time] = {
            name: p.grad.clone() for name, p in member.trainable.named_parameters() if p.grad is not None
        }
        gradients[at_a_time] |= {name: value.detach() for name, value in parts.items()}
    assert gradients[None].keys() == gradients[size].keys()
    for name, expected in gradients[None].items():
        torch.testing.assert_close(gradients[size][name], expected, rtol=2e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("variant", ["both", "drawn"])
def test_images_at_a_time_changes_the_losses_by_rounding_alone(stored, tmp_path, variant):
    """What objectives draw is the same, and other in each update."""
    import pandas as pd

    changes = CHANGES | {"student.model.args.drop_path_rate": 0.0, "student.model.args.proj_drop_rate": 0.0}
    result = tiny_study(tmp_path, **changes)
    losses = {}
    for size in (None, 7):
        out = tmp_path / f"size{size}"
        cohorts.main([run_job(result, tmp_path, variant, out, stored.weights, stored.outputs, images_at_a_time=size)])
        losses[size] = pd.read_parquet(out / "steps.parquet")["value"]
    np.testing.assert_allclose(losses[7], losses[None], rtol=1e-3)


def test_in_parts_dropout_repeats_itself(stored, tmp_path):
    out = [stored.train(["both", "none"], tmp_path / name, images_at_a_time=7) for name in ("one", "two")]
    for name in FILES:
        assert (out[0] / "both" / name).read_bytes() == (out[1] / "both" / name).read_bytes()


def test_a_batch_in_parts_is_refused_where_the_student_normalises_over_it(tmp_path, stored):
    result = tiny_study(
        tmp_path, **{"student.model": {"name": "resnet10t", "args": {"stem_width": 8, "channels": [8, 8, 8, 8]}},
                     "variants": {"none": {"cross_entropy": {"weight": 1}}}},
    )  # fmt: skip
    job = run_job(result, tmp_path, "none", tmp_path / "run", images_at_a_time=4)
    with pytest.raises(StudyError, match=r"compute\.students\.images_at_a_time .*BatchNorm"):
        cohorts.main([job])


def test_memory_that_runs_out_is_a_sentence_with_the_remedy(stored, tmp_path, monkeypatch):
    def no_room(self, *arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainable, "said", no_room)
    with pytest.raises(
        StudyError, match=r"the whole batch at a time and 2 networks .* compute\.students\.images_at_a_time"
    ):
        stored.train(["none", "soft"], tmp_path)


def test_each_member_says_its_share_of_the_cost(stored, tmp_path, monkeypatch):
    """By a clock that goes a second further each time that it is read."""
    ticks = itertools.count()
    clock = SimpleNamespace(time=lambda: float(next(ticks)), perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(cohorts, "time", clock)
    monkeypatch.setattr(loop, "time", clock)
    stored.train(["none", "both"], tmp_path)
    whole = next(ticks)
    costs = [json.loads((tmp_path / variant / "cost.json").read_text()) for variant in ("none", "both")]
    assert all(cost["networks"] == 2 and 0 < cost["own_seconds"] < cost["seconds"] for cost in costs)
    assert sum(cost["seconds"] + cost["start_seconds"] for cost in costs) <= whole
    assert sum(cost["seconds"] for cost in costs) > 0.3 * whole
    common = [cost["seconds"] - cost["own_seconds"] for cost in costs]
    assert common[0] == pytest.approx(common[1])


def test_operations_are_counted_on_two_images_and_are_those_of_the_whole_batch(stored, tmp_path, monkeypatch):
    seen = []
    real = member_module.count_gflops
    monkeypatch.setattr(
        member_module,
        "count_gflops",
        lambda trainable, batch, when: (seen.append(len(batch.pixels)), real(trainable, batch, when))[1],
    )
    job = stored.job("both", tmp_path)
    member = Member(*cohorts.make(job), 0, [0])
    member.begin(job.recipe, 5, CPU)
    member.trainable.train()
    pixels, labels = torch.randn(16, 1, 28, 28), torch.arange(16) % 10
    said = {LOGITS: torch.randn(16, 10)} | {("features", b): torch.randn(16, 16, 4, 4) for b in (0, 1, 2)}
    whole = real(member.trainable, Seen(pixels, labels, labels, {0: said}), member.when) / 16
    member.update((pixels, labels, labels), [said], job.recipe, None)
    assert seen == [2] and member.log.gflops_per_image == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_teacher_says_does_not_depend_on_what_else_it_is_asked(family):
    """Its logits alone, a block alone, or everything at once: the same bits, whatever the architecture."""
    network = zoo.network(family)
    teacher = OnlineTeacher(network)
    pixels = torch.randn(6, 3, 32, 32)
    depth = len(block_names(network))
    everything = [LOGITS, *(("features", block) for block in range(depth))]
    whole = teacher(None, pixels, 0, everything)
    assert torch.equal(teacher(None, pixels, 0, [LOGITS])[LOGITS], whole[LOGITS])
    for block in range(depth):
        for logits in ([], [LOGITS]):
            for part, value in teacher(None, pixels, 0, [*logits, ("features", block)]).items():
                assert torch.equal(value, whole[part])
