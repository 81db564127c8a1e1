"""Columns of Parquet files: images of any kind of type, labels as numbers or words, whatever the metadata say."""

import json
import os
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from distillation_dynamics.data.classes import class_names
from distillation_dynamics.data.sources import parquet as reader
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.jobs.content import DATA, Content
from distillation_dynamics.jobs.hashes import Hashes
from distillation_dynamics.spec.base import counted, from_json, to_json
from distillation_dynamics.spec.configured import Data
from distillation_dynamics.spec.data import Columns, DataJob
from distillation_dynamics.spec.images import Images, View
from distillation_dynamics.stages import data as stage
from pictures import HUGGING_FACE, encoded

PICTURES = [encoded(Image.new("L", (4, 4), value)) for value in (10, 20, 30)]
NAMES = ["a.png", "deep/b.png", "../c.png"]
DICTIONARY = pa.dictionary(pa.int32(), pa.binary())


def structs(**parts):
    return [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]


def kind_of(**parts):
    return pa.struct(list(parts.items()))


# Values of the column of images, their type, and whether the pictures lie in files of their own.
KINDS = {
    "binary": (PICTURES, pa.binary(), False),
    "large binary": (PICTURES, pa.large_binary(), False),
    "binary view": (PICTURES, pa.binary_view(), False),
    "binary of a fixed size": (PICTURES, pa.binary(len(PICTURES[0])), False),
    "dictionary": (PICTURES, DICTIONARY, False),
    "structs": (structs(bytes=PICTURES, path=[None] * 3), HUGGING_FACE, False),
    "structs the other way round": (
        structs(path=NAMES, bytes=PICTURES), kind_of(path=pa.string(), bytes=pa.large_binary()), False
    ),
    "structs of bytes": (structs(bytes=PICTURES), kind_of(bytes=pa.large_binary()), False),
    "structs of more": (
        structs(bytes=PICTURES, path=NAMES, size=[1, 2, 3]),
        kind_of(bytes=pa.binary(), path=pa.string(), size=pa.int64()), False,
    ),
    "structs of paths": (structs(path=NAMES), kind_of(path=pa.string()), True),
    "structs of paths with no bytes": (structs(bytes=[None] * 3, path=NAMES), HUGGING_FACE, True),
    "structs of paths and nothing": (
        structs(bytes=[None] * 3, path=NAMES), kind_of(bytes=pa.null(), path=pa.string()), True
    ),
    "structs, some with bytes": (structs(bytes=[None, PICTURES[1], None], path=NAMES), HUGGING_FACE, True),
    "paths": (NAMES, pa.string(), True),
    "long paths": (NAMES, pa.large_string(), True),
    "views of paths": (NAMES, pa.string_view(), True),
    "dictionary of paths": (NAMES, pa.dictionary(pa.int8(), pa.string()), True),
}  # fmt: skip
LAYOUTS = {
    "as it comes": {},
    "a group a row": {"row_group_size": 1, "compression": "zstd"},
    "without statistics": {"write_statistics": False, "compression": "gzip", "use_dictionary": False},
    "without the schema of Arrow": {"store_schema": False, "data_page_version": "2.0", "compression": "none"},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_of_any_type_and_layout_are_read(tmp_path, name, layout):
    values, kind, in_files = KINDS[name]
    path = tmp_path / "set/a.parquet"
    (tmp_path / "set/deep").mkdir(parents=True)
    pq.write_table(pa.table({"image": pa.array(values, kind), "label": [2, 0, 1]}), path, **LAYOUTS[layout])
    for file, picture in zip(NAMES, PICTURES, strict=True) if in_files else ():
        (path.parent / file).write_bytes(picture)
    assert reader.count([str(path)], 3, "data.test") == 3
    source = reader.Source([str(path)], 3, "data.test")
    assert list(source.encoded()) == PICTURES and source.labels.tolist() == [2, 0, 1]
    of_images = NAMES if in_files or "of more" in name or "round" in name else [None] * 3
    assert source.names.tolist() == [
        f"a.parquet, row {row}" + (f": {name}" if name else "") for row, name in enumerate(of_images)
    ]
    own = {str(path.parent / file) for file in ("a.png", "deep/b.png")} | {str(tmp_path / "c.png")}
    if "some" in name:
        own.discard(str(path.parent / "deep/b.png"))
    found = reader.contents([str(path)], "data.test")
    assert found[0] == str(path) and set(found[1:]) == (own if in_files else set()) and len(set(found)) == len(found)


def written(path, images=NAMES, labels=(0, 1, 2), metadata=None, **columns):
    """Write images and labels, and what Hugging Face's metadata say."""
    table = pa.table({"image": pa.array(images), "label": labels if isinstance(labels, pa.Array) else pa.array(labels)})
    for name, values in columns.items():
        table = table.append_column(name, values)
    said = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    pq.write_table(table.replace_schema_metadata({b"huggingface": said} if metadata is not None else None), path)
    return str(path)


def test_pictures_beside_the_file_count_as_its_content_and_those_that_are_missing_are_named(tmp_path):
    path = written(tmp_path / "a.parquet", [*NAMES[:2], "a.png"])
    (tmp_path / "a.png").write_bytes(PICTURES[0])
    said = r"^data\.test: 1 of 2 images that \S+a\.parquet names are not there \(\S+deep/b\.png\); put them there, by"
    with pytest.raises(StudyError, match=said):
        reader.contents([path], "data.test")
    (tmp_path / "deep").mkdir()
    os.mkfifo(tmp_path / "deep/b.png")
    with pytest.raises(StudyError, match=said):
        reader.contents([path], "data.test")
    (tmp_path / "deep/b.png").unlink()
    (tmp_path / "deep/b.png").write_bytes(PICTURES[1])
    data = Data("parquet", (path,), True, {"test": 3})
    study = type("Study", (), {"data": data, "probes": {}, "networks": {}})
    before = Content.read(study, Hashes()).images[DATA]
    assert Content.read(study, Hashes()).images[DATA] == before
    (tmp_path / "deep/b.png").write_bytes(PICTURES[2])
    assert Content.read(study, Hashes()).images[DATA] != before
    source = reader.Source([path], None, "data.test")
    (tmp_path / "deep/b.png").unlink()
    with pytest.raises(StudyError, match=r"a\.parquet: row 1: the image \S+/deep/b\.png cannot be read"):
        list(source.encoded())


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b.png", "https://example.org/a.png", "."])
def test_paths_that_cannot_be_files_are_a_sentence(tmp_path, name):
    path = written(tmp_path / "a.parquet", [name, None, name])
    with pytest.raises(StudyError, match=r"a\.parquet(: row 0 has no encoded image| names are not there)") as raised:
        reader.contents([path], "data.test")
        list(reader.Source([path], None, "data.test").encoded())
    assert len(str(raised.value)) < 600


CLASS_LABEL = {"info": {"features": {"label": {"names": ["cat", "ant", "bee"], "_type": "ClassLabel"}}}}
WORDS = ["bee", "ant", "bee"]
# Labels, metadata, classes, the numbers that are read and what the classes are called.
LABELS = {
    "int8": (pa.array([2, 0, 1], pa.int8()), None, 3, [2, 0, 1], ()),
    "uint64": (pa.array([2, 0, 1], pa.uint64()), None, 3, [2, 0, 1], ()),
    "false and true": (pa.array([True, False, True]), None, 2, [1, 0, 1], ()),
    "numbers in a dictionary": (pa.array([5, 0, 5]).dictionary_encode(), None, 6, [5, 0, 5], ()),
    "numbers with names": (pa.array([2, 0, 1]), CLASS_LABEL, 3, [2, 0, 1], ("cat", "ant", "bee")),
    "words": (pa.array(WORDS), None, 2, [1, 0, 1], ("ant", "bee")),
    "words in a dictionary": (pa.array(WORDS).dictionary_encode(), None, 2, [1, 0, 1], ("ant", "bee")),
    "long words": (pa.array(WORDS, pa.large_string()), None, 2, [1, 0, 1], ("ant", "bee")),
    "views of words": (pa.array(WORDS, pa.string_view()), None, 2, [1, 0, 1], ("ant", "bee")),
    "words with names": (pa.array(WORDS), CLASS_LABEL, 3, [2, 1, 2], ("cat", "ant", "bee")),
    "words in plain order": (pa.array(["10", "2", "Cat 1"]), None, 3, [0, 1, 2], ("10", "2", "Cat 1")),
    "words that differ in case": (pa.array(["cat", "Cat", "cat"]), None, 2, [1, 0, 1], ("Cat", "cat")),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("layout", list(LAYOUTS)[:3])
def test_labels_of_any_type_are_numbers_and_their_names_are_kept(tmp_path, name, layout):
    labels, metadata, classes, expected, names = LABELS[name]
    table = pq.read_table(written(tmp_path / "a.parquet", PICTURES, labels, metadata))
    pq.write_table(table, tmp_path / "a.parquet", **LAYOUTS[layout])
    paths = (str(tmp_path / "a.parquet"),)
    assert reader.count(paths, classes, "data.test") == 3
    source = reader.Source(paths, classes, "data.test")
    assert source.labels.tolist() == expected and source.labels.dtype == np.int64
    assert class_names(Data("parquet", paths, True, {}, classes=classes)) == names
    words = "word" in name
    assert source.classes == ({one: number for number, one in enumerate(names)} if words else None)
    assert reader.classes_in(paths, "data.test") == (len(set(labels.to_pylist())) if words else max(expected) + 1)


@pytest.mark.parametrize(
    ("labels", "metadata", "message"),
    [
        (["a", None, "b"], None, r"1 rows of \S+a\.parquet have no label \(null\)"),
        ([*"abcd"], None, r"^data\.classes: 3 is given, but column label of data\.test names 4 \(a, b, c, d\)$"),
        (
            ["ant", "dog", "bee"],
            CLASS_LABEL,
            r"has images of dog in column label, which its metadata do not name \(ant",
        ),
    ],
)
def test_words_that_are_not_the_classes_are_a_sentence(tmp_path, labels, metadata, message):
    path = written(tmp_path / "a.parquet", (PICTURES * 2)[: len(labels)], pa.array(labels), metadata)
    with pytest.raises(StudyError, match=message):
        reader.count([path], 3, "data.test")


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([0, 1, 1], [0, 2, 1], r"^data\.classes: 3 is given, but data\.train has no image of class 2$"),
        ([0, 2, 2], [0, 0, 0], None),
        (WORDS, ["ant"] * 3, r"^data\.classes: 3 is given, but column label of data\.train names 2 \(ant, bee\)$"),
        (["a", "b", "c"], ["a", "c", "c"], None),
        (None, [0, 0, 1], None),
        (None, WORDS, r"^data\.classes: 3 is given, but column label of data\.test names 2 \(ant, bee\)$"),
    ],
)
def test_other_classes_than_the_labels_tell_are_refused_when_a_study_is_planned(tmp_path, train, test, message):
    given = {"train": train, "test": test}
    paths = {
        key: (written(tmp_path / f"{key}.parquet", PICTURES, pa.array(values)),)
        for key, values in given.items()
        if values is not None
    }
    data = Data("parquet", rows=dict.fromkeys(paths, 3), packed=True, classes=3, **paths)
    study = type("Study", (), {"data": data, "probes": {}, "networks": {}})
    with nullcontext() if message is None else pytest.raises(StudyError, match=message):
        assert Content.read(study, Hashes()).counts == {DATA: dict.fromkeys(paths, 3)}


