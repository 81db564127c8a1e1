"""Numbers of images and classes that a folder has not are refused when a study is planned, before any job."""

import pytest

from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import planning
from distillation_dynamics.jobs.hashes import Hashes
from helpers import changed, load, smoke_config
from pictures import as_tar, make_folder


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A study on a folder of three classes of 30 images to train on, and of 20 to test."""
    monkeypatch.setattr(planning.tried, "columns", lambda study: {})
    make_folder(tmp_path / "train", images=30)
    make_folder(tmp_path / "test", images=20, seed=1)
    data = {"source": "folder", "train": str(tmp_path / "train"), "test": str(tmp_path / "test"), "classes": 3}
    config = smoke_config() | {"data": data | {"validation": {"taken_from": "train", "per_class": 10}}}
    for path in ("networks.cait.recipe", "networks.resnet.recipe", "student.recipe"):
        config = changed(changed(config, f"{path}.train_images", 60), f"{path}.batch_size", 16)
    for key in ("measure", "compare", "saliency"):
        config = changed(config, f"{key}.images", 3)
    return config


def test_a_study_that_asks_for_no_more_than_there_is_is_planned(config):
    content = planning.content_of(load(config), Hashes())
    assert content.counts["main"] == {"train": 90, "test": 60}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("measure.images", 31, r"^measure\.images: 31 is more than the 30 validation images$"),
        ("compare.images", 31, r"^compare\.images: 31 is more than the 30 validation images$"),
        ("saliency", {"images": 31}, r"^saliency\.images: 31 is more than the 30 validation images$"),
        ("measure.published_images", 61, r"^measure\.published_images: 61 is more than the 60 images of data\.test$"),
        (
            "student.recipe.train_images",
            61,
            r"^student\.recipe\.train_images: 61 is more than the 60 available training images",
        ),
        ("data.validation.per_class", 30, r"^data\.validation\.per_class: 30 images of each of 3 .* 90 images in all$"),
        (
            "data.classes",
            4,
            r"^data\.classes: 4 is given, but \S+/train has images in 3 subfolders \(class0, ",
        ),
        ("data.classes", 2, r"^data\.classes: 2 is given, but \S+/train has images in 3 subfolders"),
    ],
)
def test_more_than_a_folder_has_is_refused_before_any_job(config, path, value, message):
    with pytest.raises(StudyError, match=message):
        planning.content_of(load(changed(config, path, value)), Hashes())


def test_more_images_than_a_probe_has_are_refused(config, tmp_path):
    probe = {"source": "folder", "test": str(tmp_path / "test"), "images": 61}
    study = load(config | {"probes": {"mine": probe}})
    with pytest.raises(
        StudyError, match=r"^probes\.mine\.images: 61 is more than the 60 images of probes\.mine\.test$"
    ):
        planning.content_of(study, Hashes())
    as_tar(tmp_path / "test")
    # Nobody lists a .tar for a plan.
    packed = load(config | {"probes": {"mine": probe | {"test": str(tmp_path / "test.tar")}}})
    assert planning.content_of(packed, Hashes()).counts["mine"] == {}
