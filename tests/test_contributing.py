"""Each extension in CONTRIBUTING.md works as written: its files are put into a copy of the library and used."""

import os
import re
import shutil
import subprocess
import sys

import pytest

USE = """
import numpy as np, pandas as pd, torch
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from distillation_dynamics import extensions
from distillation_dynamics.data.sources import listed
from distillation_dynamics.figures import zeros as figure
from distillation_dynamics.drawing.style import Style
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.gathered import known_tables
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.jobs.task import code_of, key_of
from distillation_dynamics.metrics import zeros
from distillation_dynamics.metrics.pairs import confusion
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.parts import say, size_of
from distillation_dynamics.objective import Objective, When
from distillation_dynamics.outputs import Outputs
from distillation_dynamics.spec.configured import Data
from distillation_dynamics.spec.faults import read
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model
from distillation_dynamics.spec.tables import Names
from distillation_dynamics.spec.teacher_outputs import ITSELF
from distillation_dynamics.spec.training import TermSpec

assert extensions.objectives()["direction"].takes == ("pair", "student_classes", "teacher_classes")
assert set(extensions.objectives()["direction"].options) == {"bias", "normalise_target"}
assert extensions.objectives()["sharpness"].takes == ("student_attention", "teacher_attention")
assert extensions.targets()["mean"].kinds == ("pooled", "features", "classes")
assert extensions.metrics()["zeros"].tables == ("scalars", "depth")
assert extensions.pair_metrics()["confusion"] == ("logits",)
assert extensions.figures(known_tables())["zeros"].metrics == ("zeros",)
assert extensions.readers()["listed"] is True

def made(width, heads):
    torch.manual_seed(width)
    args = {"patch_size": 8, "embed_dim": width, "depth": 2, "num_heads": heads}
    return build(Model("vit_tiny_patch16_224", args, "xavier", 5), View(1, 16, (0.5,), (0.5,))).eval()


def term_of(name, **options):
    takes = extensions.objectives()[name].takes
    return TermSpec(name, name, takes, options, weight=1.0, pairs=((0, 1),), teacher=0)


def parts_of(objective):
    when = When(0, 1, 1)
    return objective.weighed(objective.values(said, labels, labels, when), when)


ours, theirs = made(4, 2), made(6, 3)
images, labels = torch.randn(3, 1, 16, 16), torch.zeros(3, dtype=torch.long)
terms = term_of("direction", bias=False, normalise_target=True), term_of("sharpness")
student_size, teacher_size = (size_of(network, images[:1]) for network in (ours, theirs))
objective = Objective(terms, student_size, [teacher_size])
asked = objective.asks(When(0, 1, 1))
said = {ITSELF: say(ours, images, asked[ITSELF]), 0: say(theirs, images, asked[0])}
parts = parts_of(objective)
token, target = said[ITSELF]["classes", 0][:, 0], said[0]["classes", 1][:, 0]
projected = token @ next(objective.parameters()).T
target = (target - target.mean(1, keepdim=True)) / (target.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
cosine = (projected * target).sum(1) / projected.norm(dim=1) / target.norm(dim=1)
torch.testing.assert_close(parts["direction"], 1 - cosine.mean())
entropies = [-(said[who]["attention", block] * said[who]["attention", block].log()).sum(-1).mean((1, 2)) / np.log(5)
             for who, block in ((ITSELF, 0), (0, 1))]
torch.testing.assert_close(parts["sharpness"], (entropies[0] - entropies[1]).square().mean())
for name in ("direction", "sharpness"):
    gradients = torch.autograd.grad(parts[name], ours.blocks[0].attn.qkv.weight, retain_graph=True)
    assert gradients[0].abs().sum() > 0

student, teacher = torch.randn(3, 4, 2, 2), torch.randn(3, 6, 2, 2)
said = {ITSELF: {("features", 0): student}, 0: {("features", 1): teacher}}
spectral = TermSpec("late", "spectral", extensions.objectives()["spectral"].takes, {}, weight=1.0, pairs=((0, 1),),
                    teacher=0, target="mean")
loss = parts_of(Objective((spectral,), student_size, [teacher_size]))["late"]
said[0]["features", 1] = teacher.mean(0, keepdim=True).expand_as(teacher)
plain = Objective((replace(spectral, target="teacher"),), student_size, [teacher_size])
torch.testing.assert_close(loss, parts_of(plain)["late"])

from distillation_dynamics.errors import StudyError
from distillation_dynamics.networks.build import build
from distillation_dynamics.networks.inspection import info_of
from distillation_dynamics.spec.images import View
from distillation_dynamics.spec.network import Model, ModelQuery
from distillation_dynamics.study.models import Named

known = extensions.architectures()["class_and_mean"]
assert known.options["bias"].default is True and known.required == ()
view = View(3, 32, (0.0,) * 3, (1.0,) * 3)
args = {"patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2, "reg_tokens": 1}
named = read(Named, {"name": "vit_tiny_patch16_224", "args": args, "architecture": {"class_and_mean": {"bias": False}}})
network = build(Model(**vars(named), classes=5), view).eval().double()
images = torch.randn(2, 3, 32, 32, dtype=torch.double)
tokens = network.forward_features(images)
pooled = torch.cat([tokens[:, 0], tokens[:, 2:].mean(1)], 1)
torch.testing.assert_close(network(images), pooled @ network.head.weight.T)
info = info_of(ModelQuery(**vars(named), classes=5, default=view))
assert info.parameters == sum(one.numel() for one in network.parameters())
try:
    info_of(ModelQuery("resnet10t", {}, classes=5, default=view, architecture=named.architecture))
except StudyError as error:
    assert str(error).startswith("model.architecture.class_and_mean: does not fit resnet10t"), error
else:
    raise AssertionError("a ResNet has no class token")

metric = zeros.Metric()
metric.update(Outputs(features={0: torch.tensor([0.0, 0.001, 0.5, 1.0]).reshape(1, 4, 1, 1)}))
assert metric.compute()["near_zero"][0].tolist() == [0.5]

rows = lambda classes: SimpleNamespace(logits=np.eye(3)[classes], labels=np.array([0, 0, 0, 0]))
assert np.isclose(confusion.compare(rows([0, 1, 1, 2]), rows([0, 1, 2, 2]))["same_mistake"], 100 * 2 / 3)
assert np.isnan(confusion.compare(rows([0] * 4), rows([0] * 4))["same_mistake"])

names = Names(("vit",), {"vit": "vit_untrained"}, None, {}, {})
table = pd.DataFrame({"network": "vit", "seed": None, "epoch": 1, "probe": "balanced", "block": [0, 1], "images": 3,
                      "near_zero": [0.25, 0.5]})
drawn = figure.draw({"depth": table}, Style("colorblind", 50, names))
assert drawn.axes[0].lines[0].get_ydata().tolist() == [25, 50]

from PIL import Image
Image.new("L", (4, 4), 7).save("a.png")
Path("list.txt").write_text("a.png\\t1\\na.png\\t0\\n")
source = listed.Source(listed.find("list.txt", "data.train"), 2, "data.train")
assert source.labels.tolist() == [1, 0] and listed.count(["list.txt"], 2, "data.train") == 2
assert len(list(source.encoded())) == 2

def key():
    # Of the task of the data stage.
    data = Data("listed", ("list.txt",), listed.PACKED, {}, classes=2)
    content = Content.read(SimpleNamespace(data=data, probes={}, networks={}), Hashes("."))
    return key_of("data", data.job(content.images["main"]), code_of("data", "data.sources.listed"))

first = key()
assert key() == first
Image.new("L", (4, 4), 8).save("a.png")
assert key() != first, "a picture that is listed is another one"
Image.new("L", (4, 4), 7).save("a.png")
assert key() == first

from distillation_dynamics.files import read_json, read_table
from distillation_dynamics.spec.base import From
from distillation_dynamics.spec.tables import ReportJob, StatisticsJob
from distillation_dynamics.stages import report, statistics

cost = {"device": "cpu", "seconds": 1.0, "start_seconds": 0.0, "images_per_second": np.nan, "cpu": "AMD EPYC"}
cost["threads"] = 1.0
run = {"network": "vit", "seed": None, "test_top1": 90.0, "test_images": 400, "test_agreement": np.nan}
other = table.assign(network="vit_untrained", near_zero=[0.5, 0.125])
made = {"depth": pd.concat([table, other]).assign(channels=8)}
made |= {"runs": pd.DataFrame([run]), "cost": pd.DataFrame([cost])}
for name, frame in made.items():
    frame.to_parquet(f"{name}.parquet")
files = {name: From(name, files=(f"{name}.parquet",)) for name in made}
asked = "shape", "networks", "silence", "claims"
statistics.main(StatisticsJob(names, (), (), files, None, asked, out="out"))
files |= {name: From(name, files=(f"out/{name}.parquet",)) for name in statistics.documentation()}
report.main(ReportJob(names, files, From("words", files=()), out="out"))
silence = {"network": ["vit", "vit_untrained"], "near_zero": [0.5, 0.125]}
assert read_table("out/silence.parquet")[list(silence)].to_dict("list") == silence
assert read_json("out/numbers.json")["silence"]["columns"]["near_zero"]["unit"] == "share"
text = Path("out/report.md").read_text()
claims = read_table("out/claims.parquet").set_index("claim")
assert claims.loc["two aligned pairs help", "verdict"] == "not testable here"
assert "| Aligning the first and the last pair helps |" in text
assert "**Of the activations of the last block are near 0: 50 % of vit (control: 12 %).**" in text
methods = Path("out/methods.md").read_text()
assert "Figure: zeros. Table: silence.parquet. What would decide: a share that the" in methods
places = [text.index(f"## {title}") for title in ("Is it U", "How silent is the last block?", "Networks compared")]
assert places == sorted(places)

from distillation_dynamics.page import document
from distillation_dynamics.page.panel import PageData

panel, last = document.panels(PageData(names, {"silence": read_table("out/silence.parquet")}, {}))
assert panel.title == "How silent is the last block?" and list(panel.tables["silence"]["value"]) == [50, 12.5]
assert last.id == "provenance"

from distillation_dynamics.paper import numbers

found = {name: read_table(part.files[0]) for name, part in files.items()}
known = statistics.documentation() | {"summary": {}}
tex = numbers.document(found | {"summary": pd.DataFrame()}, known, names)
assert "definenumber{silence/vit_untrained/near_zero}{0.125}" in tex
print("used")
"""


