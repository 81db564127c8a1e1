"""Parquet files are found by path, pattern or list; what cannot be read right is refused, if it can by the footer."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from distillation_dynamics.data.sources import _rows
from distillation_dynamics.data.sources import parquet as reader
from distillation_dynamics.errors import StudyError
from pictures import HUGGING_FACE, encoded, write_parquet

PNG = encoded(Image.new("L", (4, 4), 7))
ROWS = [{"bytes": PNG, "path": None}] * 3


def write(path, images=ROWS, labels=(0, 1, 2), image_type=HUGGING_FACE, label_type=None, **options):
    """Write three rows in the given types."""
    table = pa.table({"image": pa.array(images, image_type), "label": pa.array(labels, label_type)})
    pq.write_table(table, path, **options)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """A folder of three training shards of one test file."""
    for number in range(3):
        write_parquet(tmp_path / f"train-{number:05d}-of-00003.parquet", [number] * (number + 1), seed=number)
    write_parquet(tmp_path / "test-00000-of-00001.parquet", [0, 1, 2])
    return tmp_path


def test_a_pattern_or_a_list_names_shards_in_order(folder):
    one, two, three = (f"{folder}/train-{number:05d}-of-00003.parquet" for number in range(3))
    assert reader.find(f"{folder}/train-*.parquet", "data.train") == [one, two, three]
    assert reader.find([three, f"{folder}/./train-00000-of-00003.parquet"], "data.train") == [three, one]
    source = reader.Source([three, one], 3, "data.train")
    assert source.labels.tolist() == [2, 2, 2, 0] and source.labels.dtype == np.int64
    rows = pa.concat_tables(map(pq.read_table, (three, one)))["image"].to_pylist()
    assert list(source.encoded()) == [row["bytes"] for row in rows]
    assert source.names[[0, 3]].tolist() == [
        "train-00002-of-00003.parquet, row 0",
        "train-00000-of-00003.parquet, row 0",
    ]
    assert reader.count([one, two, three], 3, "data.train") == 6


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (".", r"^data\.train: \S+ is a folder; name the files in it, such as \S+/train-\*\.parquet$"),
        ("val-*.parquet", r"^data\.train: no file matches \S+val-\*\.parquet; give Parquet files"),
        ("val.parquet", r"^data\.train: the file \S+val\.parquet does not exist; give Parquet files"),
        (["train-00001-of-00003.parquet"] * 2, r"^data\.train: \S+train-00001-of-00003\.parquet is given twice"),
    ],
)
def test_files_that_are_not_there_or_twice_are_a_sentence(folder, said, message):
    said = f"{folder}/{said}" if isinstance(said, str) else [f"{folder}/{name}" for name in said]
    with pytest.raises(StudyError, match=message):
        reader.find(said, "data.train")


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64()])
@pytest.mark.parametrize("image_type", [HUGGING_FACE, pa.binary(), pa.large_binary()])
def test_labels_of_any_whole_type_and_images_as_structs_or_bytes_are_read(tmp_path, kind, image_type):
    images = ROWS if image_type == HUGGING_FACE else [PNG] * 3
    path = write(tmp_path / "a.parquet", images, [2, 0, 1], image_type, kind)
    assert reader.count([path], 3, "data.train") == 3
    source = reader.Source([path], 3, "data.train")
    assert list(source.encoded()) == [PNG] * 3 and source.labels.tolist() == [2, 0, 1]


REFUSED = {
    "floats": (
        {"labels": [0.5, 1.5, 2.5]},
        "column label of .* holds double; it must hold whole numbers from 0, false and true, or words$",
    ),
    "lists": ({"labels": [[0], [1], [2]]}, "column label of .* holds list<.*; it must hold whole numbers"),
    "a missing label": ({"labels": [0, None, 2]}, r"1 rows of .* have no label \(null\); give them one"),
    "nothing but missing labels": ({"labels": [None] * 3}, "column label of .* holds null; it must hold"),
    "a label too high": (
        {"labels": [0, 1, 3]},
        r"a\.parquet: has label 3; labels must lie in 0 to 2 \(",
    ),
    "no labels": ({"labels": [-1, -1, -1]}, "has label -1; labels must lie in 0 to 2"),
    "numbers for images": ({"images": [1, 2, 3], "image_type": pa.int8()}, "column image of .* holds int8; it must"),
    "pixels": ({"images": [[1, 2]] * 3, "image_type": pa.list_(pa.uint8())}, "column image of .* holds list<"),
    "no rows": ({"images": [], "labels": [], "label_type": pa.int64()}, r"a\.parquet holds no images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_columns_that_cannot_be_read_right_are_refused_by_the_footer(tmp_path, name):
    options, message = REFUSED[name]
    path = write(tmp_path / "a.parquet", **options)
    with pytest.raises(StudyError, match=rf"^data\.test: .*{message}"):
        reader.count([path], 3, "data.test")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"img": [PNG], "fine_label": [0], "coarse_label": [0], "rate": [0.5]},
            r"no column image and label, only img, fine_label, coarse_label, rate; could be meant: image: img, label: "
            r"fine_label or coarse_label; say which, as in data\.columns: \{image: img, label: fine_label\}$",
        ),
        (
            {"image": [PNG]},
            r"no column label, only image; give files with labels, or leave out data\.classes where images have no",
        ),
        (
            {"image": ["a.png"], "kind": ["a"]},
            r"no column label, only image, kind; could be meant: label: kind; say which, as in data\.columns: \{label: "
            r"kind\}, or leave out data\.classes where",
        ),
        ({"pixels": [[1, 2]], "label": [0]}, r"no column image, only pixels, label; give files with images$"),
        (
            {"image": [[1, 2]], "photo": [PNG], "label": [0]},
            r"holds list<.*bytes and path; could be meant: image: photo",
        ),
    ],
)
def test_columns_of_other_names_are_named(tmp_path, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(StudyError, match=rf"^data\.test: .*{said}"):
        reader.count([str(tmp_path / "a.parquet")], 3, "data.test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": [0, None, 2]}, r"a\.parquet: row 1 has no label \(null\)"),
        ({"images": [*ROWS[:2], None]}, r"a\.parquet: row 2 has no encoded image \(null\)"),
        (
            {"images": [{"bytes": None, "path": "0.png"}, *ROWS[:2]]},
            r"a\.parquet: row 0: the image \S+/0\.png cannot be read \(there",
        ),
        ({"images": [*ROWS[:2], {"bytes": None, "path": "0.png"}]}, r"a\.parquet: row 2 has no encoded image \(null\)"),
    ],
)
def test_what_a_footer_does_not_tell_is_refused_where_it_is_read(tmp_path, monkeypatch, options, message):
    # A row is counted from the first of the file, in whatever parts it is read.
    monkeypatch.setattr(_rows, "IMAGES_AT_A_TIME", 1)
    monkeypatch.setattr(_rows, "LABELS_AT_A_TIME", 1)
    path = write(tmp_path / "a.parquet", **options, write_statistics=False)
    assert reader.count([path], 3, "data.train") == 3
    with pytest.raises(StudyError, match=message):
        list(reader.Source([path], 3, "data.train").encoded())


@pytest.mark.parametrize("labels", [[0.5, 1.5, 2.5], [0, None, 2], [-1, 5, 10**6], None])
def test_where_labels_are_not_asked_for_any_will_do(tmp_path, labels):
    path = write(tmp_path / "a.parquet", labels=[0, 1, 2] if labels is None else labels)
    if labels is None:
        pq.write_table(pq.read_table(path).drop_columns(["label"]), path)
    assert reader.count([path], None, "data.test") == 3
    source = reader.Source([path], None, "data.test")
    assert source.labels is None and list(source.encoded()) == [PNG] * 3


def test_a_truncated_file_is_named(tmp_path, root):
    path = tmp_path / "short.parquet"
    path.write_bytes((root / "resources/fashion_mnist/test-00000-of-00001.parquet").read_bytes()[:100_000])
    for ask in (reader.count, reader.Source):
        with pytest.raises(StudyError, match=r"^data\.test: \S+short\.parquet is not a readable Parquet file"):
            ask([str(path)], 10, "data.test")


def test_a_damaged_page_is_named_where_it_is_read(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    source = reader.Source([str(path)], None, "data.test")
    with pytest.raises(StudyError, match=r"a\.parquet: not a readable Parquet file of images and labels"):
        list(source.encoded())


def test_no_more_than_a_few_rows_are_read_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(_rows, "IMAGES_AT_A_TIME", 2)
    # Of one group of rows, of 40 MB, not more than the pages of some.
    big = [bytes(np.random.default_rng(n).integers(0, 256, 10**6, dtype=np.uint8)) for n in range(40)]
    path = write(tmp_path / "big.parquet", big, range(40), pa.binary(), write_batch_size=2, use_dictionary=False)
    before, most, read = pa.total_allocated_bytes(), 0, []
    for image in reader.Source([path], 40, "data.test").encoded():
        most = max(most, pa.total_allocated_bytes() - before)
        read.append(image)
    assert read == big and 0 < most < 15e6


def shards(tmp_path, *names):
    """Write a file of one image under each name."""
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(tmp_path / name, [0], size=4)


HASHES = "0f3c2a1b9d8e7f60", "a1b2c3d4e5f60718"
FIRST, SECOND = (f"train-0000{n}-of-00002-{HASHES[n]}.parquet" for n in range(2))
MISSING = {
    "one of two by its path": ([FIRST], FIRST, "shard 1 of 2 is missing"),
    "without a hash": (["train-00001-of-00002.parquet"], "*", "shard 0 of 2 is missing"),
    "beside the others": ([FIRST, SECOND], SECOND, r"shard 0 of 2 is missing .* a pattern such as \S+/train-\*\.parq"),
    "several": (
        [f"a-{n}-of-7.parquet" for n in (1, 3, 4)], "a-*.parquet", r"shards 0, 2, 5, 6 of 7 are missing \(numb"
    ),
    "of splits in one folder": (
        [FIRST, SECOND, "test-00000-of-00003.parquet"], "*.parquet", r"test-00000\S+: shards 1, 2 of 3 are missing"
    ),
    "in a folder below": (
        ["a/x-0-of-2.parquet", "b/x-1-of-2.parquet"], "**/*.parquet", r"a/x-0-of-2\.parquet: shard 1 of 2 is missing"
    ),
    "counted from 1": (["x_2_of_3.parquet", "x_3_of_3.parquet"], "*", r"shard 1 of 3 is missing \(numbers from 1\)"),
    "two downloads": (
        [FIRST, SECOND, "train-00000-of-00003.parquet"], "*.parquet",
        r"\S+-of-00002\S+ is a shard of 2 and \S+-of-00003\.parquet one of 3, which are two downloads; use",
    ),
    "one shard twice": (
        [FIRST, SECOND, FIRST.replace(HASHES[0], HASHES[1])], "*.parquet",
        r"shard 0 of 2 is there more than once \(\S+, \S+\); remove all but one",
    ),
    "a number beyond": (
        ["x-0-of-2.parquet", "x-1-of-2.parquet", "x-5-of-2.parquet"], "*", "are 2 shards, but also one of number 5"
    ),
    "many": ([f"x-0-of-{10**7}.parquet"], "*", r"shards 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, \.\.\. of 10000000 are missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSING)
def test_a_download_of_which_something_is_missing_or_too_much_is_a_sentence(tmp_path, name):
    names, asked, message = MISSING[name]
    shards(tmp_path, *names)
    with pytest.raises(StudyError, match=rf"^data\.train: .*{message}"):
        reader.find(f"{tmp_path}/{asked}", "data.train")


@pytest.mark.parametrize(
    "names",
    [
        [FIRST, SECOND],
        ["test-00000-of-00001.parquet", FIRST, SECOND],
        ["x-1-of-2.parquet", "x-2-of-2.parquet"],
        [f"x-{n}-of-11.parquet" for n in range(11)],
        ["0.parquet", "1.parquet", "2.parquet", "10.parquet"],
        ["07.parquet", "7.parquet", "8.parquet", "a.parquet"],
        ["a2/10.parquet", "a10/9.parquet"],
    ],
)
def test_whole_downloads_are_read_in_natural_order(tmp_path, names):
    shards(tmp_path, *reversed(names))
    assert reader.find(f"{tmp_path}/**/*.parquet", "data.train") == [f"{tmp_path}/{name}" for name in names]


def test_files_that_a_list_names_are_a_choice(tmp_path):
    shards(tmp_path, FIRST, SECOND, "train-00000-of-00003.parquet", FIRST.replace(HASHES[0], HASHES[1]))
    assert reader.find([f"{tmp_path}/{SECOND}"], "data.train") == [f"{tmp_path}/{SECOND}"]
    with pytest.raises(StudyError, match="two downloads"):
        reader.find([f"{tmp_path}/{FIRST}", f"{tmp_path}/train-00000-of-00003.parquet"], "data.train")
    with pytest.raises(StudyError, match="shard 0 of 2 is there more than once"):
        reader.find([f"{tmp_path}/{FIRST}", f"{tmp_path}/{FIRST.replace(*HASHES)}"], "data.train")
    with pytest.raises(StudyError, match="shard 1 of 2 is missing"):
        reader.find([f"{tmp_path}/{FIRST[:20]}*{HASHES[0]}.parquet"], "data.train")


def test_folders_with_brackets_spaces_and_a_home_are_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ["my [data]/a [1]-2.parquet", "my [data]/a [1]-10.parquet"]
    shards(tmp_path, *names)
    found = [f"{tmp_path}/{name}" for name in names]
    for root in (tmp_path, "~"):
        assert reader.find(f"{root}/my [data]/*.parquet", "data.train") == found
        assert reader.find(f"{root}/my [data]/a [1]-*.parquet", "data.train") == found
        assert reader.find(f"{root}/my [[]data]/a*[0-9].parquet", "data.train") == found
        assert reader.find(f"{root}/{names[0]}", "data.train") == found[:1]


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(StudyError, match=r"^data\.test: \S+a\.parquet is no file \(but a pipe, socket or device\)"):
        reader.find(f"{tmp_path}/a.parquet", "data.test")
