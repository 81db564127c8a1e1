"""Images that cannot be read are found when the images are split, all of them, and named once or left out."""

import io
import json
import re
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from distillation_dynamics.data import pictures, reading
from distillation_dynamics.data.split import Split
from distillation_dynamics.errors import StudyError
from distillation_dynamics.files import read_table
from distillation_dynamics.jobs import summary
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import Validation
from distillation_dynamics.spec.machine import Machine
from distillation_dynamics.stages import data as stage
from pictures import GREY_VIEW, HUGGING_FACE, as_tar, check_that_names_tell_pixels_and_labels, encoded, make_folder


def jpeg(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), "JPEG")


def too_large():
    """A PNG whose head says that it has 200 megapixels."""
    from test_picture_table import png

    return png(np.zeros((2, 2), np.uint8), 8, size=(20_000, 10_000))


BROKEN = {
    "class0/1.jpg": (lambda: jpeg()[:-200], "image file is truncated"),
    "class1/0.jpg": (lambda: b"", "it is empty"),
    "class1/4.jpg": (lambda: b"no picture\n" * 9, "it is no picture of a format that is read here"),
    "class2/2.jpg": (too_large, "it has 200 megapixels, and 179 are the most"),
    "class2/5.jpg": (lambda: encoded(Image.new("RGB", (9, 9)))[:-30], ""),
    "class2/0.jpg": (lambda: encoded(Image.new("F", (9, 9)), "TIFF"), "its pixels are 32-bit numbers"),
}


def spoil(root):
    for name, (content, _) in BROKEN.items():
        (root / name).write_bytes(content())


def split(folder, source, broken=0, threads=1, train=(), validation=None, classes=3, **options):
    job = DataJob(
        *("folder", classes, validation, {}, False, None), broken_images=broken, machine=Machine(threads),
        train=train, test=(str(source),), out=str(folder), **options,
    )  # fmt: skip
    stage.main(job)
    return job


@pytest.mark.parametrize("pack", [None, as_tar])
@pytest.mark.parametrize("threads", [1, 3])
def test_all_of_them_are_named_in_one_sentence_with_what_goes_on_without_them(tmp_path, pack, threads):
    make_folder(tmp_path / "test")
    spoil(tmp_path / "test")
    source = pack(tmp_path / "test") if pack else tmp_path / "test"
    with pytest.raises(StudyError) as error:
        split(tmp_path / "out", source, broken=5, threads=threads)
    said = str(error.value)
    first = sorted(BROKEN)[: reading.MOST_NAMED]
    assert said.startswith("data.test: 6 of 18 images cannot be read: ") and "\n" not in said and "BytesIO" not in said
    assert re.findall(r"class\d/\d\.jpg", said) == first
    assert all(f"{name} ({BROKEN[name][1]}" in said for name in first)
    assert said.endswith(", ...; replace or remove them, or give data.broken_images: 6 to go on without them")


@pytest.mark.parametrize("pack", [None, as_tar])
def test_as_many_as_are_allowed_are_in_no_split_and_are_recorded(tmp_path, pack, capsys):
    from distillation_dynamics.spec.images import Images
    from pictures import VIEW, pixels_of

    make_folder(tmp_path / "test")
    pixels = pixels_of(tmp_path / "test")
    before = split(tmp_path / "whole", tmp_path / "test", validation=Validation("test", 1))
    spoil(tmp_path / "test")
    source = pack(tmp_path / "test") if pack else tmp_path / "test"
    split(tmp_path / "out", source, broken=6, threads=2, validation=Validation("test", 1))
    table, whole = (read_table(tmp_path / name / "splits.parquet") for name in ("out", "whole"))
    assert set(whole["name"]) - set(table["name"]) == {*BROKEN} and len(table) == 12
    index = whole.set_index("name")["index"]
    assert (table["index"] == table["name"].map(index)).all()
    assert table.query("split == 'validation'")["label"].tolist() == [0, 1, 2]
    images = Images("key", VIEW, False, folder=str(tmp_path / "out"), test=str(source))
    check_that_names_tell_pixels_and_labels(Split(images, "test"), pixels)
    (seen,) = json.loads((tmp_path / "out/pictures.json").read_text()).values()
    assert seen["images"] == 12 and seen["broken"].keys() == BROKEN.keys()
    assert "6 of 18 images cannot be read: class0/1.jpg (" in capsys.readouterr().err
    assert before.files == ("splits.parquet", "pictures.json")


def parquet(path, contents):
    rows = pa.array([{"bytes": content, "path": None} for content in contents], HUGGING_FACE)
    pq.write_table(pa.table({"image": rows, "label": pa.array(np.arange(len(contents)) % 3)}), path)


