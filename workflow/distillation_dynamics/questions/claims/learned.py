"""Claim B: a U in several trained Transformers, and in none of their untrained controls."""

from ...statistics.evidence import Evidence
from ...statistics.thresholds import LONG_ENOUGH
from . import _shapes
from ._finding import CONTRADICTED, NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, few, why

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
        sentence = why("not learned", controls=few(already), count=len(already), valley=images)
        return Finding(CONTRADICTED, sentence, number, control)
    without = [name for name in networks if list(found.of(name).values()) == [False] * len(_shapes.SCALE_FREE)]
    short = {name: epochs for name in without if (epochs := _shapes.epochs_here(evidence, name)) < LONG_ENOUGH}
    finished = [name for name in without if name not in short]
    if finished:
        return Finding(CONTRADICTED, why("not universal", networks=few(finished), valley=images), number, control)
    if len(networks) < 2:
        return Finding(NOT_TESTABLE, why("one Transformer", valley=images), number, control)
    if short:
        values = {"epochs": list(short.values()), "here": few(list(short)), "valley": images}
        return Finding(NOT_SEEN, why("trained for too short", **values), number, control)
    return _rest(found, networks, controls, number, control)


def _rest(found: _shapes.Shapes, networks: list[str], controls: dict[str, str], number: str, control: str) -> Finding:
    """Return the finding if every network has a U in some metric and its control does not."""
    for name in networks:
        if False in found.of(name).values():
            flat = _shapes.in_metrics(found.of(name), False)
            sentence = why("no U in a metric", network=name, metrics=flat, valley=found.deepest([name]))
            return Finding(NOT_SEEN, sentence, number, control)
    for name in networks:
        own = controls.get(name)
        if own is not None and any(found.of(own).values()):
            metrics = _shapes.in_metrics(found.of(own), True)
            sentence = why("U of a control", control=own, metrics=metrics, valley=found.deepest([own]))
            return Finding(NOT_SEEN, sentence, number, control)
    for name in networks:
        own = controls.get(name)
        if open_ := found.open([name]):
            return Finding(NOT_TESTABLE, why("undecided", here="", open=open_[0], more=0), number, control)
        if own is not None and own in found.flat:
            return Finding(NOT_TESTABLE, why("flat control", control=own, network=name), number, control)
        if own is None or not found.of(own):
            return Finding(NOT_TESTABLE, why("no control", network=name), number, control)
        if None in found.of(own).values():
            return Finding(NOT_TESTABLE, why("undecided", here="", open=found.open([own])[0], more=0), number, control)
    sentence = why("learned", of=len(networks), valley=found.shallowest(networks))
    return Finding(SUPPORTED, sentence, number, control)
