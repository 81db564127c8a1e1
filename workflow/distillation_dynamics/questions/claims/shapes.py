"""Claims on the shape of trained networks' metrics over depth. In: the evidence. Out: a finding a claim.

Networks are those of the study, students are not among them; the claims are about Transformers, so that networks
without attention are left out where they are known to have none. What a test leaves open decides nothing.
"""

from typing import NamedTuple

from ...spec.tables import MAIN_IMAGE_SET
from ...statistics.evidence import Evidence
from ...statistics.thresholds import FLAT
from ...statistics.u_shape import NOT_RESOLVED, NOT_U_SHAPED, TESTED, U_SHAPED
from ...words import listed, spaced
from .finding import CONTRADICTED, NO_CONTROL, SUPPORTED, UNDECIDED, Finding, untestable

# A metric of the claim -> the same with the scale taken out, or None where there is no such form.
SCALE_FREE = {"entropy": "entropy_standardised", "intensity": "intensity_per_rms", "activation_magnitude": None}
DECIDED = {U_SHAPED: True, NOT_U_SHAPED: False}


class Shapes(NamedTuple):
    """Network -> metric -> verdict on the main images, of what was tested; `flat`: controls that are flat in all."""

    verdicts: dict[str, dict[str, str]]
    flat: set[str]

    def of(self, network: str | None, metrics: tuple[str, ...] = tuple(SCALE_FREE)) -> dict[str, bool | None]:
        """Return metric -> whether a network is U-shaped in it, None where that is open; those that were tested."""
        own = self.verdicts.get(network or "", {})
        return {metric: DECIDED.get(own[metric]) for metric in metrics if metric in own}

    def said(self, networks: list[str]) -> str:
        """Return 'cait: entropy yes, intensity no; vit: entropy not resolved, ...' of the metrics of the claim."""
        words = {U_SHAPED: "yes", NOT_U_SHAPED: "no"}
        own = {name: self.verdicts[name] for name in networks if self.of(name)}
        return "; ".join(
            f"{name}: " + ", ".join(f"{m} {words.get(v, v)}" for m, v in verdicts.items() if m in SCALE_FREE)
            for name, verdicts in own.items()
        )

    def open(self, networks: list[str]) -> list[str]:
        """Return 'entropy of vit is undecided', 'intensity of cait was not measured' of the metrics of the claim."""
        found = []
        for name in networks:
            known = self.of(name)
            for metric in SCALE_FREE:
                if metric not in known:
                    found.append(f"{spaced(metric)} of {name} was not measured")
                elif known[metric] is None:
                    found.append(f"{spaced(metric)} of {name} is {self.verdicts[name][metric]}")
        return found


def shapes_of(evidence: Evidence) -> Shapes:
    """Return what shape.parquet says on the main images; curves of controls that are flat are left out."""
    rows = evidence.read("shape", "network", "probe", "metric", "verdict", "relative_range")
    rows = rows[(rows["probe"] == MAIN_IMAGE_SET) & rows["verdict"].isin([*TESTED, NOT_RESOLVED])]
    flat = (rows["relative_range"] < FLAT) & rows["network"].isin(evidence.names.controls.values())
    kept = rows[~flat]
    verdicts = {
        name: dict(zip(own["metric"], own["verdict"], strict=True)) for name, own in kept.groupby("network", sort=False)
    }
    return Shapes(verdicts, set(rows.loc[flat, "network"]) - set(kept["network"]))


def _transformers(evidence: Evidence, found: Shapes) -> list[str]:
    """Return the networks whose shape was tested, but for those that are known to have no attention."""
    names = [name for name in evidence.names.ordered if found.of(name)]
    return [name for name in names if evidence.with_attention(name) is not False]