@pytest.mark.parametrize("arrays", [None, Arrays.of(GREY_VIEW)])
@pytest.mark.parametrize("threads", [1, 4])
def test_of_a_parquet_file_the_others_keep_their_rows_pixels_and_labels(tmp_path, arrays, threads, monkeypatch):
    monkeypatch.setattr(reading, "PART", 2)
    from distillation_dynamics.spec.images import Images

    contents = [jpeg(seed) for seed in range(15)]
    parquet(tmp_path / "whole.parquet", contents)
    contents[4], contents[11] = b"", contents[11][:-300]
    parquet(tmp_path / "test.parquet", contents)
    read = {}
    for name, allowed in (("whole", 0), ("test", 2)):
        job = DataJob(
            *("parquet", 3, None, {}, True, arrays), broken_images=allowed, machine=Machine(threads),
            test=(f"{tmp_path}/{name}.parquet",), out=f"{tmp_path}/{name}",
        )  # fmt: skip
        stage.main(job)
        images = Images("key", GREY_VIEW, arrays is not None, folder=job.out, test=f"{job.out}/test.bin")
        read[name] = Split(images, "test"), next(Split(images, "test").evaluation(15))
    kept = [row for row in range(15) if row not in (4, 11)]
    assert read["test"][0].index.tolist() == kept and len(read["whole"][0]) == 15
    np.testing.assert_array_equal(read["test"][1].images, read["whole"][1].images[kept])
    np.testing.assert_array_equal(read["test"][1].labels, np.array(kept) % 3)
    options = {"test": job.test, "out": f"{tmp_path}/none", "key": "probes.x", "broken_images": 1}
    with pytest.raises(StudyError, match=r"^probes\.x\.test: 2 of 15 .*: test\.parquet, row 4 \(it is empty\), test"):
        stage.main(DataJob("parquet", 3, None, {}, True, arrays, **options))
    assert list((tmp_path / "none").iterdir()) == []


def test_sources_are_named_together_and_one_without_any_image_is_refused(tmp_path):
    make_folder(tmp_path / "train")
    make_folder(tmp_path / "test", images=1)
    for path in (tmp_path / "test").rglob("*.jpg"):
        path.write_bytes(b"")
    (tmp_path / "train/class0/0.jpg").write_bytes(b"")
    with pytest.raises(
        StudyError,
        match=r"^data\.train: 1 of 18 images cannot be read: \S+ \(it is empty\); data\.test: 3 of 3 images .* replace "
        r"or remove them$",
    ):
        split(tmp_path / "out", tmp_path / "test", broken=9, train=(str(tmp_path / "train"),))


def test_a_class_whose_images_cannot_be_read_is_missed_afterwards(tmp_path):
    make_folder(tmp_path / "train", images=1)
    make_folder(tmp_path / "test")
    (tmp_path / "train/class1/0.jpg").write_bytes(b"")
    with pytest.raises(StudyError, match=r"^data\.classes: 3 is given, but data\.train has no image of class class1"):
        split(tmp_path / "out", tmp_path / "test", broken=1, train=(str(tmp_path / "train"),))


def test_what_is_seen_of_the_others_is_noted_once_with_its_first_file_and_range(tmp_path, capsys):
    from test_picture_table import several, turned

    make_folder(tmp_path / "test")
    grey = np.random.default_rng(0).integers(0, 4000, (40, 40)).astype(np.uint16)
    for number, scale in enumerate((1, 2)):
        grey[0, 0] = 4000
        Image.fromarray(grey // scale).save(tmp_path / f"test/class0/low{number}.png")
    (tmp_path / "test/class0/turned.jpg").write_bytes(turned("JPEG", 6))
    (tmp_path / "test/class1/moving.gif").write_bytes(several("GIF"))
    for number in range(3):
        Image.new("LA", (30, 30), (0, 100)).save(tmp_path / f"test/class1/ink{number}.png")
    (tmp_path / "test/notes.txt").write_text("no picture")
    job = split(tmp_path / "out", tmp_path / "test")
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "note: data.test: 1 image turned as EXIF says",
        "note: data.test: 3 images with transparent parts, which show data.background",
        "note: data.test: 1 file of several pictures, of which the first is read",
        "note: data.test: 2 images of 16 bit (first class0/low0.png) with values from 0 to 4,000 only, and nothing "
        "that says what is white: taken as full 16 bit, which is dark; scale them, or say it in them (sBIT of PNG, "
        "MaxSampleValue of TIFF)",
        "note: data.test: beside the images, and left out: 1 .txt (notes.txt)",
    ]
    (seen,) = json.loads((tmp_path / "out/pictures.json").read_text()).values()
    assert (seen["turned"], seen["transparent"], seen["several"], seen["images"]) == (1, 3, 1, 25)
    assert seen["low"] == {"images": 2, "largest": 4000, "first": "class0/low0.png"} and seen["left_out"] == {".txt": 1}

    class Done:
        stage = "data"

        def path(self, name):
            return f"{job.out}/{name}"

    assert summary.number_of([Done()]) == "25 images" and len(summary.notes_of([Done()])) == 5


def test_parts_are_read_in_order_and_no_more_than_a_few_ahead():
    taken = []

    def items():
        for number in range(200):
            taken.append(number)
            yield number

    def work(part):
        time.sleep(0.001 * (part[0] % 3))
        return [number * 2 for number in part]

    found = []
    for part in reading.in_order(work, items(), 3):
        assert len(taken) <= len(found) + reading.PART * 6
        found += part
    assert found == [2 * number for number in range(200)]


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
def test_an_eighth_of_a_jpeg_tells_as_much_as_all_of_it(kind):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)).convert(kind)
    for options in ({}, {"progressive": True}, {"subsampling": 0}):
        buffer = io.BytesIO()
        if "subsampling" in options and kind == "L":
            continue
        picture.save(buffer, "JPEG", **options)
        content = buffer.getvalue()
        assert reading.looked_at(io.BytesIO(content)) == reading.looked_at(io.BytesIO(content), whole=True)
        for end in (100, len(content) // 2, len(content) - 100):
            cut = [reading.looked_at(io.BytesIO(content[:end]), whole) for whole in (False, True)]
            assert isinstance(cut[0], str) and isinstance(cut[1], str)


def test_no_other_pixels_are_made_where_a_picture_is_read_whole():
    assert pictures.read(io.BytesIO(jpeg()), 3)[0].size == (48, 40)
    assert pictures.read(io.BytesIO(jpeg()), 3, whole=False)[0].size == (6, 5)
