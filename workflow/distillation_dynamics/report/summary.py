"""The summary of a study: at most seven lines, each with a number, interval and n, and the table of claims.

It is made once from the tables; report, page and terminal show it. Its words are in `summary.md.j2`.
"""

from typing import Any

import numpy as np
import pandas as pd

from ..spec.tables import MAIN_IMAGE_SET
from ..statistics import spectra, westfall_young
from ..statistics.checkpoints import of_first_seed
from ..statistics.evidence import Evidence
from ..statistics.paired import mean_of
from ..statistics.thresholds import FEWEST_SEEDS, RANK
from ..statistics.u_shape import NOT_U_SHAPED, U_SHAPED
from ..statistics.u_shape.reading import formatted, of_scale
from .templates import rendered

MOST_LINES, MOST_FAMILIES = 7, 5
# Without students, so many networks have a line each.
MOST_NETWORKS = 3
# A metric of the claim on shapes -> how a line calls it, where the name of its column is too long.
PROFILES = {"entropy": "entropy", "intensity": "intensity", "activation_magnitude": "magnitude"}
UNITS = {"bits": "bits", "log": "doublings", "linear": "of its largest mean"}
NOT_TESTABLE = "not testable here"


def paragraphs(evidence: Evidence) -> tuple[str, ...]:
    """Return the summary in Markdown: the lines as a list, the claims as a table, and the meaning of points and
    brackets.
    """
    lines, *rest = rendered("report/summary.md.j2", **facts(evidence))
    return "\n".join(most_important(lines.splitlines())), *rest


def most_important(lines: list[str]) -> list[str]:
    """Return seven lines: if there are more, the first six and the last, which says what the study cannot show."""
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], lines[-1]]


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses; None or empty if not measured."""
    families = planned(evidence) or unplanned(evidence)
    return {
        "students": bool(evidence.names.variants),
        "families": families[:MOST_FAMILIES],
        "more": max(len(families) - MOST_FAMILIES, 0),
        "shapes": shapes(evidence),
        "accuracy": accuracy(evidence),
        "spectra": spectrum(evidence),
        "likeness": likeness(evidence),
        "limits": limits(evidence),
        **claims(evidence),
    }


# --- comparisons ---


def planned(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the families of planned comparisons in the study's order."""
    found = evidence.read("planned", "family")
    if found.empty:
        return []
    return [
        family(str(name), own.to_dict("records"))
        for name, own in evidence.tables["planned"].groupby("family", sort=False)
    ]


