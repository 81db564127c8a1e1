"""Pictures of more than 8 bit a sample, scaled to 8 as their files say.

A file may say what is white: PNG by the significant bits of its samples (sBIT), TIFF by MaxSampleValue, SMaxSampleValue
or BitsPerSample, PGM by its maximum (which Pillow knows). Where none does, 16 bit are taken as full; of numbers of 32
bit nobody knows what is white.
"""

import struct
import sys
from typing import Any

import numpy as np
from PIL import Image

FULL = 2**16 - 1
# Largest values below this are most likely those of a camera or scanner of fewer bits.
LOW = 2**14
# What Pillow keeps of colours of 16 bit is the byte of each sample that stands first; read by the mode on the right it
# is the other one. Of grey with alpha all four bytes are kept.
OTHER_BYTE = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if sys.byteorder == "little" else "RGBA;16L",
    "LA;16B": "RGBA",
}
# Grey of 2 and 4 bit a sample: by what Pillow multiplies its values, but not the one that is transparent.
GREY_STEPS = {"L;2": 85, "L;4": 17}
# Tags of TIFF.
BITS, PHOTOMETRIC, SMALLEST, LARGEST = 258, 262, (340, 280), (341, 281)


def raw_mode_of(picture: Image.Image) -> str:
    """Return how an opened picture is stored, by Pillow's name; nothing once it is loaded, or where it does not say."""
    tiles: list[Any] = getattr(picture, "tile", [])
    said = tiles[0][-1] if tiles else ""
    return str(said[0] if isinstance(said, tuple) and said else said)


def in_8_bit(picture: Image.Image, raw_mode: str, file) -> tuple[Image.Image, int | None]:
    """Return a loaded picture in 8 bit, and its largest value where 16 bit are taken as full and it is below `LOW`.

    Raises ValueError where nobody knows what is white.
    """
    if picture.mode == "L" and raw_mode in GREY_STEPS and "transparency" in picture.info:
        picture.info["transparency"] *= GREY_STEPS[raw_mode]
    if picture.mode in ("I", "F") and not _has_16_bit(picture):
        samples, said = np.asarray(picture)[..., None], _said_by_tiff(picture)
        if said is None:
            raise ValueError(f"its pixels are 32-bit numbers (mode {picture.mode}), of which none is known to be white")
    elif _has_16_bit(picture):
        samples = np.asarray(picture)[..., None]
        said = _said(picture, samples, raw_mode, file)
    elif raw_mode in OTHER_BYTE:
        samples = _both_bytes(np.asarray(picture), raw_mode, file)
        said = _said(picture, samples[..., :-1] if samples.shape[2] in (2, 4) else samples, raw_mode, file)
    else:
        return picture, None
    alpha = samples.shape[2] in (2, 4)
    colours, planes = samples[..., :-1] if alpha else samples, []
    black, white = said or (0, FULL)
    planes.append(_scaled(colours, black, white))
    if _of_tiff(picture, PHOTOMETRIC) == 0:
        # White is zero, which Pillow knows of 8 bit alone.
        planes[0] = 255 - planes[0]
    if alpha:
        planes.append(_scaled(samples[..., -1:], 0, white if samples[..., -1].max() <= white else FULL))
    elif (key := picture.info.get("transparency")) is not None:
        planes.append(np.where((samples == key).all(axis=2, keepdims=True), 0, 255).astype(np.uint8))
    eight = np.concatenate(planes, axis=2)
    largest = int(colours.max()) if said is None else 0
    return Image.fromarray(eight.squeeze(2) if eight.shape[2] == 1 else eight), largest if 0 < largest < LOW else None


def _has_16_bit(picture: Image.Image) -> bool:
    # A PGM of 16 bit, and in older versions of Pillow a PNG, is opened as one of 32.
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM"))


def _both_bytes(first: np.ndarray, raw_mode: str, file) -> np.ndarray:
    """Return all 16 bits of the samples [H, W, C] of a picture of whose samples Pillow kept the first byte."""
    again = Image.open(file)
    tiles: list[Any] = again.tile
    other = OTHER_BYTE[raw_mode]
    again.tile = [
        tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other) for tile in tiles
    ]
    second = np.asarray(again).astype(np.uint16)
    if raw_mode == "LA;16B":
        return second[..., 0::2] << 8 | second[..., 1::2]
    return first.astype(np.uint16) << 8 | second


def _scaled(samples: np.ndarray, black: float, white: float) -> np.ndarray:
    """Return samples from black to white as uint8; of full 16 bit it is their high byte."""
    if (black, white) == (0, FULL):
        return (samples >> 8).astype(np.uint8)
    part = np.nan_to_num((samples.astype(np.float64) - black) / (white - black))
    return np.rint(255 * np.clip(part, 0, 1)).astype(np.uint8)


def _said(picture: Image.Image, colours: np.ndarray, raw_mode: str, file) -> tuple[float, float] | None:
    """Return what a file of 16 bit says is black and white; None where it says nothing."""
    if picture.format == "PPM":
        # Pillow has scaled what has another maximum.
        return None if raw_mode == "I;16B" else (0, FULL)
    if picture.format == "PNG":
        bits = _significant_bits(file)
        if bits is None:
            return None
        # As PNG wants it they are the highest of the 16, and the others repeat them or are 0; many write the lowest.
        lowest = colours.max() < 2**bits and (colours % 2 ** (16 - bits)).any()
        return 0, 2**bits - 1 if lowest else FULL
    return _said_by_tiff(picture)


def _significant_bits(file) -> int | None:
    """Return the most bits that count of a sample of a PNG, by its chunk sBIT; None where it has none."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            break
        content = file.read(length)
        if kind == b"sBIT" and content:
            # The last of grey or colours with alpha counts the bits of that.
            bits = max(content[:-1] if length in (2, 4) else content)
            return bits if 0 < bits <= 16 else None
        file.seek(4, 1)
    return None


def _said_by_tiff(picture: Image.Image) -> tuple[float, float] | None:
    largest = next((value for tag in LARGEST if (value := _of_tiff(picture, tag)) is not None), None)
    if largest is None:
        bits = _of_tiff(picture, BITS)
        return None if bits is None or bits >= 16 else (0, 2**bits - 1)
    smallest = next((value for tag in SMALLEST if (value := _of_tiff(picture, tag)) is not None), 0)
    return (smallest, largest) if smallest < largest else None


def _of_tiff(picture: Image.Image, tag: int) -> Any:
    """Return what a TIFF says by a tag, the largest of several values; None where it says nothing."""
    said = getattr(picture, "tag_v2", {}).get(tag) if picture.format == "TIFF" else None
    return max(said) if isinstance(said, tuple) and said else said
