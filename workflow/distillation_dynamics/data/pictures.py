"""What is read of an encoded picture: of which formats, which way up, on which ground, and what of it is white.

One place for all readers; docs/pictures.md is its table.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..spec.images import WHITE
from .samples import in_8_bit, raw_mode_of

# Formats that hold no picture, or that Pillow hands to other programs.
NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
# Pillow's own bound. What it warns of, half as many, is a camera's picture today.
MOST_PIXELS = 2 * 89_478_485
Image.MAX_IMAGE_PIXELS = None
# What stands a picture up, by its EXIF orientation.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Told(NamedTuple):
    """What is to be said of a picture that was read.

    `turned` by its EXIF, laid on a ground because it was `transparent` somewhere, the first of `several` in its file,
    and `largest`, its largest value of 16 bit, where that is so low that 16 bit are most likely not meant.
    """

    turned: bool
    transparent: bool
    several: bool
    largest: int | None


@cache
def formats() -> tuple[str, ...]:
    """Return the formats of pictures that Pillow reads here, in the order in which it tries them."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in NO_PICTURES)


@cache
def suffixes() -> frozenset[str]:
    """Return by which suffixes files are known as pictures: those of all formats that Pillow reads here."""
    # A picture of MPO is opened as a JPEG.
    readable = {*formats(), "MPO"}
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in readable)


def open_picture(file) -> Image.Image:
    """Open an encoded picture without decoding it; raise ValueError where it is none, or too large."""
    try:
        picture = Image.open(file, formats=formats())
    except UnidentifiedImageError as error:
        empty = file.seek(0, 2) == 0
        raise ValueError("it is empty" if empty else "it is no picture of a format that is read here") from error
    if (pixels := picture.width * picture.height) > MOST_PIXELS:
        raise ValueError(f"it has {pixels / 1e6:.0f} megapixels, and {MOST_PIXELS / 1e6:.0f} are the most")
    return picture


def read(file, channels: int, background: str = WHITE, whole: bool = True) -> tuple[Image.Image, Told]:
    """Return an encoded picture in grey (of 1 channel) or in colours, of 8 bit, and what is to be said of it.

    It stands up as its EXIF says; parts that are transparent show the `background`, a colour. Not `whole`, a JPEG is
    read in an eighth of its size. Raises an exception where it cannot be decoded, and ValueError where its pixels
    cannot be told in 8 bit.
    """
    opened = open_picture(file)
    # In this order: EXIF of a PNG may stand behind its pixels.
    raw_mode = raw_mode_of(opened)
    turned = _orientation(opened)
    if not whole:
        opened.draft(opened.mode, (1, 1))
    try:
        opened.load()
    except UnidentifiedImageError as error:
        raise ValueError("it holds no picture of a format that is read here") from error
    picture, largest = in_8_bit(opened, raw_mode, file)
    transparent = False
    if picture.has_transparency_data:
        picture, transparent = on_ground(picture, background)
    elif picture.mode == "LAB":
        # Of which Pillow makes colours alone.
        picture = picture.convert("RGB")
    picture = picture.convert("L" if channels == 1 else "RGB")
    # Some formats Pillow turns itself, and forgets the orientation.
    if (turn := TURNS.get(_orientation(opened))) is not None:
        picture = picture.transpose(turn)
    # Several pictures of an MPO are one, from two sides or in two sizes.
    several = opened.format != "MPO" and getattr(opened, "is_animated", False)
    return picture, Told(turned in TURNS, transparent, several, largest)


def decode(file, channels: int, background: str = WHITE) -> Image.Image:
    """Return an encoded picture as `read` does, alone."""
    return read(file, channels, background)[0]


def on_ground(picture: Image.Image, background: str) -> tuple[Image.Image, bool]:
    """Return a picture that may be transparent, in colours on a ground of one colour, and whether any of it shows."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    colours = picture.convert("RGBA")
    ground = Image.new("RGB", picture.size, background)
    ground.paste(colours, mask=colours)
    return ground, bool((np.asarray(colours)[..., 3] < 255).any())


def why(error: Exception) -> str:
    """Return why a picture cannot be decoded, as a part of a sentence."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _orientation(picture: Image.Image) -> int:
    """Return what EXIF (or XMP) says of how a picture stands; 1, upright, where it says nothing that can be read."""
    try:
        said = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # EXIF that is damaged turns nothing; the picture may be whole.
        return 1
    return said if said in TURNS else 1
