"""Every row of docs/pictures.md is an input that is read as the row says."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from conftest import ROOT
from distillation_dynamics.data import pictures
from distillation_dynamics.data.pictures import decode, on_ground, read
from pictures import encoded

GENERATOR = np.random.default_rng(3)
GREY = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
COLOURS = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
ALPHA = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
ALPHA[0, :2] = 0, 255
LOWEST = GENERATOR.integers(0, 4096, (5, 7, 4)).astype(np.uint16)
LOWEST[0, 0], LOWEST[0, 1] = 4095, 1
HIGH = GENERATOR.integers(0, 65536, (5, 7, 4)).astype(np.uint16)
WHITE, GROUND = (255, 255, 255), (10, 200, 30)
NAME = "#0ac81e"


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples, bits=16, chunks=(), size=None):
    """A PNG of samples [H, W] or [H, W, C], each of so many bits, with further chunks: what Pillow does not write."""
    samples = samples.reshape(*samples.shape[:2], -1)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        wide = [
            np.unpackbits(row.reshape(-1, 1).astype(np.uint8), axis=1)[:, 8 - bits :].reshape(-1) for row in samples
        ]
        rows = [np.packbits(row).tobytes() for row in wide]
    head = struct.pack(">IIBBBBB", *(size or samples.shape[1::-1]), bits, kind, 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", content), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def sbit(*bits):
    return (b"sBIT", bytes(bits))


def trns(*values):
    return (b"tRNS", np.array(values).astype(">u2").tobytes())


def tiff(array, tags=(), mode=None, **options):
    """A TIFF of an array, with further tags."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in tags:
        info.tagtype[tag], info[tag] = kind, value
    buffer = io.BytesIO()
    picture = Image.fromarray(array) if mode is None else Image.frombytes(mode, array.shape[1::-1], array.tobytes())
    picture.save(buffer, "TIFF", tiffinfo=info, **options)
    return buffer.getvalue()


