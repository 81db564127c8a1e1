"""Pictures of any kind are read right, and seen as a network's view says."""

import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import AugmentOp

from distillation_dynamics.data.pictures import decode
from distillation_dynamics.data.split import Split
from distillation_dynamics.data.views import evaluation_pixels, make_transform
from distillation_dynamics.errors import StudyError
from distillation_dynamics.spec.data import Arrays, DataJob
from distillation_dynamics.spec.images import View
from distillation_dynamics.stages import data as stage
from pictures import HUGGING_FACE, as_tar, encoded, make_folder, split_into, tiny

GREY = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
HIGH = (GREY.astype(np.uint16) << 8) + 77
COLOURS = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


def palette():
    picture = Image.fromarray(GREY, "P")
    picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    return picture


def pgm():
    return b"P5\n4 4\n65535\n" + HIGH.astype(">u2").tobytes()


# Picture, kind of file (None: it is a file), what is read of it in grey.
PICTURES = {
    "16-bit grey PNG": (Image.fromarray(HIGH), "PNG", GREY),
    "16-bit grey TIFF": (Image.fromarray(HIGH), "TIFF", GREY),
    "16-bit PGM": (pgm(), None, GREY),
    "palette": (palette(), "PNG", GREY),
    "1 bit": (Image.fromarray(GREY > 99), "PNG", (GREY > 99) * np.uint8(255)),
    "CMYK": (Image.fromarray(np.dstack([GREY * 0] * 3 + [255 - GREY]), "CMYK"), "TIFF", GREY),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_kind_are_read_right(name, channels):
    picture, kind, expected = PICTURES[name]
    pixels = np.asarray(decode(io.BytesIO(encoded(picture, kind) if kind else picture), channels))
    if channels == 3:
        expected = np.repeat(expected[..., None], 3, axis=2)
    np.testing.assert_array_equal(pixels, expected)


def pack(folder, content, arrays):
    """Split a Parquet file of one image; return the pixels that it was decoded into."""
    path = folder / "a.parquet"
    pq.write_table(pa.table({"image": pa.array([{"bytes": content, "path": None}], HUGGING_FACE)}), path)
    stage.main(DataJob("parquet", None, None, {}, True, arrays, test=(str(path),), out=str(folder / "out")))
    return None if arrays is None else np.load(folder / "out/test.npy")[0]


def test_a_16_bit_picture_is_read_the_same_from_a_folder_a_tar_and_a_parquet_file(tmp_path):
    make_folder(tmp_path / "test")
    Image.fromarray(np.tile(HIGH, (10, 10))).save(tmp_path / "test/class1/16.png")
    expected = np.repeat(np.tile(GREY, (10, 10))[..., None], 3, axis=2)
    for number, source in enumerate((tmp_path / "test", as_tar(tmp_path / "test"))):
        split = Split(split_into(tmp_path / f"data{number}", source), "test")
        (position,) = np.flatnonzero(split.names == b"class1/16.png")
        np.testing.assert_array_equal(np.asarray(split.image(position)), expected)
    content = encoded(Image.fromarray(np.tile(HIGH, (10, 10))))
    np.testing.assert_array_equal(pack(tmp_path, content, Arrays(3, 40, 1.0, "bicubic")), expected)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pictures_of_which_nobody_knows_what_is_white_are_refused(tmp_path, kind):
    content = encoded(Image.fromarray(GREY.astype(kind)), "TIFF")
    make_folder(tmp_path / "test")
    (tmp_path / "test/class0/0.jpg").write_bytes(content)
    said = r"\(its pixels are 32-bit numbers \(mode [IF]\), whose white level is unknown\); replace or remove them"
    with pytest.raises(StudyError, match=rf"^data\.test: 1 of 18 images cannot be read: class0/0\.jpg {said}, or give"):
        split_into(tmp_path / "data", tmp_path / "test")
    for arrays in (None, Arrays(1, 28, 1.0, "bicubic")):
        with pytest.raises(StudyError, match=rf"^data\.test: 1 of 1 images cannot be read: a\.parquet, row 0 {said}$"):
            pack(tmp_path, content, arrays)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("arrays", [None, Arrays(1, 28, 1.0, "bicubic")])
def test_what_is_no_image_is_named_where_it_is_packed(tmp_path, arrays):
    with pytest.raises(
        StudyError, match=r"^data\.test: 1 of 1 images cannot be read: a\.parquet, row 0 \(it is no pic"
    ):
        pack(tmp_path, b"not a picture", arrays)
    assert not list((tmp_path / "out").iterdir())


def test_the_strongest_posterisation_of_randaugment_works():
    # Level 10, which the published magnitude of 9 with its spread reaches, keeps no bit of the picture.
    operation = AugmentOp("PosterizeIncreasing", prob=1, magnitude=10, hparams={})
    assert np.asarray(operation(Image.new("RGB", (4, 4), "white"))).max() == 0


def test_a_crop_or_an_interpolation_of_small_images_has_an_effect(tmp_path):
    whole = View(1, 28, (0.3,), (0.35,))
    larger = replace(whole, image_size=21, crop_fraction=0.875, interpolation="bilinear")
    pixels = {}
    for number, view in enumerate((whole, replace(whole, crop_fraction=0.8), larger, replace(larger, image_size=42))):
        folder = tmp_path / str(number)
        folder.mkdir()
        tiny(folder, view=view)
        pixels[number] = np.load(folder / "data/train.npy")
    assert not np.array_equal(pixels[0], pixels[1]) and pixels[1].shape == (100, 28, 28, 1)
    assert pixels[2].shape == (100, 21, 21, 1) and pixels[3].shape == (100, 42, 42, 1)


# A picture twice as wide as high: black, but for a white stripe at its right end.
WIDE = np.zeros((40, 80, 3), dtype=np.uint8)
WIDE[:, 70:] = 255


@pytest.mark.parametrize(
    ("mode", "right", "top"),
    [("center", 0, 0), ("squash", 255, 0), ("border", 255, 128)],
)
@pytest.mark.parametrize("as_array", [False, True])
def test_a_crop_mode_says_what_is_seen_of_a_wide_picture(mode, right, top, as_array):
    view = View(3, 20, (0.5,) * 3, (0.25,) * 3, 1.0, "bicubic", mode)
    picture = Image.fromarray(WIDE)
    if as_array:
        pixels = evaluation_pixels(Arrays.of(view))(picture)
    else:
        pixels = ((make_transform(view, None)(picture) * 0.25 + 0.5) * 255).round().permute(1, 2, 0).numpy()
    assert pixels.shape == (20, 20, 3)
    assert (pixels[10, -1] == right).all() and (pixels[0, 5] == top).all()


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("channels", "side"), [(1, 20), (3, 24), (1, 28), (3, 41)])
def test_square_pictures_are_as_timm_leaves_them(channels, side, interpolation, mode):
    view = View(channels, 24, (0.0,) * channels, (1.0,) * channels, 1.0, interpolation, mode)
    shape = (side, side) if channels == 1 else (side, side, 3)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    expected = (make_transform(view, None)(picture) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(evaluation_pixels(Arrays.of(view))(picture), expected)


def test_squashing_is_resizing_both_sides(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 71, 3), dtype=np.uint8))
    seen = make_transform(View(3, 20, (0.0,) * 3, (1.0,) * 3, 1.0, "bilinear", "squash"), None)(picture)
    expected = np.asarray(picture.resize((20, 20), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert torch.equal(seen, torch.from_numpy(expected.astype(np.float32) / 255))