def unplanned(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the lines of a study without planned comparisons: distillation, its variants, place and dose."""
    found = evidence.tables.get("variants")
    if found is None or found.empty:
        return []
    alone = labels_alone(evidence)
    rows = found.to_dict("records")
    contrasts = evidence.tables["dose_and_place"].to_dict("records")
    families = {
        "distillation": [turned(row) for row in rows if row["variant"] in alone],
        "variants": [named(row, row["variant"], row["baseline"]) for row in rows if row["variant"] not in alone],
        **{
            kind: [named(row, row["variant"], row["other"]) for row in contrasts if row["contrast"] == kind]
            for kind in ("place", "dose")
        },
    }
    return [family(name, own) for name, own in families.items() if own]


def labels_alone(evidence: Evidence) -> set[str]:
    """Return the arms trained on labels alone."""
    arms = evidence.names.arms.items()
    return {name for name, arm in arms if {objective for _, objective in arm.terms} == {"cross_entropy"}}


def named(row: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    """Return a comparison of two arms with its name."""
    return row | {"comparison": f"{one} minus {other}"}


def turned(row: dict[str, Any]) -> dict[str, Any]:
    """Return baseline minus variant from variant minus baseline."""
    values = {"mean_difference": -row["mean_difference"], "low": -row["high"], "high": -row["low"]}
    return named(row | values, row["baseline"], row["variant"])


def family(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the decision of a joint test on its comparisons, and the largest difference among the decisive ones."""
    rows = [row | {"decision": westfall_young.decision(row)} for row in rows]
    decided = [row for row in rows if row["decision"] in (westfall_young.BETTER, westfall_young.WORSE)]
    known = [row for row in decided or rows if not np.isnan(row["mean_difference"])]
    return {
        "name": name,
        "of": len(rows),
        "higher": sum(row["decision"] == westfall_young.BETTER for row in rows),
        "lower": sum(row["decision"] == westfall_young.WORSE for row in rows),
        "tested": any(row["decision"] != westfall_young.UNTESTED for row in rows),
        "largest": max(known, key=lambda row: abs(row["mean_difference"])) if known else None,
    }


# --- what networks are like ---


def shapes(evidence: Evidence) -> dict[str, Any] | None:
    """Return how many networks and students have a U, and the deepest valley; for few networks, each of them."""
    shape, names = evidence.tables.get("shape"), evidence.names
    if shape is None:
        return None
    shape = shape[(shape["probe"] == MAIN_IMAGE_SET) & shape["metric"].isin(PROFILES) & shape["p"].notna()]
    own = shape[shape["network"].isin(names.trained)]
    if own.empty:
        return None
    networks = [name for name in names.ordered if (own["network"] == name).any()]
    each = not names.variants and len(networks) <= MOST_NETWORKS
    known = own[own["valley"].notna()]
    return {
        "networks": counted(own[own["network"].isin(networks)]),
        "students": counted(own[own["network"].isin(names.variants)]),
        "open": counted(own, (U_SHAPED, NOT_U_SHAPED))["others"],
        "deepest": profile(known.loc[known["valley"].idxmax()].to_dict()) if len(known) else None,
        "each": [network(shape, name, names.controls.get(name)) for name in networks] if each else [],
    }


def counted(rows: pd.DataFrame, settled: tuple[str, ...] = (U_SHAPED,)) -> dict[str, int]:
    """Return how many trainings have a U in a profile, and how many have none of the verdicts `settled`."""
    hollow = rows.assign(u=rows["verdict"] == U_SHAPED, other=~rows["verdict"].isin(settled))
    of = hollow.assign(seed=hollow["seed"].astype(object).fillna("-")).groupby(["network", "seed"])[["u", "other"]]
    found = of.any()
    return {"u": int(found["u"].sum()), "of": len(found), "others": int(found["other"].sum())}


def profile(row: dict[str, Any]) -> dict[str, Any]:
    """Return one profile over depth as a line shows it."""
    return formatted(row) | {"profile": PROFILES[row["metric"]], "unit": UNITS.get(row["scale"], row["scale"])}


def network(shape: pd.DataFrame, name: str, control: str | None) -> dict[str, Any]:
    """Return the profiles of a network with and without a U, the one with the deepest valley, and its control's."""
    rows = [profile(row) for row in shape[shape["network"] == name].to_dict("records")]
    controls = shape[shape["network"] == control]
    known = [row for row in rows if not np.isnan(row["valley"])]
    hollow = [row for row in rows if row["verdict"] == U_SHAPED]
    return {
        "network": name,
        "u": [row["profile"] for row in hollow],
        "no_u": [row["profile"] for row in rows if row["verdict"] == NOT_U_SHAPED],
        "open": [row["profile"] for row in rows if row["verdict"] not in (U_SHAPED, NOT_U_SHAPED)],
        "deepest": max(known, key=lambda row: (row["verdict"] == U_SHAPED, row["valley"])) if known else None,
        "images": rows[0]["images"],
        "of_scale": [row["profile"] for row in hollow if of_scale(row)],
        "control": control if len(controls) else None,
        "control_u": [PROFILES[metric] for metric in controls.loc[controls["verdict"] == U_SHAPED, "metric"]],
    }


def spectrum(evidence: Evidence) -> dict[str, Any] | None:
    """Return in how many blocks of trained networks the spectrum differs from permuted channels, and the clearest
    block.
    """
    rows = spectra.spectra(evidence)
    if rows.empty:
        return None
    clearest = rows.loc[rows["amplitude_p"].idxmin()]
    images = evidence.read("depth", "images")["images"]
    return {
        "differ": int(rows["differs"].sum()),
        "of": len(rows),
        "p": clearest["amplitude_p"],
        "at": f"{clearest['network']}, block {clearest['block']:.0f}",
        "band": [clearest[f"{spectra.BAND}{end}"] for end in ("", "_null_low", "_null_high")],
        "images": None if images.empty else int(images.max()),
    }


def likeness(evidence: Evidence) -> dict[str, Any] | None:
    """Return the two networks most similar by CKA, with their controls; None if none were compared."""
    found = evidence.read("networks", "network", "other", "kind", "cka", "images").dropna(subset=["cka"])
    pairs = found[found["kind"] == "networks"]
    if pairs.empty:
        return None
    best, controls = pairs.loc[pairs["cka"].idxmax()], evidence.names.controls
    both = {controls.get(best["network"]), controls.get(best["other"])}
    own = found[[{one, other} == both for one, other in zip(found["network"], found["other"], strict=True)]]
    return {"best": best.to_dict(), "of": len(pairs), "control": own["cka"].max() if len(own) else np.nan}


# --- accuracy and limits ---


def accuracy(evidence: Evidence) -> dict[str, Any] | None:
    """Return test top-1 of teacher, baseline and labels alone, or of the best and worst network; None: not measured."""
    runs, names = evidence.tables["runs"], evidence.names
    runs = runs[runs["test_top1"].notna()]
    if runs.empty:
        return None
    roles = {names.teacher: "teacher", names.baseline: ""}
    roles |= {name: "labels alone," for name in sorted(labels_alone(evidence)) if alike(evidence, name)}
    if not names.variants:
        top1 = runs.set_index("network")["test_top1"]
        roles = {top1.idxmin(): "", top1.idxmax(): ""}
    rows = [(name, role, runs[runs["network"] == name]) for name, role in roles.items()]
    seeds = [own["seed"].nunique() for name, _, own in rows if name in names.variants]
    return {
        "rows": [
            {"name": name, "role": role, **mean_of(own["test_top1"].to_numpy(), "top1")}
            for name, role, own in rows
            if len(own)
        ],
        "seeds": max(seeds, default=0),
        "images": int(runs["test_images"].max()),
    }


def alike(evidence: Evidence, arm: str) -> bool:
    """Return whether an arm trains the student of the first baseline, next to which it is shown."""
    return evidence.names.baseline_of(arm) == evidence.names.baseline != arm


def limits(evidence: Evidence) -> dict[str, Any]:
    """Return what the study cannot show: effects that are too small, harm from too few channels."""
    tables, names = evidence.tables, evidence.names
    if not names.variants:
        images = evidence.read("shape", "images")["images"]
        return {"images": int(images.max()) if len(images) else 0}
    effects = pd.concat([evidence.read(name, "detectable_effect") for name in ("planned", "variants")])
    effects = effects["detectable_effect"].dropna()
    runs = tables["runs"]
    return {
        "detectable": effects.min() if len(effects) else np.nan,
        "seeds": int(runs.loc[runs["network"].isin(names.variants), "seed"].nunique()),
        "fewest": FEWEST_SEEDS,
        "width": width(evidence),
    }


def width(evidence: Evidence) -> dict[str, int] | None:
    """Return the directions that the teacher's last block needs and the student's channels, if they suffice."""
    names = evidence.names
    if len(names.baselines) != 1 or len(names.teachers) != 1:
        return None
    ranks, widths = evidence.depth("channels", RANK), evidence.depth("channels")
    taught, student = ranks[ranks["network"] == names.teachers[0]], widths[widths["network"] == names.baseline]
    if taught.empty or student.empty:
        return None
    student = student[of_first_seed(student, "network")]
    directions = round(taught.loc[taught["block"].idxmax(), RANK])
    channels = int(student.loc[student["block"].idxmax(), "channels"])
    return {"directions": directions, "channels": channels} if directions <= channels else None


# --- claims ---


def claims(evidence: Evidence) -> dict[str, Any]:
    """Return the testable claims as a table, decided ones first; the others are only counted."""
    found = evidence.read("claims", "text", "verdict", "scale", "estimate")
    order = ("supported", "contradicted", "not seen here")
    testable = found[found["verdict"] != NOT_TESTABLE]
    testable = testable.sort_values("verdict", key=lambda verdicts: verdicts.map(order.index), kind="stable")
    table = [
        {
            "claim": row["text"],
            "verdict": ", ".join(filter(None, [row["verdict"], row["scale"]])),
            "number": row["estimate"],
        }
        for row in testable.to_dict("records")
    ]
    return {"claims": pd.DataFrame(table), "untestable": len(found) - len(testable), "all_claims": len(found)}
