"""A student and a network that architectures change, from the configuration to a bundle that file and timm load."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from conftest import ROOT
from distillation_dynamics.errors import StudyError
from distillation_dynamics.share import bundle
from helpers import changed, copy_project, small_config, snakemake

pytestmark = pytest.mark.slow
WIDTH = 48


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study whose student is lifted, and which has a CaiT beside its teacher that pools the mean."""
    folder = copy_project(tmp_path_factory.mktemp("architectures"))
    config = small_config(name="changed")
    config["student"]["model"]["architecture"] = {"lift": {"width": WIDTH}}
    config["variants"] = {name: config["variants"][name] for name in ("none", "everything")}
    config["measure"]["metrics"] = ["attention", "gradient", "lens", "spectrum"]
    config["networks"]["mean"] = changed(config["networks"]["cait"], "model.architecture", {"mean_pooled": {}})
    config["networks"]["mean"]["control"] = "permuted"
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(folder, config="study.yaml")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return folder


def test_the_last_block_is_measured_at_the_width_that_it_was_lifted_to(finished):
    table = pd.read_parquet(finished / "results/changed/tables/depth.parquet")
    students = table[table["network"].isin(["none", "everything"])]
    last = students["block"].max()
    assert set(students.loc[students["block"] == last, "channels"]) == {WIDTH}
    assert set(students.loc[students["block"] < last, "channels"]) == {12}


@pytest.mark.parametrize(
    ("member", "folder", "logits"),
    [
        (("everything", 0, None), "everything_seed0", "results/changed/students/everything/seed0/logits_test.npy"),
        ((None, 0, "mean"), "mean", None),
    ],
)
def test_the_card_loads_a_bundle_without_the_library(finished, monkeypatch, member, folder, logits):
    monkeypatch.chdir(finished)
    out = bundle.write("changed", *member)
    assert out == Path(f"results/changed/bundles/{folder}")
    (code,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    if logits is None:
        shared = json.loads(Path("results/changed/study.json").read_text())["shared_folders"]["networks mean"]
        logits = f"{shared}/logits_test.npy"
    pictures = pd.read_parquet(ROOT / "resources/fashion_mnist/test-00000-of-00001.parquet").head(1)
    Image.open(io.BytesIO(pictures["image"][0]["bytes"])).save(out.parent / "picture.png")
    # Where the library cannot be imported.
    hidden = "import sys\nsys.modules['distillation_dynamics'] = None\n"
    program = f"{hidden}{code}\nimport numpy\nnumpy.save('said.npy', output.numpy())"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = np.load(logits)[:1]
    assert np.allclose(np.load(out.parent / "said.npy"), expected, atol=1e-3)


def test_the_methods_say_what_was_changed(finished):
    assert f"with lift (width {WIDTH})" in (finished / "results/changed/statistics/methods.md").read_text()


def test_another_file_of_the_architecture_is_no_bundle(finished, monkeypatch, tmp_path):
    monkeypatch.chdir(finished)
    for path in bundle.ARCHITECTURES.glob("*.py"):
        text = path.read_text().replace(
            "self.lift(self.block(tokens, *args, **options))", "2 * self.lift(self.block(tokens))"
        )
        (tmp_path / path.name).write_text(text)
    monkeypatch.setattr(bundle, "ARCHITECTURES", tmp_path)
    with pytest.raises(StudyError, match="whose outputs differ"):
        bundle.write("changed", "none", 0, None)