def test_words_and_numbers_are_not_mixed_and_lacking_columns_are_named(tmp_path):
    paths = [
        written(tmp_path / "a.parquet", PICTURES, pa.array(["a", "b", "c"])),
        written(tmp_path / "b.parquet", PICTURES),
    ]
    with pytest.raises(
        StudyError, match=r"column label holds words in \S+a\.parquet and numbers in \S+b\.parquet; give"
    ):
        reader.count(paths, 3, "data.test")
    assert reader.class_names(paths) == ("0", "1", "2", "a", "b", "c") and reader.classes_in(paths, "data.test") is None
    pq.write_table(pq.read_table(paths[1]).drop_columns(["label"]), paths[1])
    assert reader.class_names(paths) == () and reader.classes_in(paths, "data.test") is None
    with pytest.raises(StudyError, match=r"b\.parquet has no column label, only image; give files with labels"):
        reader.count(paths, 3, "data.test")


def test_words_of_training_and_test_images_must_be_the_same(tmp_path):
    paths = {
        "train": (written(tmp_path / "a.parquet", PICTURES, pa.array(["a", "b", "a"])),),
        "test": (written(tmp_path / "b.parquet", PICTURES, pa.array(["b", "c", "c"])),),
    }
    with pytest.raises(
        StudyError, match=r"^data\.train: \S+a\.parquet has no images of c, but data\.test has; the two"
    ):
        stage.main(DataJob("parquet", 2, None, {}, True, None, **paths, out=str(tmp_path / "out")))


