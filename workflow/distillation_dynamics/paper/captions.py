"""Fills in the names in captions: a study's students, seeds, images, teacher and baseline.

In: the tables of a study by name. Out: texts; facts without a table are called unrecorded.
"""

from collections.abc import Mapping

import pandas as pd

from ..spec.tables import MAIN_IMAGE_SET, Names
from ..words import listed, of_one_or_each, plural

NONE = "an unrecorded number of"


def named(tables: Mapping[str, pd.DataFrame], names: Names) -> dict[str, str]:
    """Return the text for each of `extensions.CAPTION_NAMES` in this study."""
    runs = tables["runs"]
    seeds = runs["seed"].nunique()
    return {
        "students": f"{plural(len(names.variants), 'variant')}, {plural(seeds, 'seed')}" if names.variants else "none",
        "seeds": plural(seeds, "seed") if seeds else "no seed",
        "images": f"{_counts(_measured(tables))} images",
        "test_images": f"{_counts(runs['test_images'])} test images",
        "teacher": of_one_or_each("teacher", names.teachers or [names.teacher or "(none)"]),
        "baseline": of_one_or_each("baseline", names.baselines.values() or ["(none)"]),
    }


def _measured(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Return the number of main images behind each row of the tables over depth; empty if none was measured."""
    depth = tables.get("depth")
    if depth is None or not {"probe", "images"} <= set(depth.columns):
        return pd.Series(dtype=float)
    return depth.loc[depth["probe"] == MAIN_IMAGE_SET, "images"]


def _counts(values: pd.Series) -> str:
    """Return '320', '100 and 320' if they differ, or that no number is recorded."""
    counts = sorted({int(value) for value in values.dropna() if value > 0})
    return listed([f"{count:,}" for count in counts]) or NONE


def filled(caption: str, said: Mapping[str, str]) -> str:
    """Return a caption with its names filled in."""
    return caption.format_map(said)
