"""The claim on convolutional students: gain from feature alignment without and with attention."""

import pandas as pd

from ...statistics.evidence import Evidence
from . import _arms, _effects, _places
from ._effects import AGAINST, FOR, GAIN
from ._finding import CONTRADICTED, NOT_SEEN, NOT_TESTABLE, SUPPORTED, Finding, why

PLACE = 10
CLAIM = "features help convolutions, not ViTs"
LETTER = ""
TEXT = "Distilling features helps convolutional students and not ViTs"
DECIDES = "effect of feature terms on students without attention, and on students with it"
RULE = (
    "supported: a gain in all without attention, one of 0.15 points excluded in all with it; contradicted: the "
    "reverse; not testable: all students of one kind, or 0.30 points would not be found"
)


def look(evidence: Evidence) -> Finding:
    """Return the finding on all variants that align blocks and differ from their baseline only in that."""
    if not evidence.names.variants:
        return Finding(NOT_TESTABLE, why("no students"))
    values = _arms.differences(evidence)
    aligned = [name for name in values if _arms.aligned_terms(evidence, name)]
    kinds = {name: evidence.with_attention(name) for name in evidence.names.variants}
    known = {has for has in kinds.values() if has is not None}
    found = _effects.family(values[aligned], effects=known == {True, False})
    if known != {True, False}:
        return Finding(NOT_TESTABLE, why("one kind of student", known=list(known)), _effects.number(found))
    with_it, without = ([name for name in found.index if kinds[name] is has] for has in (True, False))
    if not (with_it and without):
        sentence = why("no aligned student", kind="without" if with_it else "with")
        return Finding(NOT_TESTABLE, sentence, _effects.number(found))
    rows = found.loc[[*without, *with_it]]
    gains, none = _effects.states(found.loc[without], GAIN), _effects.states(found.loc[with_it], GAIN, claimed=False)
    said = pd.concat([gains, none])
    same, control = _places.null_targets(evidence, without, values, GAIN)
    if set(said) == {FOR}:
        least = _effects.extreme(rows.loc[without], -GAIN)
        verdict, sentence = SUPPORTED, why("gain without attention", least=least)
        if same:
            verdict, sentence = NOT_SEEN, why("the control too", what="gain", control=same)
    elif set(said) == {AGAINST}:
        least = _effects.extreme(rows.loc[with_it], -GAIN)
        verdict, sentence = CONTRADICTED, why("gain with attention", least=least)
    else:
        verdict, sentence = _effects.unsettled(rows, said, GAIN)
    words = pd.Series({name: "without attention" if name in without else "with attention" for name in rows.index})
    return _effects.finding_of(rows, verdict, sentence, _effects.number(rows, said + " the claim, " + words), control)