ODD = [
    b"not json", b"\xff\xfe", b"[" * 100_000, b"{}", b"null", b"3", b"[]", {"info": None}, {"info": {"features": []}},
    {"info": {"features": {"label": None}}}, {"info": {"features": {"label": "ClassLabel"}}},
    *({"info": {"features": {"label": {"names": names}}}} for names in (
        3, None, "cat", {"a": 1}, [1, 2, 3], ["a", None, "c"], [["a"], ["b"], ["c"]], [], ["a", "a", "b"]
    )),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD)))
@pytest.mark.parametrize("labels", [[2, 0, 1], ["c", "a", "b"]])
def test_metadata_of_any_shape_name_classes_or_do_not(tmp_path, number, labels):
    path = written(tmp_path / "a.parquet", PICTURES, pa.array(labels), ODD[number])
    assert reader.count([path], 3, "data.test") == 3
    source = reader.Source([path], 3, "data.test")
    assert source.labels.tolist() == [2, 0, 1] and list(source.encoded()) == PICTURES
    assert reader.class_names([path]) == (("a", "b", "c") if labels[0] == "c" else ())
    assert reader.looked_at([path], "IMAGES") == (Columns(), 3)


@pytest.mark.parametrize("damage", ["label", "image"])
def test_texts_that_are_no_utf_8_are_a_sentence(tmp_path, damage):
    texts = pa.array([b"\xff", b"b", b"c"]).view(pa.string())
    given = {"label": texts, "images": PICTURES} if damage == "label" else {"images": texts}
    path = written(tmp_path / "a.parquet", given["images"], given.get("label", (0, 1, 2)))
    with pytest.raises(
        StudyError, match=r"a\.parquet: a path or label in it is not UTF-8 \(.*\); write the file again"
    ):
        reader.Source([path], 3, "data.test")


