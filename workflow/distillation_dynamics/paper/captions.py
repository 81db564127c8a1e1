"""What captions may name of a study, filled in: its students, seeds, images, teacher and baseline.

In: the tables of a study by name. Out: texts; what no table tells is called unrecorded.
"""

from collections.abc import Mapping

import pandas as pd

from ..spec.tables import MAIN_IMAGE_SET, Names
from ..words import listed, of_each, plural

NONE = "an unrecorded number of"


def named(tables: Mapping[str, pd.DataFrame], names: Names) -> dict[str, str]:
    """Return what stands for each of `extensions.CAPTION_NAMES` in captions of this study."""
    runs = tables["runs"]
    seeds = runs["seed"].nunique()
    return {
        "students": f"{plural(len(names.variants), 'variant')}, {plural(seeds, 'seed')}" if names.variants else "none",
        "seeds": plural(seeds, "seed") if seeds else "no seed",
        "images": f"{_counts(_measured(tables))} images",
        "test_images": f"{_counts(runs['test_images'])} test images",
        "teacher": of_each("teacher", names.teachers or [names.teacher or "(none)"]),
        "baseline": of_each("baseline", names.baselines.values() or ["(none)"]),
    }


def _measured(tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """Return on how many of the main images each row of the tables over depth rests; empty where none was measured."""
    depth = tables.get("depth")
    if depth is None or not {"probe", "images"} <= set(depth.columns):
        return pd.Series(dtype=float)
    return depth.loc[depth["probe"] == MAIN_IMAGE_SET, "images"]


def _counts(values: pd.Series) -> str:
    """Return '320', '100 and 320' where they differ, or that no number is recorded."""
    counts = sorted({int(value) for value in values.dropna() if value > 0})
    return listed([f"{count:,}" for count in counts]) or NONE


def filled(caption: str, said: Mapping[str, str]) -> str:
    """Return a caption with what stands for its names."""
    return caption.format_map(said)
