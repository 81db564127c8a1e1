"""One file more in `data/sources/` reads another kind of source."""

import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT
from distillation_dynamics.data import sources
from distillation_dynamics.data.image_set import MeasuredImages
from distillation_dynamics.errors import StudyError
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import Images, ImageSet, Validation
from distillation_dynamics.stages import data as stage
from pictures import GREY_VIEW

# Images [N, H, W] and labels [N] in an .npz.
NPZ = """
import io

import numpy as np

PACKED = True


def find(value, key):
    return [value]


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