def shape(evidence: Evidence) -> Finding:
    """Claim A: U-shaped in all of the paper's metrics, and still so with the scale taken out."""
    found = shapes_of(evidence)
    networks = _transformers(evidence, found)
    if not networks:
        return untestable("the shape of no trained network with attention was tested")
    number, open_ones = found.said(networks), found.open(networks)
    states = [state for name in networks for state in found.of(name).values()]
    free = {name: found.of(name, tuple(filter(None, SCALE_FREE.values()))) for name in networks}
    control = "scale taken out, U-shaped: " + "; ".join(
        f"{name} {sum(state is True for state in own.values())} of {len(own)}" if own else f"{name} {NO_CONTROL}"
        for name, own in free.items()
    )
    here = "in this network" if len(networks) == 1 else f"in these {len(networks)} networks"
    if open_ones:
        decided = {state for state in states if state is not None}
        what = {
            frozenset(): "none of these metrics is decided",
            frozenset({False}): "none of these metrics that is decided is U-shaped",
            frozenset({True}): "those of these metrics that are decided are U-shaped",
            frozenset({True, False}): "some of these metrics are U-shaped, others are not",
        }[frozenset(decided)]
        return Finding(UNDECIDED, number, control, f"{what} {here}: {'; '.join(open_ones)}")
    if not any(states):
        return Finding(CONTRADICTED, number, control, f"none of these metrics is U-shaped {here}")
    if not all(states):
        return Finding(UNDECIDED, number, control, f"some of these metrics are U-shaped {here}, others are not")
    if all(own and all(own.values()) for own in free.values()):
        return Finding(SUPPORTED, number, control, f"all are U-shaped {here}, with the scale taken out too")
    why = f"all are U-shaped {here}, but not with the scale taken out, as far as that was measured: a U of scale"
    return Finding(UNDECIDED, number, control, why)


def learned(evidence: Evidence) -> Finding:
    """Claim B: U-shaped in several networks with attention, and in none of their controls."""
    found, controls = shapes_of(evidence), evidence.names.controls
    networks = _transformers(evidence, found)
    if not networks:
        return untestable("the shape of no trained network with attention was tested")
    number = found.said(networks)
    control = found.said([controls[name] for name in networks if name in controls]) or NO_CONTROL
    without = [name for name in networks if all(state is False for state in found.of(name).values())]
    if without:
        return Finding(CONTRADICTED, number, control, f"not universal: no U in {listed(without)}")
    hollow = {name: tuple(m for m, state in found.of(name).items() if state) for name in networks}
    already = [
        controls[name]
        for name in networks
        if name in controls and hollow[name] and set(found.of(controls[name], hollow[name]).items()) == {
            (metric, True) for metric in hollow[name]
        }
    ]  # fmt: skip
    if already:
        has = "has" if len(already) == 1 else "have"
        return Finding(CONTRADICTED, number, control, f"not learned: {listed(already)} {has} the same U")
    if len(networks) < 2:
        return untestable("universal takes several networks, and here is one", number, control)
    reasons = [_open_shape(found, name) for name in networks]
    reasons += [_open_control(found, name, controls.get(name)) for name in networks]
    if not any(reasons):
        return Finding(SUPPORTED, number, control, f"in these {len(networks)} networks and on these images")
    return Finding(UNDECIDED, number, control, "; ".join(filter(None, reasons)))


def _open_shape(found: Shapes, network: str) -> str:
    """Return why a network is not U-shaped in every metric; empty where it is."""
    states = found.of(network)
    flat = [spaced(metric) for metric, state in states.items() if state is False]
    if flat:
        return f"{network} is not U-shaped in {listed(flat)}"
    return "; ".join(found.open([network]))


def _open_control(found: Shapes, network: str, control: str | None) -> str:
    """Return why a network's control does not show that its U is learned; empty where it does."""
    if control is not None and control in found.flat:
        return f"{control} is flat over depth and no control"
    states = found.of(control)
    if not states:
        return f"a control of {network} was not measured"
    hollow = [spaced(metric) for metric, state in states.items() if state]
    if hollow:
        return f"{control} has a U in {listed(hollow)}"
    undecided = [spaced(metric) for metric, state in states.items() if state is None]
    return f"whether {control} has a U in {listed(undecided)} is not decided" if undecided else ""