def test_columns_of_other_names_are_read_where_the_study_names_them(tmp_path):
    table = pa.table({"a.b": PICTURES, "image": ["no.png"] * 3, "fine label": [1, 0, 1], "label": [7, 8, 9]})
    pq.write_table(table, tmp_path / "a.parquet")
    columns = Columns("a.b", "fine label")
    path = (str(tmp_path / "a.parquet"),)
    data = Data("parquet", path, True, {"test": 3}, classes=2, columns=columns, view=View(1, 4, (0.0,), (1.0,)))
    job = data.job({"test": "hash"}, out=f"{tmp_path}/out")
    assert from_json(DataJob, to_json(job)) == job and job.columns == columns
    # Tasks of the default columns are those of before there were any.
    assert "columns" in counted(job) and "columns" not in counted(Data("parquet", path, True, {}).job({}))
    stage.main(job)
    split = Split(Images("key", data.view, True, folder=job.out, test=f"{job.out}/test.bin"), "test")
    assert split.labels.tolist() == [1, 0, 1] and [np.asarray(split.image(n))[0, 0] for n in range(3)] == [10, 20, 30]
    assert class_names(data) == ()


LOOKED_AT = [
    ({"image": PICTURES, "label": [0, 4, 2]}, None, Columns(), 5),
    ({"image": PICTURES, "label": [0, 1, 2]}, ["a", "b", "c", "d"], Columns(), 4),
    ({"image": PICTURES, "label": [0, None, 2]}, None, Columns(), None),
    ({"image": PICTURES, "label": [0, 0, 0]}, None, Columns(), None),
    ({"image": PICTURES, "number": [1, 2, 3]}, None, Columns(), None),
    ({"img": PICTURES, "text": ["a", "b", "c"], "label": [0, 1, 1]}, None, Columns("img"), 2),
    ({"img": PICTURES, "label": ["a", "b", "a"]}, None, Columns("img"), 2),
    ({"img": PICTURES, "fine": [0, 1, 1], "other": [1, 2, 3]}, ["a", "b"], Columns("img", "fine"), 2),
]


@pytest.mark.parametrize("number", range(len(LOOKED_AT)))
def test_files_that_nobody_described_are_looked_at_by_the_columns_that_they_can_mean(tmp_path, number):
    columns, names, expected, classes = LOOKED_AT[number]
    named = {"info": {"features": {expected.label: {"names": names}}}}
    table = pa.table(columns).replace_schema_metadata({b"huggingface": json.dumps(named).encode()} if names else None)
    pq.write_table(table, tmp_path / "a.parquet")
    assert reader.looked_at([str(tmp_path / "a.parquet")], "IMAGES") == (expected, classes)


def test_files_in_which_more_than_one_column_can_be_images_are_a_sentence(tmp_path):
    pq.write_table(pa.table({"left": PICTURES, "right": PICTURES, "label": [0, 1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(
        StudyError, match=r"^IMAGES: \S+ has no column image, only .* could be meant: image: left or right"
    ):
        reader.looked_at([str(tmp_path / "a.parquet")], "IMAGES")
