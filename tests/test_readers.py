"""One file more in `data/sources/` reads another kind of source."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from distillation_dynamics.data import sources
from distillation_dynamics.data.classes import class_names
from distillation_dynamics.data.image_set import MeasuredImages
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.spec.configured import Data
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import Images, ImageSet, Validation
from distillation_dynamics.stages import data as stage
from helpers import write_parquet
from pictures import GREY_VIEW, write_pictures

# Images [N, H, W] and labels [N] in an .npz.
NPZ = """
import io

import numpy as np

PACKED = True


def find(value, key):
    return [value]


def contents(paths, key):
    return paths


def count(paths, classes, key):
    return None


class Source:
    classes = None

    def __init__(self, paths, classes, key):
        with np.load(paths[0]) as arrays:
            self.pictures = arrays["images"]
            self.labels = None if classes is None else arrays["labels"]
        self.names = np.array([f"picture {n}" for n in range(len(self.pictures))])

    def encoded(self):
        from PIL import Image

        for picture in self.pictures:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            yield file.getvalue()
"""


@pytest.mark.parametrize("arrays", [None, Arrays.of(GREY_VIEW)])
@pytest.mark.parametrize("classes", [None, 3])
def test_another_reader_is_a_file(tmp_path, monkeypatch, arrays, classes):
    (tmp_path / "npz.py").write_text(NPZ)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{sources.__name__}.npz", raising=False)
    pictures = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=pictures, labels=np.arange(12) % 3)
    validation = None if classes is None else Validation("test", 1)
    job = DataJob("npz", classes, validation, {}, True, arrays, test=(f"{tmp_path}/a.npz",), out=f"{tmp_path}/out")
    stage.main(job)
    images = Images("key", GREY_VIEW, arrays is not None, folder=job.out, test=f"{job.out}/test.bin")
    probe = MeasuredImages(ImageSet("mine", images, "test", None, first=True), 0)
    (batch,) = probe.batches(12)
    assert probe.names == [f"picture {n}" for n in range(12)]
    np.testing.assert_allclose(batch.images[:, 0], (pictures / 255 - 0.3) / 0.35, rtol=1e-5, atol=1e-6)
    assert batch.labels.tolist() == ([-1] * 12 if classes is None else [n % 3 for n in range(12)])
    if classes is not None:
        job = DataJob("npz", 2, None, {}, True, arrays, test=(f"{tmp_path}/a.npz",), out=f"{tmp_path}/out")
        with pytest.raises(StudyError, match=r"^data\.test: has label 2; labels must lie in 0 to 1"):
            stage.main(job)


# Pictures of another kind in a folder, which are read where they lie.
BITMAPS = """
import os

import numpy as np

from distillation_dynamics.data.source import files_below

PACKED = False


def find(value, key):
    return [value]


def contents(paths, key):
    return list(files_below(paths[0], {".bmp"}))


def count(paths, classes, key):
    return None


class Source:
    classes = labels = None

    def __init__(self, paths, classes, key):
        self.names = np.array([os.path.relpath(path, paths[0]) for path in contents(paths, key)])
        self.places = np.full((len(self.names), 2), -1)
"""


def test_a_folder_may_hold_files_of_suffixes_that_its_reader_knows(tmp_path, monkeypatch):
    (tmp_path / "bitmaps.py").write_text(BITMAPS)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{sources.__name__}.bitmaps", raising=False)
    root = tmp_path / "pictures"
    (root / "deep").mkdir(parents=True)
    for number, name in enumerate(("b.bmp", "deep/a.BMP")):
        Image.new("L", (28, 28), number).save(root / name, "BMP")
    (root / "c.png").write_bytes(b"of no interest")
    data = Data("bitmaps", (str(root),), False, {})

    def content():
        return Content.read(SimpleNamespace(data=data, probes={}, networks={}), Hashes())

    before = content()
    assert before.counts == {"main": {"test": 2}}
    (root / "c.png").write_bytes(b"none at all")
    assert content() == before
    stage.main(data.job(before.images["main"], out=f"{tmp_path}/out"))
    images = Images("key", GREY_VIEW, False, folder=f"{tmp_path}/out", test=str(root))
    measured = MeasuredImages(ImageSet("mine", images, "test", None, first=True), 0)
    assert sorted(measured.names) == ["b.bmp", "deep/a.BMP"] and len(next(measured.batches(2)).images) == 2
    Image.new("L", (28, 28), 9).save(root / "deep/a.BMP", "BMP")
    assert content().images != before.images


def test_classes_are_called_what_their_source_calls_them(tmp_path):
    write_pictures(tmp_path / "images", [f"{name}/0.png" for name in ("class10", "class9", "b")])
    (tmp_path / "images/empty").mkdir()
    folder, packed = (f"{tmp_path}/images",), (f"{ROOT}/resources/fashion_mnist/test-00000-of-00001.parquet",)
    write_parquet(tmp_path / "plain.parquet", [0, 1])
    write_pictures(tmp_path / "few", ["b/0.png"])
    assert class_names(Data("folder", (f"{tmp_path}/few",), False, {}, train=folder, classes=3)) == (
        "b", "class10", "class9",
    )  # fmt: skip
    plain, nowhere = (f"{tmp_path}/plain.parquet",), (f"{tmp_path}/nowhere",)

    def names(source, files, classes):
        return class_names(Data(source, files, source == "parquet", {}, classes=classes))

    assert names("folder", folder, 3) == ("b", "class10", "class9")
    assert names("parquet", packed, 10)[1] == "Trouser"
    for source, files, classes in (
        ("folder", folder, 2), ("folder", folder, None), ("folder", nowhere, 3), ("parquet", packed, 9),
        ("parquet", plain, 2),
    ):  # fmt: skip
        assert names(source, files, classes) == ()


def test_the_readers_that_there_are_say_what_the_plan_asks_without_torch():
    code = (
        "import sys; from distillation_dynamics.data.sources import folder, parquet\n"
        "print(folder.PACKED, parquet.PACKED, folder.find('./a', 'k'), folder.count(['a'], None, 'k'))\n"
        "print({'torch', 'timm', 'pyarrow', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True ['a'] None\nset()\n"
