"""Claim B: a U in several trained Transformers, and in none of their untrained controls."""

from ...statistics.evidence import Evidence
from ...statistics.thresholds import LONG_ENOUGH
from ...words import span
from . import _shapes
from ._finding import CONTRADICTED, NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, few

PLACE = 30
CLAIM = "the U is learned and universal"
LETTER = "B"
TEXT = "The U is learned, and universal"
DECIDES = "the same of several Transformers, with their untrained controls"
RULE = (
    "supported: a U in all, and in no control; contradicted: the controls have it, or no U in a network trained to "
    "its end; not testable: one network, or no control; trained here for fewer than 30 epochs without a U: not seen"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding."""
    found, controls = _shapes.shapes_of(evidence), evidence.names.controls
    networks = _shapes.transformers(evidence, found)
    if not networks:
        return Finding(NOT_TESTABLE, _shapes.none_tested(evidence, found))
    number, images = found.said(networks), found.deepest(networks)
    control = found.said([controls[name] for name in networks if name in controls]) or NO_CONTROL
    hollow = {name: tuple(metric for metric, state in found.of(name).items() if state) for name in networks}
    already = [
        controls[name]
        for name in networks
        if name in controls and hollow[name]
        if list(found.of(controls[name], hollow[name]).values()) == [True] * len(hollow[name])
    ]
    if already:
        text = f"Not learned: untrained, {few(already)} {'has' if len(already) == 1 else 'have'} the same U; {images}."
        return Finding(CONTRADICTED, text, number, control)
    without = [name for name in networks if list(found.of(name).values()) == [False] * len(_shapes.SCALE_FREE)]
    short = {name: epochs for name in without if (epochs := _shapes.epochs_here(evidence, name)) < LONG_ENOUGH}
    finished = [name for name in without if name not in short]
    if finished:
        return Finding(CONTRADICTED, f"Not universal: no U in {few(finished)}; deepest: {images}.", number, control)
    if len(networks) < 2:
        return Finding(
            NOT_TESTABLE, f"Universal takes several Transformers, and here is one: {images}.", number, control
        )
    if short:
        text = (
            f"Not seen after {span(list(short.values()), '.0f')} epochs: no U in {few(list(short))}; deepest: {images}."
        )
        return Finding(NOT_SEEN, text, number, control)
    return _rest(found, networks, controls, number, control)


def _rest(found: _shapes.Shapes, networks: list[str], controls: dict[str, str], number: str, control: str) -> Finding:
    """Return the finding if every network has a U in some metric and its control does not."""
    for name in networks:
        if False in found.of(name).values():
            flat = _shapes.in_metrics(found.of(name), False)
            text = f"{name} has no U in {flat}; deepest: {found.deepest([name])}."
            return Finding(NOT_SEEN, text, number, control)
    for name in networks:
        own = controls.get(name)
        if own is not None and any(found.of(own).values()):
            text = f"Untrained, {own} has a U in {_shapes.in_metrics(found.of(own), True)}: {found.deepest([own])}."
            return Finding(NOT_SEEN, text, number, control)
    for name in networks:
        own = controls.get(name)
        if open_ := found.open([name]):
            return Finding(NOT_TESTABLE, f"Not told: {open_[0]}.", number, control)
        if own is not None and own in found.flat:
            return Finding(NOT_TESTABLE, f"{own} is flat over depth, and no control of {name}.", number, control)
        if own is None or not found.of(own):
            return Finding(NOT_TESTABLE, f"A control of {name} was not measured.", number, control)
        if None in found.of(own).values():
            return Finding(NOT_TESTABLE, f"Not told: {found.open([own])[0]}.", number, control)
    text = (
        f"A U in all metrics of {len(networks)} Transformers, in no control; shallowest: {found.shallowest(networks)}."
    )
    return Finding(SUPPORTED, text, number, control)
