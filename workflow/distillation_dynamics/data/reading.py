"""Reads all images of a source once, when they are split, and collects unreadable ones and remarks."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from ..errors import StudyError
from ..words import plural
from .pictures import Told, read, why

Item = TypeVar("Item")
Result = TypeVar("Result")
# Images per thread at a time.
PART = 16
# Images named in a sentence.
MOST_NAMED = 5


@contextmanager
def opened(root: str, name: str, offset: int, size: int) -> Iterator[Any]:
    """Open an image in place: in a folder or, if `offset` >= 0, inside the file `root`."""
    if offset < 0:
        with open(os.path.join(root, name), "rb") as file:
            yield file
    else:
        with open(root, "rb") as file:
            file.seek(offset)
            yield io.BytesIO(file.read(size))


def in_order(work: Callable[[Sequence[Item]], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `work(part)` for consecutive parts of `items` in order, computed a few parts ahead in threads."""
    due, rest = deque[Any](), iter(items)
    with ThreadPoolExecutor(threads) as pool:
        while part := list(islice(rest, PART)):
            due.append(pool.submit(work, part))
            if len(due) > threads:
                yield due.popleft().result()
        while due:
            yield due.popleft().result()


def looked_at(file, whole: bool = False) -> Told | str:
    """Return remarks on an encoded image, or why it is unreadable; the image is fully decoded.

    Unless `whole`, a JPEG is decoded at an eighth of its size, which reads all its bytes in less time.
    """
    try:
        return read(file, 3, whole=whole)[1]
    except Exception as error:
        return why(error)


@dataclass
class Seen:
    """Remarks on the images of a source. `names`: of all; `broken`: position -> why an image is unreadable."""

    names: np.ndarray
    broken: dict[int, str] = field(default_factory=dict)
    turned: int = 0
    transparent: int = 0
    several: int = 0
    low: list[tuple[int, str]] = field(default_factory=list)
    position: int = 0

    def add(self, told: Told | str) -> None:
        """Add the remarks on the next image."""
        if isinstance(told, str):
            self.broken[self.position] = told
        else:
            self.turned += told.turned
            self.transparent += told.transparent
            self.several += told.several
            if told.largest is not None:
                self.low.append((told.largest, str(self.names[self.position])))
        self.position += 1

    def why_broken(self) -> dict[str, str]:
        """Return name -> why an image is unreadable, in order."""
        return {str(self.names[position]): why for position, why in sorted(self.broken.items())}

    def record(self) -> dict[str, Any]:
        """Return everything in JSON types."""
        low = {"images": len(self.low), "largest": max(self.low)[0], "first": self.low[0][1]} if self.low else None
        return {
            "images": len(self.names) - len(self.broken),
            "turned": self.turned,
            "transparent": self.transparent,
            "several": self.several,
            "low": low,
            "broken": self.why_broken(),
        }

    def notes(self) -> list[str]:
        """Return a sentence for everything the user may not expect."""
        found = []
        if self.turned:
            found.append(f"{plural(self.turned, 'image')} turned as EXIF says")
        if self.transparent:
            found.append(f"{plural(self.transparent, 'image')} with transparent parts, which show data.background")
        if self.several:
            found.append(f"{plural(self.several, 'file')} of several pictures, of which the first is read")
        if self.low:
            found.append(
                f"{plural(len(self.low), 'image')} of 16 bit (first {self.low[0][1]}) with values from 0 to "
                f"{max(self.low)[0]:,} only, and nothing that says what is white: taken as full 16 bit, which is dark; "
                "scale them, or say it in them (sBIT of PNG, MaxSampleValue of TIFF)"
            )
        if self.broken:
            found.append(f"{cannot_be_read(self.why_broken(), len(self.names))}; they are left out")
        return found


def cannot_be_read(broken: Mapping[str, str], images: int) -> str:
    """Return how many images are unreadable, naming the first with reasons, as part of a sentence."""
    named = [f"{name} ({why})" for name, why in islice(broken.items(), MOST_NAMED)]
    more = ", ..." if len(broken) > MOST_NAMED else ""
    return f"{len(broken)} of {images} images cannot be read: {', '.join(named)}{more}"


def check_broken(broken: Mapping[str, Mapping[str, str]], images: Mapping[str, int], allowed: int, key: str) -> None:
    """Raise StudyError if more images are unreadable than `allowed`, or all of a source.

    `broken`: source -> name -> why; `images`: number of images by source; `key` names the image set.
    """
    count = sum(map(len, broken.values()))
    none = any(len(own) == images[source] for source, own in broken.items() if own)
    if count > allowed or none:
        said = "; ".join(f"{key}.{one}: {cannot_be_read(own, images[one])}" for one, own in broken.items() if own)
        without = "" if none else f", or give {key}.broken_images: {count} to go on without them"
        raise StudyError(f"{said}; replace or remove them{without}")
