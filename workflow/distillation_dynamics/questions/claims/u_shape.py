"""Claim A: entropy, intensity and magnitude of trained Transformers over depth, and the part of a U due to scale."""

from ...statistics.evidence import Evidence
from ...statistics.thresholds import LONG_ENOUGH
from . import _shapes
from ._finding import AS_SCALE, CONTRADICTED, NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, why

PLACE = 20
CLAIM = "profiles over depth are U-shaped"
LETTER = "A"
TEXT = "Entropy and magnitude over depth are U-shaped"
DECIDES = "the test of a valley in entropy, intensity and magnitude, of trained Transformers alone"
RULE = (
    "supported: a U in all three, with the scale taken out too; as scale: not with it out; contradicted: no U in "
    "any, in any of them, one of which was trained for 30 epochs or more, or elsewhere; not testable: no Transformer "
    "of three blocks or more, or its scale-free forms were not measured"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding."""
    found = _shapes.shapes_of(evidence)
    networks = _shapes.transformers(evidence, found)
    if not networks:
        return Finding(NOT_TESTABLE, _shapes.none_tested(evidence, found))
    number, open_, here = found.said(networks), found.open(networks), _shapes.plural_of(networks)
    free = {name: found.scale_free(name) for name in networks}
    control = "scale taken out, U-shaped: " + "; ".join(
        f"{name} {sum(state is True for state in own.values())} of {len(own)}" if own else f"{name} {NO_CONTROL}"
        for name, own in free.items()
    )
    states = [state for name in networks for state in found.of(name).values()]
    if open_ and False not in states:
        sentence = why("undecided", here=here, open=open_[0], more=len(open_) - 1)
        return Finding(NOT_TESTABLE, sentence, number, control)
    if not any(states) and not open_:
        epochs = [_shapes.epochs_here(evidence, name) for name in networks]
        valley = found.deepest(networks)
        if max(epochs) < LONG_ENOUGH:
            sentence = why("trained for too short", epochs=epochs, here=here, valley=valley)
            return Finding(NOT_SEEN, sentence, number, control)
        return Finding(CONTRADICTED, why("no U", here=here, valley=valley), number, control)
    if not all(states) or open_:
        hollow, of = sum(state is True for state in states), len(networks) * len(_shapes.SCALE_FREE)
        sentence = why("some U", u=hollow, of=of, open=len(open_), valley=found.deepest(networks))
        return Finding(NOT_SEEN, sentence, number, control)
    if not all(free.values()):
        return Finding(NOT_TESTABLE, why("U of unknown scale", here=here), number, control)
    beyond = all(state is True for own in free.values() for state in own.values())
    sentence = why("U", here=here, beyond=beyond, valley=found.shallowest(networks))
    return Finding(SUPPORTED, sentence, number, control, "" if beyond else AS_SCALE)
