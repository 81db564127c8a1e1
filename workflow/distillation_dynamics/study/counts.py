"""Check that image sets have as many images as a study asks for, as far as their numbers are known.

Footers of Parquet files give them when a study is loaded, listings of folders when it is planned. Imports no torch.
"""

import math
from collections.abc import Iterator, Mapping

from ..spec.configured import Data
from .keys import Configuration
from .recipes import recipes


def image_faults(config: Configuration, data: Data, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yield a sentence if more images are held out, trained on or measured than exist.

    `counts`: images by source (train, test) of `data`, under its key "data", and of each probe under "probes.<name>".
    """
    own = counts.get("data", {})
    if data.validation is not None and data.held_out >= own.get(held := data.validation.taken_from, math.inf):
        yield (
            f"data.validation.per_class: {data.validation.per_class} images of each of {data.classes} classes cannot "
            f"be held out: data.{held} has {own[held]} images in all"
        )
    size = data.left_to_train(own["train"]) if "train" in own else None
    if size is not None and size <= 0:
        size = None  # Said already: nothing would be left to train on.
    for key, recipe in recipes(config).items():
        images = recipe.train_images or size
        if size is not None and images is not None and images > size:
            yield f"{key}.train_images: {images} is more than the {size} available training images"
        if images is not None and recipe.batch_size > images:
            yield f"{key}.batch_size: {recipe.batch_size} is more than the {images} training images"
    for name, network in config.networks.items():
        images = network.head.images if network.head is not None else None
        if size is not None and images is not None and images > size:
            yield f"networks.{name}.head.images: {images} is more than the {size} available training images"
    count = data.count_of(data.measured, own)
    for owner, images in (
        ("measure", config.measure.images), ("saliency", config.saliency.images), ("compare", config.compare.images)
    ):  # fmt: skip
        if images is not None and count is not None and images > count:
            yield f"{owner}.images: {images} is more than the {count} {data.measured} images"
    first = config.measure.published_images
    if first is not None and first > own.get("test", math.inf):
        yield f"measure.published_images: {first} is more than the {own['test']} images of data.test"
    for name, probe in config.probes.items():
        there = counts.get(f"probes.{name}", {}).get("test", math.inf)
        if probe.images is not None and probe.images > there:
            yield f"probes.{name}.images: {probe.images} is more than the {there} images of probes.{name}.test"
