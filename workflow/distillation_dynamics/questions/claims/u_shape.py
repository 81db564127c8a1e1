"""Claim A: entropy, intensity and magnitude of trained Transformers over depth, and the part of a U due to scale."""

from ...statistics.evidence import Evidence
from ...statistics.thresholds import LONG_ENOUGH
from ...words import span
from . import _shapes
from ._finding import AS_SCALE, CONTRADICTED, NO_CONTROL, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding

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
        more = f", and {len(open_) - 1} more" if len(open_) > 1 else ""
        return Finding(NOT_TESTABLE, f"Not told in {here}: {open_[0]}{more}.", number, control)
    if not any(states) and not open_:
        epochs = [_shapes.epochs_here(evidence, name) for name in networks]
        if max(epochs) < LONG_ENOUGH:
            text = f"Not seen after {span(epochs, '.0f')} epochs: no U in {here}; deepest: {found.deepest(networks)}."
            return Finding(NOT_SEEN, text, number, control)
        text = f"None of three metrics has a U in {here}; deepest valley: {found.deepest(networks)}."
        return Finding(CONTRADICTED, text, number, control)
    if not all(states) or open_:
        hollow, of = sum(state is True for state in states), len(networks) * len(_shapes.SCALE_FREE)
        text = f"A U in {hollow} of {of} profiles, {len(open_)} open; deepest: {found.deepest(networks)}."
        return Finding(NOT_SEEN, text, number, control)
    if not all(free.values()):
        return Finding(NOT_TESTABLE, f"U-shaped in {here}, but not measured with the scale taken out.", number, control)
    beyond = all(state is True for own in free.values() for state in own.values())
    text = f"A U in all three metrics of {here}, {'more than' if beyond else 'of'} scale; shallowest:"
    sentence = f"{text} {found.shallowest(networks)}."
    return Finding(SUPPORTED, sentence, number, control, "" if beyond else AS_SCALE)
