"""A file is read once and then recognised; images of a folder count by name and content, or by size and time."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from timm.data.readers.img_extensions import get_img_extensions

from distillation_dynamics.data.source import picture_suffixes
from distillation_dynamics.data.sources import folder
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs import hashes
from distillation_dynamics.jobs.content import Content
from distillation_dynamics.jobs.hashes import Hashes
from helpers import load, smoke_config


@pytest.fixture
def images(tmp_path):
    """A folder of two classes with files that need not be pictures."""
    root = tmp_path / "images"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(3):
            (root / label / f"{number}.jpg").write_bytes(f"{label}{number}".encode())
    (root / "cat/notes.txt").write_text("no picture")
    return root


@pytest.fixture
def read(monkeypatch):
    """The files that are read whole."""
    paths = []
    real = hashes.sha256
    monkeypatch.setattr(hashes, "sha256", lambda path: paths.append(str(path)) or real(path))
    return paths


def test_a_file_is_read_once_and_again_when_anything_of_it_is_another(tmp_path, read):
    path, known = tmp_path / "a", Hashes(tmp_path)
    path.write_bytes(b"one")
    assert known.of(path) == known.of(path) == hashlib.sha256(b"one").hexdigest() and len(read) == 1
    known.save()
    assert Hashes(tmp_path).of(path) == known.of(path) and len(read) == 1, "another process remembers"
    status = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert known.of(path) == hashlib.sha256(b"two").hexdigest() and len(read) == 2
    shutil.copy2(path, tmp_path / "b")
    os.replace(tmp_path / "b", path)
    assert known.of(path) == hashlib.sha256(b"two").hexdigest() and len(read) == 3


def test_the_memory_may_be_lost_or_damaged(tmp_path, capsys):
    (tmp_path / hashes.CACHE).write_text("{no json")
    (tmp_path / "a").write_bytes(b"one")
    known = Hashes(tmp_path)
    assert known.of(tmp_path / "a") == hashlib.sha256(b"one").hexdigest()
    assert "has unexpected content; it is written again" in capsys.readouterr().err
    known.save()
    assert set(json.loads((tmp_path / hashes.CACHE).read_text())["files"]) == {str(tmp_path / "a")}
    (tmp_path / "a").unlink()
    known.new = True
    known.save()
    assert json.loads((tmp_path / hashes.CACHE).read_text())["files"] == {}, "what is gone is forgotten"


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere: cannot be read"):
        Hashes().of(tmp_path / "nowhere")


def of_folder(known, root, trust_times):
    """What stands for a folder of images, as its reader says which files count."""
    return known.of_source([str(root)], folder.contents([str(root)], "data.train"), trust_times)


CHANGES = {
    "an image more": lambda root: (root / "cat/a.jpg").write_bytes(b"more"),
    "an image less": lambda root: (root / "cat/1.jpg").unlink(),
    "another content": lambda root: (root / "dog/2.jpg").write_bytes(b"dogX"),
    "two images that swap their names": lambda root: (
        os.rename(root / "cat/0.jpg", root / "x"), os.rename(root / "cat/1.jpg", root / "cat/0.jpg"),
        os.rename(root / "x", root / "cat/1.jpg"),
    ),
    "a class of another name": lambda root: os.rename(root / "dog", root / "wolf"),
    "an image of another class": lambda root: os.rename(root / "cat/0.jpg", root / "dog/3.jpg"),
    "a class more": lambda root: ((root / "emu").mkdir(), (root / "emu/0.png").write_bytes(b"emu")),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("trust_times", [False, True])
def test_what_changes_images_changes_what_stands_for_them(images, name, trust_times):
    known = Hashes()
    before = of_folder(known, images, trust_times)
    assert of_folder(known, images, trust_times) == before
    CHANGES[name](images)
    assert of_folder(known, images, trust_times) != before
    assert of_folder(Hashes(), images, trust_times) == of_folder(known, images, trust_times)


def test_a_touch_a_copy_and_other_files_change_nothing_but_where_times_are_trusted(images, tmp_path, read):
    known = Hashes()
    by_content, by_time = (of_folder(known, images, trust) for trust in (False, True))
    assert len(read) == 6, "where times are trusted nothing is read"
    (images / "cat/notes.txt").write_text("other notes")
    assert [of_folder(known, images, trust) for trust in (False, True)] == [by_content, by_time]
    os.utime(images / "dog/0.jpg", (1, 1))
    assert of_folder(known, images, False) == by_content and len(read) == 9, "only the class of it is read again"
    assert of_folder(known, images, True) != by_time
    shutil.copytree(images, tmp_path / "copy")
    assert of_folder(known, tmp_path / "copy", False) == by_content


def test_a_tar_counts_by_its_content(images, tmp_path):
    for name in ("one", "two"):
        shutil.make_archive(str(tmp_path / name), "tar", images)
    known = Hashes()
    assert known.of_files([str(tmp_path / "one.tar")], False) == known.of(tmp_path / "one.tar")


def test_much_to_read_is_said_with_what_avoids_it(images, capsys, monkeypatch):
    monkeypatch.setattr(hashes, "SILENT_FILES", 5)
    known = Hashes()
    of_folder(known, images, False)
    assert "reading 6 files" in (said := capsys.readouterr().err) and "data.trust_times: true" in said
    of_folder(known, images, False)
    assert capsys.readouterr().err == ""


def test_what_timm_takes_for_images_are_images():
    assert set(get_img_extensions()) < picture_suffixes()


def test_several_files_count_by_their_contents_in_order(tmp_path, read):
    paths = [str(tmp_path / name) for name in "abc"]
    for path in paths:
        Path(path).write_text(path[-1])
    known = Hashes()
    before = known.of_files(paths, False)
    assert before == Hashes().of_files(paths, False) and len(read) == 6
    assert len({before, known.of_files(paths[::-1], False), known.of_files(paths[:2], False)}) == 3 and len(read) == 6
    by_time = known.of_files(paths, True)
    shutil.copy(tmp_path / "a", tmp_path / "b")
    assert known.of_files(paths, False) != before and len(read) == 7
    assert known.of_files(paths, True) != by_time and len(read) == 7, "where times are trusted nothing is read"


@pytest.mark.parametrize("trust_times", [False, True])
def test_a_link_to_nothing_and_what_may_not_be_read_are_named(images, monkeypatch, trust_times):
    link = images / "dog/4.jpg"
    link.symlink_to(images / "gone.jpg")
    with pytest.raises(StudyError, match=r"^\S+dog/4\.jpg: cannot be read \(a link to nothing\); fix or remove it$"):
        of_folder(Hashes(), images, trust_times)
    link.unlink()
    real = os.scandir

    def refuse(path):
        if str(path).endswith("dog"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StudyError, match=r"^\S+dog: cannot be read \(Permission denied\); fix or remove it$"):
        of_folder(Hashes(), images, trust_times)


def content_of(train, test):
    """What a plan reads of a study on two folders."""
    data = smoke_config()["data"] | {"source": "folder", "train": str(train), "test": str(test), "classes": 2}
    data["validation"] = {"taken_from": "train", "per_class": 100}
    return Content.read(load(smoke_config() | {"data": data}), Hashes())


def test_what_is_most_likely_not_meant_is_said(images, tmp_path, capsys):
    shutil.copytree(images, tmp_path / "test")
    content = content_of(images, tmp_path / "test")
    assert content.counts == {"main": {"train": 6, "test": 6}}
    assert "data.train and data.test are the same images" in capsys.readouterr().err
    (tmp_path / "test/dog/3.jpg").write_bytes(b"dog3")
    content_of(images, tmp_path / "test")
    assert "data.test has 7 images, data.train 6: are they swapped?" in capsys.readouterr().err
    content_of(tmp_path / "test", images)
    assert capsys.readouterr().err == ""


def test_a_folder_without_images_stops_a_plan_and_one_that_is_not_there_yet_does_not(images, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match=r"^data\.test: the folder \S+empty holds no images; give a folder"):
        content_of(images, tmp_path / "empty")
    content = content_of(images, tmp_path / "nowhere")
    assert content.missing.startswith("data.test: the folder") and content.counts == {"main": {"train": 6}}
