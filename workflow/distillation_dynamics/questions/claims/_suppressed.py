"""Whether aligning at a place reduces a phase of the entropy compared with the baseline, paired over seeds."""

from ...statistics.evidence import Evidence
from . import _arms, _entropy
from ._effects import AGAINST, FOR, OPEN
from ._entropy import ENTROPY, LEAST, STANDARDISED, Change
from ._finding import AS_SCALE, CONTRADICTED, NO_CONTROL, NOT_TESTABLE, SUPPORTED, Finding, why


def less_than_baseline(evidence: Evidence, place: str, part: str) -> Finding:
    """Return the finding on a `part` ("fall", "rise") in variants that align at a `place`, minus the baseline's."""
    variants = list(_arms.aligning(evidence, place))
    if not variants:
        return Finding(NOT_TESTABLE, why("no variant", place=place))
    baseline_of = evidence.names.baseline_of
    few = _entropy.unresolved(evidence, [*variants, *map(baseline_of, variants)])
    variants = [name for name in variants if not {name, baseline_of(name)} & set(few)]
    if not variants:
        return _entropy.too_few_bins(few)

    def measured(column: str) -> dict[str, Change]:
        values = _entropy.phases(evidence, column)[part].unstack("network")
        known = [name for name in variants if {name, baseline_of(name)} <= set(values)]
        return _entropy.changes(
            {name: (values[name] - values[baseline_of(name)]).dropna().to_numpy() for name in known}
        )

    found, free = measured(ENTROPY), measured(STANDARDISED)
    if not found:
        return Finding(NOT_TESTABLE, why("no shared entropy", part=part))
    number = f"{part}, minus the baseline's: {_entropy.numbers(found)}"
    control = f"standardised: {_entropy.numbers(free) or NO_CONTROL}"
    sides = {name: _side(change) for name, change in found.items()}
    if _entropy.in_other_bins(measured, sides, _side):
        return Finding(NOT_TESTABLE, why("other bins"), number, control)
    scale = _entropy.of_scale(sides, free)
    values = {"part": part, "of": len(found), "scale": bool(scale)}
    if set(sides.values()) == {FOR}:
        if not free:
            return Finding(NOT_TESTABLE, why("scale unknown"), number)
        least = max(found, key=lambda name: found[name].mean)
        kept = all(_side(change) == FOR for change in free.values())
        sentence = why("smaller", least=LEAST, change=found[least].said(least), **values)
        return Finding(SUPPORTED, sentence, number, control, scale or ("" if kept else AS_SCALE))
    if set(sides.values()) == {AGAINST}:
        least = min(found, key=lambda name: found[name].mean)
        sentence = why("larger", change=found[least].said(least), **values)
        return Finding(CONTRADICTED, sentence, number, control, scale)
    return _entropy.open_finding(found, sides, number, control, scale)


def _side(change: Change) -> str:
    """Return whether a variant's part minus the baseline's is smaller by more than LEAST bits, larger, or neither."""
    return FOR if change.high < -LEAST else AGAINST if change.low > 0 else OPEN
