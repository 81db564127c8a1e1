"""Decodes pictures: accepted formats, orientation, background of transparent parts, and white level.

Used by all readers; documented in docs/pictures.md.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..spec.images import WHITE
from .samples import in_8_bit, raw_mode_of

# Formats without a picture, or that Pillow passes to other programs.
NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
# Pillow's own limit. It warns at half of it, which today's cameras reach.
MOST_PIXELS = 2 * 89_478_485
Image.MAX_IMAGE_PIXELS = None
# Transpositions that turn a picture upright, by EXIF orientation.
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
    """Remarks on a picture that was read.

    `turned` by its EXIF orientation, composed on a background because it was `transparent`, the first of `several` in
    its file, and `largest`, its largest 16-bit value, if that is so low that the picture most likely has fewer bits.
    """

    turned: bool
    transparent: bool
    several: bool
    largest: int | None


@cache
def formats() -> tuple[str, ...]:
    """Return the picture formats that Pillow reads here, in the order in which it tries them."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in NO_PICTURES)


@cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of picture files: those of all formats that Pillow reads here."""
    # MPO pictures are opened as JPEG.
    readable = {*formats(), "MPO"}
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in readable)


def open_picture(file) -> Image.Image:
    """Open an encoded picture without decoding it; raise ValueError if it is not one, or too large."""
    try:
        picture = Image.open(file, formats=formats())
    except UnidentifiedImageError as error:
        empty = file.seek(0, 2) == 0
        raise ValueError("it is empty" if empty else "it is no picture of a format that is read here") from error
    if (pixels := picture.width * picture.height) > MOST_PIXELS:
        raise ValueError(f"it has {pixels / 1e6:.0f} megapixels, and {MOST_PIXELS / 1e6:.0f} are the most")
    return picture


def read(file, channels: int, background: str = WHITE, whole: bool = True) -> tuple[Image.Image, Told]:
    """Return an encoded picture as 8-bit grey (1 channel) or colour, and remarks on it.

    It is turned upright by its EXIF orientation; transparent parts show the colour `background`. Unless `whole`, a JPEG
    is read at an eighth of its size. Raises an exception if it cannot be decoded, and ValueError if its pixels have no
    8-bit equivalent.
    """
    opened = open_picture(file)
    # In this order, since the EXIF of a PNG may follow its pixels.
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
        # Pillow converts these only to colour.
        picture = picture.convert("RGB")
    picture = picture.convert("L" if channels == 1 else "RGB")
    # Some formats are turned by Pillow itself, which then drops the orientation.
    if (turn := TURNS.get(_orientation(opened))) is not None:
        picture = picture.transpose(turn)
    # The pictures of an MPO are one picture, from two viewpoints or in two sizes.
    several = opened.format != "MPO" and getattr(opened, "is_animated", False)
    return picture, Told(turned in TURNS, transparent, several, largest)


def decode(file, channels: int, background: str = WHITE) -> Image.Image:
    """Return an encoded picture as `read` does, without remarks."""
    return read(file, channels, background)[0]


def on_ground(picture: Image.Image, background: str) -> tuple[Image.Image, bool]:
    """Return a transparent picture in colour on a background, and whether any background shows."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    colours = picture.convert("RGBA")
    ground = Image.new("RGB", picture.size, background)
    ground.paste(colours, mask=colours)
    return ground, bool((np.asarray(colours)[..., 3] < 255).any())


def why(error: Exception) -> str:
    """Return why a picture cannot be decoded, as part of a sentence."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _orientation(picture: Image.Image) -> int:
    """Return a picture's EXIF (or XMP) orientation; 1, upright, if it has none or it is unreadable."""
    try:
        said = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Damaged EXIF turns nothing; the picture may be intact.
        return 1
    return said if said in TURNS else 1
