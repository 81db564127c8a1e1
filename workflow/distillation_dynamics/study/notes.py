"""Remarks on a study that are no faults: how networks see images, and what modifies them. Imports no torch."""

from collections.abc import Iterator

from .study import Study


def view_notes(study: Study) -> Iterator[str]:
    """Yield a sentence for each network whose preprocessing differs from `view` although it has no view of its own."""
    for name, network in study.networks.items():
        seen, given = vars(study.view(name)), study.configuration["view"]
        others = {
            part: seen[part]
            for part, value in given.items()
            if getattr(network.view, part) is None
            and seen[part] != (tuple(value) if isinstance(value, list) else value)
        }
        if others:
            parts = ", ".join(
                f"{part} {list(value) if isinstance(value, tuple) else value}" for part, value in others.items()
            )
            yield (
                f"networks.{name}: sees images as its weights were trained ({parts}) and not as view says; to "
                f"change it give networks.{name}.view"
            )


def resampling_notes(study: Study) -> Iterator[str]:
    """Yield a sentence for each network whose weights were trained on another grid of patches."""
    for name in study.networks:
        if (said := study.model_info[name].resampling) is not None:
            yield f"networks.{name}: {said}, for images of {study.view(name).image_size} pixels"


def architecture_notes(study: Study) -> Iterator[str]:
    """Yield the notes of modified networks."""
    for name, info in study.model_info.items():
        if info.note is not None:
            yield f"{'networks.' if name in study.networks else ''}{name}: {info.note}"
