"""An encoded image, opened and decoded into 8 bit, whatever kind of picture it is."""

import numpy as np
from PIL import Image


def open_picture(file) -> Image.Image:
    """Open an encoded image without decoding it; raise ValueError where its pixels cannot be told in 8 bit."""
    picture = Image.open(file)
    if picture.mode == "F" or (picture.mode == "I" and not _has_16_bit(picture)):
        raise ValueError(f"its pixels are 32-bit numbers (mode {picture.mode}), of which none is known to be white")
    return picture


def _has_16_bit(picture: Image.Image) -> bool:
    # Older versions of Pillow open a PNG of 16 bit, and all a PGM, as one of 32.
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM"))


def decode(file, channels: int) -> Image.Image:
    """Return an encoded image in grey (of 1 channel) or in colours; raise where it cannot be decoded."""
    picture = open_picture(file)
    if _has_16_bit(picture):
        # Pillow would clip grey of 16 bit; of colours, too, it takes the high byte.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert("L" if channels == 1 else "RGB")