@pytest.fixture(scope="module")
def written(root, tmp_path_factory):
    """A copy of the library with every file of CONTRIBUTING.md in its place: the folder, and their names."""
    folder = tmp_path_factory.mktemp("contributed")
    library = folder / "workflow/distillation_dynamics"
    shutil.copytree(root / "workflow/distillation_dynamics", library, ignore=shutil.ignore_patterns("__pycache__"))
    text = (root / "CONTRIBUTING.md").read_text()
    files = re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL)
    for path, content in files:
        assert not (library / path).exists()
        (library / path).parent.mkdir(exist_ok=True)
        (library / path).write_text(content)
    return folder, [path for path, _ in files]


def test_every_kind_of_extension_has_an_example(written):
    _, names = written
    kinds = {
        "objectives",
        "targets",
        "networks/architectures",
        "metrics",
        "metrics/pairs",
        "figures",
        "data/sources",
        "questions/claims",
    }
    assert {name.rpartition("/")[0] for name in names} == {*kinds, "questions/silence"}


def test_examples_are_found_and_compute_what_they_say(written):
    folder, _ = written
    environment = os.environ | {"PYTHONPATH": str(folder / "workflow")}
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout == "used\n", done.stderr


def test_examples_are_as_tidy_as_the_library(written, root):
    folder, names = written
    library = folder / "workflow/distillation_dynamics"
    modules = [str(library / name) for name in names if name.endswith(".py")]
    command = ["ruff", "check", "--config", str(root / "pyproject.toml"), *modules]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
