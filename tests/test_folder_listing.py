"""What counts as an image of a folder or .tar, which class it has, and what is left out, counted and without harm."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from distillation_dynamics.data.source import LeftOut, files_below, natural, picture_suffixes
from distillation_dynamics.data.sources import folder as reader
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.look.images import count_of, data_of
from distillation_dynamics.spec.configured import Data
from distillation_dynamics.spec.data import DataJob
from distillation_dynamics.stages import data as stage
from pictures import as_tar, write_pictures

# What Windows, macOS, Synology, Jupyter and others leave in folders.
LEFT = (
    *(".ipynb_checkpoints/a-checkpoint.png", "cat/.ipynb_checkpoints/b.png", "__MACOSX/cat/._a.png", "cat/._a.png"),
    *(".hidden/a.png", "cat/@eaDir/a.png/SYNOPHOTO_THUMB_S.png", "#recycle/a.png", "$RECYCLE.BIN/a.png"),
)
FILES = (".DS_Store", "cat/.DS_Store", "Thumbs.db", "dog/Thumbs.db", "desktop.ini")


def source_of(root, classes=None, depth=1):
    return reader.Source([str(root)], classes, "data.test", depth)


@pytest.fixture
def littered(tmp_path):
    root = tmp_path / "my [data] $HOME 'x' {y}"
    write_pictures(root, ["cat/a.png", "cat/b.jpg", "dog/a.png", *LEFT])
    for name in FILES:
        (root / name).write_bytes(b"\0\0")
    for name in ("notes.txt", "cat/a.xml", "cat/b.xml", "README"):
        (root / name).write_text("text")
    return root


@pytest.mark.parametrize("pack", [None, as_tar])
def test_what_systems_leave_is_neither_an_image_nor_a_class(littered, pack):
    root = pack(littered) if pack else littered
    source = source_of(root, 2)
    assert source.names.tolist() == ["cat/a.png", "cat/b.jpg", "dog/a.png"]
    assert source.classes == {"cat": 0, "dog": 1} and source.labels.tolist() == [0, 0, 1]
    kinds = dict(source.left_out.counts)
    own = kinds.pop("hidden or the system's")
    # A folder that is left out counts once, and of a .tar each file in it.
    assert kinds == {".xml": 2, ".txt": 1, "without a suffix": 1} and own == len(LEFT) + len(FILES)
    assert "2 .xml (a.xml)" in str(source.left_out)
    if pack is None:
        assert len(reader.contents([str(root)], "k")) == 3 and reader.class_names([str(root)]) == ("cat", "dog")
        said = data_of(str(root))
        assert said == {"source": "folder", "test": str(root), "classes": 2}
        assert count_of(Data("folder", (str(root),), False, {}, classes=2))[0] == 3


def test_every_format_is_an_image_for_reader_count_and_look(tmp_path):
    picture = Image.new("RGB", (40, 40), (9, 99, 199))
    kinds = {"webp": "WEBP", "bmp": "BMP", "tif": "TIFF", "gif": "GIF", "avif": "AVIF", "png": "PNG", "JPG": "JPEG"}
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for suffix, kind in kinds.items():
            picture.save(tmp_path / f"photos/{label}/a.{suffix}", kind)
    assert {f".{suffix.lower()}" for suffix in kinds} <= picture_suffixes()
    assert len(source_of(tmp_path / "photos", 2).names) == 2 * len(kinds)
    assert len(reader.contents([str(tmp_path / "photos")], "k")) == 2 * len(kinds)
    assert count_of(Data("folder", (str(tmp_path / "photos"),), False, {}))[0] == 2 * len(kinds)
    stage.main(DataJob("folder", 2, None, {}, False, None, test=(f"{tmp_path}/photos",), out=f"{tmp_path}/out"))
    assert len(read_table(tmp_path / "out/splits.parquet")) == 2 * len(kinds)


DEEP = [f"{one}/{two}/{number}.png" for one in ("cat", "dog") for two in "ab" for number in range(2)]


@pytest.mark.parametrize("pack", [None, as_tar])
@pytest.mark.parametrize(
    ("depth", "names"), [(1, ["cat", "dog"]), (2, ["a", "b"]), (-1, ["a", "b"]), (-2, ["cat", "dog"])]
)
def test_labels_and_names_are_of_one_level_of_folders(tmp_path, pack, depth, names):
    write_pictures(tmp_path / "test", DEEP)
    root = pack(tmp_path / "test") if pack else tmp_path / "test"
    source = source_of(root, 2, depth)
    assert list(source.classes) == names
    parts = [name.split("/")[depth - 1] for name in source.names]
    assert [names[label] for label in source.labels] == parts
    assert reader.class_names([str(root)], depth) == (() if pack else tuple(names))


def test_a_level_that_is_not_there_is_a_sentence(tmp_path):
    write_pictures(tmp_path / "test", [*DEEP, "emu/0.png"])
    root = tmp_path / "test"
    with pytest.raises(StudyError, match=r"^data\.test: emu/0\.png lies in no folder of level 2 of \S+; put it"):
        source_of(root, 2, 2)
    with pytest.raises(StudyError, match=r"^data\.test: images lie in \S+cat/a itself; put each into the subfolder"):
        source_of(root / "cat/a", 2)
    job = DataJob("folder", 2, None, {}, False, None, test=(str(root / "cat"),), out=str(tmp_path / "out"))
    stage.main(job)
    write_pictures(tmp_path / "wrapped", [f"train/{name}" for name in DEEP])
    job = DataJob("folder", 2, None, {}, False, None, test=(str(tmp_path / "wrapped"),), out=str(tmp_path / "out"))
    with pytest.raises(StudyError, match=r"in 1 subfolders \(train\); with data\.label_depth: 2 they are cat, dog$"):
        stage.main(job)


ODD = ["Cat", "cat", "1", "01", "10", "2", "b c", "ä"]


def test_folders_are_numbered_plainly_and_alike_in_every_process(tmp_path):
    for source in ("train", "test"):
        write_pictures(tmp_path / source, [f"{name}/{n}.png" for name in ODD for n in range(2)])
    code = (
        "import json, sys; from distillation_dynamics.data.sources import folder\n"
        "print(json.dumps([folder.Source([path], 8, 'k').classes for path in sys.argv[1:]]))"
    )
    said = set()
    for seed in ("0", "1", "2"):
        command = [sys.executable, "-c", code, f"{tmp_path}/train", f"{tmp_path}/test"]
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "workflow")}
        said.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    (train, test) = json.loads(said.pop())
    assert not said and train == test == {name: number for number, name in enumerate(sorted(ODD))}
    assert reader.class_names([f"{tmp_path}/test"]) == tuple(sorted(ODD))


def test_a_class_without_test_images_leaves_the_numbers_of_the_others(tmp_path):
    write_pictures(tmp_path / "train", [f"{name}/{n}.png" for name in "abc" for n in range(2)])
    write_pictures(tmp_path / "test", [f"{name}/{n}.png" for name in "ac" for n in range(2)])
    files = {key: (str(tmp_path / key),) for key in ("train", "test")}
    stage.main(DataJob("folder", 3, None, {}, False, None, **files, out=str(tmp_path / "out")))
    table = read_table(tmp_path / "out/splits.parquet")
    assert (table["label"] == table["name"].str[0].map({"a": 0, "b": 1, "c": 2})).all()
    assert table.query("split == 'test'")["label"].tolist() == [0, 0, 2, 2]


def test_pipes_sockets_and_links_in_circles_are_left_out(tmp_path, monkeypatch):
    root = tmp_path / "photos"
    write_pictures(root, ["a/0.png", "b/0.png"])
    os.mkfifo(root / "a/pipe.png")
    monkeypatch.chdir(root / "a")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket.png")
    (root / "a/device.png").symlink_to("/dev/zero")
    (root / "a/up").symlink_to("..")
    (root / "a/other").symlink_to("../b")
    (root / "b/back").symlink_to("../a")
    (root / "b/machine").symlink_to("/")
    left_out = LeftOut()
    found = sorted(os.path.relpath(path, root) for path in files_below(str(root), left_out=left_out))
    assert found == ["a/0.png", "a/other/0.png", "b/0.png", "b/back/0.png"]
    assert left_out.counts["pipe, socket or device"] == 6 and left_out.counts["link to a folder around it"] > 3
    assert "6 pipes, sockets or devices (" in str(left_out) and " links to folders around them (" in str(left_out)
    write_pictures(tmp_path / "plain", ["a/0.png"])
    os.mkfifo(tmp_path / "plain/a/pipe.png")
    source = source_of(tmp_path / "plain")
    assert source.names.tolist() == ["a/0.png"] and str(source.left_out) == "1 pipe, socket or device (pipe.png)"


@pytest.mark.parametrize("root", ["/", "/proc", "/sys", "/dev", "//", "/usr/.."])
def test_folders_of_the_system_are_refused_at_once(root):
    for read in (reader.contents, reader.class_names):
        with pytest.raises(StudyError, match="is a folder of the system; give one of images"):
            read([root], *(["k"] if read is reader.contents else []))
    with pytest.raises(StudyError, match="is a folder of the system"):
        data_of(root)


def test_a_pipe_is_no_source(tmp_path):
    for name in ("pipe", "pipe.tar"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(StudyError, match=r"^data\.test: \S+ is no folder and no \.tar; give a folder"):
            reader.find(str(tmp_path / name), "data.test")


def test_home_is_a_folder_and_a_dollar_a_character(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_pictures(tmp_path / "my [data]/$x", ["a/0.png", "b/0.png"])
    assert reader.find("~/my [data]/./$x/", "k") == [f"{tmp_path}/my [data]/$x"]
    assert data_of("~/my [data]/$x") == {"source": "folder", "test": f"{tmp_path}/my [data]/$x", "classes": 2}
    assert len(source_of(tmp_path / "my [data]/$x", 2).names) == 2
    assert reader.find("~/a.tar", "k") == [f"{tmp_path}/a.tar"]


def test_numbers_in_names_count_as_numbers():
    names = ["10.png", "9.png", "a2", "a10", "a1", "07", "7", "B", "b", "1²2.jpg", "²"]
    found = sorted(names, key=natural)
    assert found == ["1²2.jpg", "07", "7", "9.png", "10.png", "a1", "a2", "a10", "B", "b", "²"]
    assert sorted(np.random.default_rng(0).permutation(names).tolist(), key=natural) == found
