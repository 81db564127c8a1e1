"""Converts pictures with more than 8 bits per sample to 8 bits by the white level in their files.

White is given in PNG by the significant bits (sBIT), in TIFF by MaxSampleValue, SMaxSampleValue or BitsPerSample, in
PGM by its maximum (handled by Pillow). Otherwise 16-bit samples are taken as full range; for 32-bit numbers white is
unknown.
"""

import struct
import sys
from typing import Any

import numpy as np
from PIL import Image

FULL = 2**16 - 1
# Largest values below this most likely come from a camera or scanner with fewer bits.
LOW = 2**14
# Of 16-bit colours Pillow keeps the first byte of each sample; the raw mode on the right reads the other byte. Of grey
# with alpha it keeps all four bytes.
OTHER_BYTE = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if sys.byteorder == "little" else "RGBA;16L",
    "LA;16B": "RGBA",
}
# Grey of 2 and 4 bits: Pillow scales its values by these factors, but not the transparent value.
GREY_STEPS = {"L;2": 85, "L;4": 17}
# TIFF tags.
BITS, PHOTOMETRIC, SMALLEST, LARGEST = 258, 262, (340, 280), (341, 281)


def raw_mode_of(picture: Image.Image) -> str:
    """Return Pillow's raw mode of an opened picture; "" once it is loaded, or if unknown."""
    tiles: list[Any] = getattr(picture, "tile", [])
    said = tiles[0][-1] if tiles else ""
    return str(said[0] if isinstance(said, tuple) and said else said)


def in_8_bit(picture: Image.Image, raw_mode: str, file) -> tuple[Image.Image, int | None]:
    """Return a loaded picture in 8 bits, and its largest value if it is taken as full 16 bits but below `LOW`.

    Raises ValueError if the white level is unknown.
    """
    if picture.mode == "L" and raw_mode in GREY_STEPS and "transparency" in picture.info:
        picture.info["transparency"] *= GREY_STEPS[raw_mode]
    if picture.mode in ("I", "F") and not _has_16_bit(picture):
        samples, said = np.asarray(picture)[..., None], _said_by_tiff(picture)
        if said is None:
            raise ValueError(f"its pixels are 32-bit numbers (mode {picture.mode}), whose white level is unknown")
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
        # White is zero, which Pillow handles only for 8 bits.
        planes[0] = 255 - planes[0]
    if alpha:
        planes.append(_scaled(samples[..., -1:], 0, white if samples[..., -1].max() <= white else FULL))
    elif (key := picture.info.get("transparency")) is not None:
        planes.append(np.where((samples == key).all(axis=2, keepdims=True), 0, 255).astype(np.uint8))
    eight = np.concatenate(planes, axis=2)
    largest = int(colours.max()) if said is None else 0
    return Image.fromarray(eight.squeeze(2) if eight.shape[2] == 1 else eight), largest if 0 < largest < LOW else None


def _has_16_bit(picture: Image.Image) -> bool:
    # 16-bit PGM, and PNG in older versions of Pillow, are opened as 32-bit.
    return picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM"))


def _both_bytes(first: np.ndarray, raw_mode: str, file) -> np.ndarray:
    """Return all 16 bits of a picture's samples [H, W, C], of which Pillow kept the first byte."""
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
    """Return samples scaled from black..white to uint8; for the full 16-bit range this is the high byte."""
    if (black, white) == (0, FULL):
        return (samples >> 8).astype(np.uint8)
    part = np.nan_to_num((samples.astype(np.float64) - black) / (white - black))
    return np.rint(255 * np.clip(part, 0, 1)).astype(np.uint8)


def _said(picture: Image.Image, colours: np.ndarray, raw_mode: str, file) -> tuple[float, float] | None:
    """Return black and white of a 16-bit file, None if it does not give them."""
    if picture.format == "PPM":
        # Pillow has already scaled files with another maximum.
        return None if raw_mode == "I;16B" else (0, FULL)
    if picture.format == "PNG":
        bits = _significant_bits(file)
        if bits is None:
            return None
        # By PNG's standard these are the highest of the 16 bits, and the rest repeat them or are 0; many programs use
        # the lowest bits.
        lowest = colours.max() < 2**bits and (colours % 2 ** (16 - bits)).any()
        return 0, 2**bits - 1 if lowest else FULL
    return _said_by_tiff(picture)


def _significant_bits(file) -> int | None:
    """Return the largest number of significant bits of a PNG (chunk sBIT); None without one."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            break
        content = file.read(length)
        if kind == b"sBIT" and content:
            # The last value for grey or colour with alpha is that of alpha.
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
    """Return the value of a TIFF tag, the largest of several; None if absent."""
    said = getattr(picture, "tag_v2", {}).get(tag) if picture.format == "TIFF" else None
    return max(said) if isinstance(said, tuple) and said else said