def tiff_of_12_bits(values):
    """A little-endian TIFF of 12 bits a sample, two in three bytes, an even number in a row."""
    first, second = values[:, 0::2].astype(int), values[:, 1::2].astype(int)
    content = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=2).astype(np.uint8).tobytes()
    tags = [(256, values.shape[1]), (257, values.shape[0]), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 9 * 12 + 4)]
    tags += [(277, 1), (278, values.shape[0]), (279, len(content))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + content


def laid(colours, alpha, ground):
    """The literal composition: colours [H, W] or [H, W, 3] on a ground, alpha from 0 to 255."""
    colours = colours if colours.ndim == 3 else np.repeat(colours[..., None], 3, axis=2)
    part = alpha[..., None].astype(int)
    # Halves do not occur: 255 is odd.
    return np.floor((colours * part + np.array(ground) * (255 - part)) / 255 + 0.5).astype(np.uint8)


def scaled(values, white=4095.0, black=0.0):
    return np.floor(255 * np.clip((values.astype(float) - black) / (white - black), 0, 1) + 0.5).astype(np.uint8)


def in_grey(colours):
    """Grey of colours, by the weights of ITU-R 601-2 in whole numbers, as Pillow says it computes."""
    colours = colours.astype(int)
    return ((colours[..., 0] * 19595 + colours[..., 1] * 38470 + colours[..., 2] * 7471 + 0x8000) >> 16).astype(
        np.uint8
    )


def palette(colours=None, **options):
    picture = Image.fromarray(GREY, "P")
    picture.putpalette((np.repeat(np.arange(256), 3) if colours is None else colours).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, options.pop("kind", "PNG"), **options)
    return buffer.getvalue()


def keyed(grey, key):
    return np.where(grey == key, 0, 255)


def turned(kind, orientation, array=COLOURS):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


def several(kind, **options):
    buffer = io.BytesIO()
    first, second = (Image.fromarray(part) for part in (GREY, 255 - GREY))
    first.save(buffer, kind, save_all=True, append_images=[second], **options)
    return buffer.getvalue()


def jpeg(mode, array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, "JPEG", quality=100, subsampling=0, **options)
    return buffer.getvalue()


def pgm(white, values, head=b"P5"):
    return head + b"\n7 5\n%d\n" % white + values.astype(">u2" if white > 255 else np.uint8).tobytes()


def mpo():
    buffer = io.BytesIO()
    first, second = (Image.fromarray(part) for part in (COLOURS, 255 - COLOURS))
    first.save(buffer, "MPO", save_all=True, append_images=[second], quality=100)
    return buffer.getvalue()


def of_pillow(content, mode="RGB"):
    return np.asarray(Image.open(io.BytesIO(content)).convert(mode))


LARGEST, SMALLEST, REAL = 341, 340, 12
# The entry of extra samples: 1 is alpha by which colours are multiplied, 2 alpha alone.
EXTRA = struct.pack("<HHI", 338, 3, 1) + b"%c\0"
INFINITE = np.array([[np.nan, np.inf, -np.inf, 2.0, 3.0, 4.0, 2.5]], dtype=np.float32).repeat(5, axis=0)
MULTIPLIED = np.dstack([COLOURS // 4, np.full((5, 7), 128, np.uint8)])
# Row -> [(encoded, expected colours on a ground, as a function of that ground)]; a text: the reason of a refusal.
ROWS = {
    "grey or colours": [
        (encoded(Image.fromarray(GREY)), lambda ground: GREY),
        (encoded(Image.fromarray(COLOURS), "BMP"), lambda ground: COLOURS),
        (jpeg("RGB", COLOURS), lambda ground: of_pillow(jpeg("RGB", COLOURS))),
        (jpeg("L", GREY), lambda ground: of_pillow(jpeg("L", GREY), "L")),
    ],
    "black and white": [
        (encoded(Image.fromarray(GREY > 99), kind), lambda ground: (GREY > 99) * np.uint8(255))
        for kind in ("PNG", "TIFF", "PPM")
    ],
    "palette": [
        (palette(), lambda ground: GREY),
        (palette(np.arange(768) % 256), lambda ground: (GREY[..., None].astype(int) * 3 + np.arange(3)) % 256),
        (palette(kind="GIF"), lambda ground: GREY),
        (palette(kind="BMP"), lambda ground: GREY),
    ],
    "grey with alpha": [
        (encoded(Image.fromarray(np.dstack([GREY, ALPHA]))), lambda ground: laid(GREY, ALPHA, ground)),
        (png(HIGH[..., :2]), lambda ground: laid(HIGH[..., 0] >> 8, HIGH[..., 1] >> 8, ground)),
    ],
    "colours with alpha": [
        (encoded(Image.fromarray(np.dstack([COLOURS, ALPHA])), "PNG"), lambda ground: laid(COLOURS, ALPHA, ground)),
        (encoded(Image.fromarray(np.dstack([COLOURS, ALPHA])), "TIFF"), lambda ground: laid(COLOURS, ALPHA, ground)),
        (png(HIGH), lambda ground: laid(HIGH[..., :3] >> 8, HIGH[..., 3] >> 8, ground)),
        (
            encoded(Image.fromarray(np.dstack([COLOURS, ALPHA * 0 + 255])), "WEBP"),
            lambda ground: of_pillow(encoded(Image.fromarray(np.dstack([COLOURS, ALPHA * 0 + 255])), "WEBP")),
        ),
    ],
    "colours multiplied by alpha": [
        # Extra samples of kind 1: Pillow divides, and rounds down.
        (
            tiff(MULTIPLIED).replace(EXTRA % 2, EXTRA % 1),
            lambda ground: laid(COLOURS.astype(int) // 4 * 255 // 128, MULTIPLIED[..., 3], ground),
        )
    ],
    "palette with alphas": [
        (palette(transparency=bytes(range(255, -1, -1))), lambda ground: laid(GREY, 255 - GREY, ground))
    ],
    "palette with one transparent colour": [
        (palette(transparency=int(GREY[2, 2])), lambda ground: laid(GREY, keyed(GREY, GREY[2, 2]), ground)),
        (palette(kind="GIF", transparency=int(GREY[2, 2])), lambda ground: laid(GREY, keyed(GREY, GREY[2, 2]), ground)),
    ],
    "grey with a transparent value": [
        (png(GREY, 8, [trns(GREY[1, 1])]), lambda ground: laid(GREY, keyed(GREY, GREY[1, 1]), ground)),
        (png(GREY % 16, 4, [trns(5)]), lambda ground: laid(GREY % 16 * 17, keyed(GREY % 16, 5), ground)),
        (png(GREY % 4, 2, [trns(1)]), lambda ground: laid(GREY % 4 * 85, keyed(GREY % 4, 1), ground)),
        (png(GREY % 2, 1, [trns(1)]), lambda ground: laid(GREY % 2 * 255, keyed(GREY % 2, 1), ground)),
    ],
    "colours with a transparent colour": [
        (
            png(COLOURS, 8, [trns(*COLOURS[1, 1])]),
            lambda ground: laid(COLOURS, np.where((COLOURS[1, 1] == COLOURS).all(2), 0, 255), ground),
        )
    ],
    "16 bit with a transparent value": [
        # Beside it stands a value of the same high byte.
        (png(HIGH[..., 0] // 16 * 16 + 1, 16, [trns(HIGH[1, 1, 0] // 16 * 16 + 1)]), lambda ground: laid(
            HIGH[..., 0] >> 8, keyed(HIGH[..., 0] // 16, HIGH[1, 1, 0] // 16), ground)),
        (png(np.stack([LOWEST[..., 0] % 4] * 3, 2) + 513, 16, [trns(514, 514, 514)]), lambda ground: laid(
            LOWEST[..., 0] * 0 + 2, keyed(LOWEST[..., 0] % 4, 1), ground)),
    ],
    "a picture that EXIF turns": [
        (turned(kind, number), lambda ground, kind=kind, number=number: np.asarray(
            ImageOps.exif_transpose(Image.open(io.BytesIO(turned(kind, number)))).convert("RGB")))
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") for number in range(1, 9)
    ] + [
        (turned("PNG", 6), lambda ground: np.rot90(COLOURS, -1)),
        (turned("TIFF", 8), lambda ground: np.rot90(COLOURS)),
    ],
    "16 bit": [
        (png(HIGH[..., 0]), lambda ground: HIGH[..., 0] >> 8),
        (png(HIGH[..., :3]), lambda ground: HIGH[..., :3] >> 8),
        (tiff(HIGH[..., 0]), lambda ground: HIGH[..., 0] >> 8),
        (tiff(HIGH[..., 0].astype(">u2"), mode="I;16B"), lambda ground: HIGH[..., 0] >> 8),
        (pgm(65535, HIGH[..., 0]), lambda ground: HIGH[..., 0] >> 8),
    ],
    "16 bit with fewer significant bits": [
        (png(LOWEST[..., 0], 16, [sbit(12)]), lambda ground: scaled(LOWEST[..., 0])),
        (png(LOWEST[..., :3], 16, [sbit(12, 12, 12)]), lambda ground: scaled(LOWEST[..., :3])),
        (
            png(LOWEST[..., :2], 16, [sbit(12, 12)]),
            lambda ground: laid(scaled(LOWEST[..., 0]), scaled(LOWEST[..., 1]), ground),
        ),
        (
            png(LOWEST, 16, [sbit(12, 12, 12, 12)]),
            lambda ground: laid(scaled(LOWEST[..., :3]), scaled(LOWEST[..., 3]), ground),
        ),
        # As PNG means it: the highest bits, those below them 0 or repeated.
        (png(LOWEST[..., 0] << 4, 16, [sbit(12)]), lambda ground: LOWEST[..., 0] >> 4),
        (png(LOWEST[..., 0] << 4 | LOWEST[..., 0] >> 8, 16, [sbit(12)]), lambda ground: LOWEST[..., 0] >> 4),
        (png((LOWEST[..., 0] % 64) << 4, 16, [sbit(12)]), lambda ground: LOWEST[..., 0] % 64 >> 4),
    ],
    "fewer bits": [(tiff_of_12_bits(LOWEST[:, :6, 0]), lambda ground: scaled(LOWEST[:, :6, 0]))],
    "16 bit with a largest value": [
        (tiff(LOWEST[..., 0], [(281, 3, 4095)]), lambda ground: scaled(LOWEST[..., 0])),
        (tiff(LOWEST[..., 0], [(LARGEST, 3, 3000), (SMALLEST, 3, 1000)]), lambda ground: scaled(
            LOWEST[..., 0], 3000, 1000)),
        (tiff(LOWEST[..., 0], [(281, 3, 65535)]), lambda ground: LOWEST[..., 0] >> 8),
    ],
    "white is zero": [
        (tiff(HIGH[..., 0], [(262, 3, 0)]), lambda ground: 255 - (HIGH[..., 0] >> 8)),
        (tiff(LOWEST[..., 0], [(262, 3, 0), (281, 3, 4095)]), lambda ground: 255 - scaled(LOWEST[..., 0])),
    ],
    "a maximum": [
        (pgm(4095, LOWEST[..., 0]), lambda ground: np.rint(LOWEST[..., 0] / 4095 * 65535).astype(int) >> 8),
        (pgm(15, GREY % 16), lambda ground: GREY % 16 * 17),
        (pgm(15, COLOURS % 16, b"P6"), lambda ground: COLOURS % 16 * 17),
        (pgm(4095, LOWEST[..., :3], b"P6"), lambda ground: np.rint(LOWEST[..., :3] / 4095 * 255)),
    ],
    "low values of 16 bit": [
        (png(LOWEST[..., 0]), lambda ground: LOWEST[..., 0] >> 8),
        (png(LOWEST[..., :3]), lambda ground: LOWEST[..., :3] >> 8),
        (tiff(LOWEST[..., 0]), lambda ground: LOWEST[..., 0] >> 8),
        (pgm(65535, LOWEST[..., 0]), lambda ground: LOWEST[..., 0] >> 8),
    ],
    "32 bit with a largest value": [
        (tiff(INFINITE, [(LARGEST, REAL, 4.0), (SMALLEST, REAL, 2.0)]), lambda ground: np.array(
            [[0, 255, 0, 0, 128, 255, 64]] * 5)),
        (tiff(LOWEST[..., 0].astype(np.int32), [(LARGEST, 4, 4095)]), lambda ground: scaled(LOWEST[..., 0])),
    ],
    "32 bit": [
        (tiff(GREY.astype(np.float32)), "whose white level is unknown"),
        (tiff(GREY.astype(np.int32)), "whose white level is unknown"),
        (encoded(Image.fromarray(GREY.astype(np.float32)), "PPM"), "whose white level is unknown"),
    ],
    "CMYK": [
        (tiff(np.dstack([COLOURS, GREY]), mode="CMYK"), lambda ground: of_pillow(
            tiff(np.dstack([COLOURS, GREY]), mode="CMYK"))),
        (jpeg("CMYK", np.dstack([COLOURS, GREY])), lambda ground: of_pillow(jpeg("CMYK", np.dstack([COLOURS, GREY])))),
    ],
    "YCbCr": [
        (tiff(COLOURS, mode="YCbCr", compression="tiff_lzw"), lambda ground: of_pillow(
            tiff(COLOURS, mode="YCbCr", compression="tiff_lzw"))),
    ],
    "LAB": [
        (encoded(Image.fromarray(COLOURS, "LAB"), "TIFF"), lambda ground: np.asarray(
            Image.open(io.BytesIO(encoded(Image.fromarray(COLOURS, "LAB"), "TIFF"))).convert("RGB"))),
    ],
    "several pictures": [
        (several("GIF"), lambda ground: GREY),
        (several("WEBP", lossless=True), lambda ground: GREY),
        (several("TIFF"), lambda ground: GREY),
        (several("PNG"), lambda ground: GREY),
        (several("AVIF"), lambda ground: of_pillow(several("AVIF"))),
    ],
    "a picture of phones and cameras": [(mpo(), lambda ground: of_pillow(mpo()))],
    "large": [
        (png(GREY, 8, size=(20_000, 10_000)), r"it has 200 megapixels, and 179 are the most"),
        # Not refused for its size, of which Pillow warns, but for what it lacks.
        (png(GREY, 8, size=(10_000, 10_000)), r"^image file is truncated"),
    ],
    "no picture": [
        (b"", "it is empty"),
        (b"no picture\n" * 99, "it is no picture of a format that is read here"),
        (jpeg("RGB", COLOURS)[:-40], "truncated"),
        (png(GREY, 8)[:-30], "."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is no picture of a format that is read here"),
    ],
}  # fmt: skip
CASES = [(row, number) for row, cases in ROWS.items() for number in range(len(cases))]


def test_the_table_has_a_row_for_each_of_these_inputs_and_no_other():
    text = (ROOT / "docs/pictures.md").read_text()
    assert re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)[1:] == [*ROWS]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("row", "number"), CASES)
@pytest.mark.parametrize("ground", [WHITE, GROUND])
def test_what_the_table_says_is_what_is_read(row, number, ground):
    content, expected = ROWS[row][number]
    name = "white" if ground == WHITE else NAME
    if isinstance(expected, str):
        for channels in (1, 3):
            with pytest.raises(Exception, match=expected) as error:
                decode(io.BytesIO(content), channels, name)
            assert "BytesIO" not in str(error.value)
        return
    colours = np.asarray(expected(ground)).astype(np.uint8)
    three = colours if colours.ndim == 3 else np.repeat(colours[..., None], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(decode(io.BytesIO(content), 3, name)), three)
    one = np.asarray(decode(io.BytesIO(content), 1, name))
    np.testing.assert_array_equal(one, in_grey(three))
    assert decode(io.BytesIO(content), 3).mode == "RGB" and decode(io.BytesIO(content), 1).mode == "L"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("row", "number"), CASES)
def test_what_is_to_be_said_of_a_picture_is_told(row, number):
    content, expected = ROWS[row][number]
    if isinstance(expected, str):
        return
    told = read(io.BytesIO(content), 3)[1]
    assert told.turned == (row == "a picture that EXIF turns" and (number % 8 > 0 or number > 39))
    assert told.several == (row == "several pictures")
    low = {0: 4095, 1: 4095, 2: 4095, 3: 4095} if row == "low values of 16 bit" else {}
    if row != "16 bit with a transparent value":
        assert told.largest == (low.get(number) and int(LOWEST[..., : 3 if number == 1 else 1].max()))
    grounded = "alpha" in row or "transparent" in row or (row.startswith("16 bit with fewer") and number in (2, 3))
    assert told.transparent == (grounded and number != 3 if row == "colours with alpha" else grounded)


@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBA", "RGBa"])
def test_transparent_parts_show_the_ground_whatever_the_mode(mode):
    whole = Image.fromarray(np.dstack([GREY, GREY, GREY, np.where(GREY > 99, 255, 0).astype(np.uint8)]))
    if mode == "PA":
        picture = Image.fromarray(GREY, "L").convert("PA")
        picture.putalpha(whole.getchannel("A"))
    else:
        picture = whole.convert("LA" if mode in ("LA", "La") else "RGBA").convert(mode)
    assert picture.mode == mode and picture.has_transparency_data
    found, transparent = on_ground(picture, NAME)
    np.testing.assert_array_equal(np.asarray(found), laid(GREY, np.where(GREY > 99, 255, 0), GROUND))
    assert transparent


def test_exif_that_is_damaged_turns_nothing():
    content = turned("JPEG", 6)
    place = content.index(b"Exif\0\0") + 6
    for damaged in (
        content[:place] + b"XX" + content[place + 2 :],
        content[:place] + b"\xff" * 20 + content[place + 20 :],
    ):
        np.testing.assert_array_equal(np.asarray(decode(io.BytesIO(damaged), 3)), of_pillow(content))


def test_a_picture_is_read_however_its_file_is_named_or_lies(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(png(LOWEST[..., :3], 16, [sbit(12, 12, 12)]))
    with open(path, "rb") as file:
        np.testing.assert_array_equal(np.asarray(decode(file, 3)), scaled(LOWEST[..., :3]))


def test_suffixes_are_those_of_formats_that_are_read_here():
    known = pictures.suffixes()
    assert {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".mpo", ".jp2", ".ppm"} <= known
    assert not {".eps", ".ps", ".pdf", ".mpg", ".wmf", ".emf", ".h5", ".hdf", ".grib", ".bufr", ".palm", ".txt"} & known
    # Icons have 16 pixels at least.
    grey, colours = (Image.fromarray(part).resize((32, 32)) for part in (GREY, COLOURS))
    read_back = 0
    for suffix, kind in sorted(Image.registered_extensions().items()):
        if suffix not in known or kind not in Image.SAVE:
            continue
        buffer = io.BytesIO()
        for picture in (colours, grey, grey.convert("1")):
            try:
                picture.save(buffer, kind)
                break
            except (OSError, ValueError):
                buffer = io.BytesIO()
        if not buffer.getvalue():
            continue
        assert decode(io.BytesIO(buffer.getvalue()), 3).mode == "RGB", suffix
        read_back += 1
    assert read_back > 25
