"""Values for the template on what a study can show.

In: runs, terms of the loss, means by block, CKA of the teacher with itself, and the rows of variants.parquet.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ...ranking import listed, shown, top
from ...spec.tables import Names
from ...statistics.checkpoints import of_first_seed
from ...statistics.evidence import Evidence
from ...statistics.finished import rise_an_epoch
from ...statistics.thresholds import FINISHED, LIKE_DOSE, RANK


def facts(evidence: Evidence) -> dict[str, Any]:
    """Return the values that the template uses; None or empty if not measured."""
    read, names = evidence.tables, evidence.names
    if not names.arms:
        return {"students": False}
    variants, doses = read["variants"], read.get("terms")
    # One arm for each student and teacher: the baseline, if it has that teacher.
    arms = {(arm.student, arm.teacher): name for name, arm in reversed(names.arms.items())}
    arms |= {(names.arms[name].student, names.arms[name].teacher): name for name in names.baselines.values()}
    pairs = sorted(arms.items(), key=lambda pair: list(names.arms).index(pair[1]))
    return {
        "students": True,
        **_alike([_pair(evidence, arm, of, len(names.teachers) > 1) for of, arm in top(pairs)]),
        "left_out": shown(len(pairs), "students and their teachers", "", "tables/depth.parquet", "list"),
        "teachers": list(names.teachers),
        "effects": list(variants["detectable_effect"].dropna()),
        "seeds": sorted(set(variants["seeds"])),
        "largest": variants["mean_difference"].abs().max(),
        "doses": None if doses is None or doses.empty else _doses(doses, names),
        "clipping": _clipping(read["runs"], names),
        "rises": _rises({name: rise_an_epoch(evidence, name) for name in dict.fromkeys(names.baselines.values())}),
    }


def _alike(pairs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return, for each kind of line, the students with their teachers by what the line says."""
    widths = _grouped(
        pairs,
        lambda one: (one["teacher"]["channels"][-1], one["teacher"]["blocks"], one["student"]["blocks"]),
        "measured",
    )
    directions = _grouped(
        pairs,
        lambda one: (
            one["directions"][-1],
            one["teacher"]["channels"][-1],
            one["directions"][-1] > one["student"]["channels"],
        ),
        "directions",
    )
    images = _grouped(
        pairs, lambda one: (one["images"]["ours"], one["images"]["theirs"], str(one["images"]["control"]))
    )
    known = [one for one in pairs if one["gap"]]
    gaps = _grouped(known, lambda one: (one["gap"]["theirs"], one["gap"]["theirs"] <= one["gap"]["ours"]))
    contrasts = _grouped(pairs, lambda one: tuple(one["cka"].items()))
    return {"widths": widths, "directions": directions, "contrasts": contrasts, "images": images, "gaps": gaps}


def _grouped(
    pairs: list[dict[str, Any]], key: Callable[[dict[str, Any]], tuple], measured: str = ""
) -> list[dict[str, Any]]:
    """Return pairs of equal `key` together; `who`: which they are, if there are others.

    Pairs without the fact `measured` are one group.
    """
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for one in pairs:
        groups.setdefault(key(one) if not measured or one[measured] else (), []).append(one)
    return [
        {"who": f" ({listed(one['who'] for one in own)})" if len(groups) > 1 else "", "pairs": own}
        for own in groups.values()
    ]


def _rises(rises: dict[str, float]) -> dict[str, list[tuple[str, float]]]:
    """Return whether training is finished -> baselines and their rise in validation top-1 an epoch."""
    found: dict[str, list[tuple[str, float]]] = {}
    for name, rise in rises.items():
        state = "unknown" if np.isnan(rise) else "finished" if rise <= FINISHED else "unfinished"
        found.setdefault(state, []).append((name, rise))
    return found


def _pair(evidence: Evidence, arm: str, of: tuple[str, str], several: bool) -> dict[str, Any]:
    """Return facts on a student, by one of its arms, and its teacher; `several`: there are several teachers."""
    (name, taught), read = of, evidence.tables
    widths, ranks = evidence.depth("channels"), evidence.depth("channels", RANK)
    teacher, student = (_blocks(widths, one) for one in (taught, arm))
    measured = not (teacher.empty or student.empty)
    return {
        "who": f"{name} taught by {taught}" if several else name,
        "measured": measured,
        "teacher": {"channels": list(teacher["channels"].astype(int)), "blocks": len(teacher)} if measured else {},
        "student": _student(student) if measured else {},
        "directions": [round(rank) for rank in _blocks(ranks, taught)[RANK]] if measured else [],
        "cka": _contrast(read.get("cka"), taught),
        "images": _images(read["runs"], taught, arm),
        "gap": _gap(evidence, name, taught),
    }


def _student(blocks: pd.DataFrame) -> dict[str, int]:
    channels = blocks["channels"].astype(int)
    return {"first_channels": channels.iloc[0], "channels": channels.iloc[-1], "blocks": len(blocks)}


def _blocks(depth: pd.DataFrame, network: str) -> pd.DataFrame:
    """Return the rows by block of a network's first seed."""
    rows = depth[depth["network"] == network]
    return rows[of_first_seed(rows, "network")].sort_values("block")


def _contrast(cka: pd.DataFrame | None, teacher: str) -> dict[str, float]:
    """Return CKA of the teacher's first and last block, with what its rows are, if known."""
    if cka is None:
        return {}
    own = cka[(cka["network"] == teacher) & (cka["other"] == teacher)]
    own = own[own["epoch"] == own["other_epoch"]]
    pair = own[(own["block"] == 0) & (own["other_block"] == own["other_block"].max())]
    values = {kind: pair[f"cka_{kind}"].iloc[0] for kind in ("tokens", "images") if len(pair)}
    return {kind: value for kind, value in values.items() if not np.isnan(value)}


def _doses(terms: pd.DataFrame, names: Names) -> list[dict[str, Any]]:
    """Return the shares of the loss in the first epoch, sorted, of terms that only some variants have."""
    own = terms[terms["network"].isin(names.variants)]
    common = set(own.loc[own["network"].isin(names.baselines.values()), "term"])
    own = own[~own["term"].isin(common) & (own["epoch"] == own["epoch"].min())]
    shares = own.groupby(["term", "network"], sort=False)["share"].mean()
    found = []
    for term, group in shares.groupby(level="term", sort=False):
        values = group.droplevel("term")
        low, high = values.idxmin(), values.idxmax()
        found.append({
            "term": str(term), "variants": len(values), "low": values[low], "low_at": low, "high": values[high],
            "high_at": high, "apart": len(values) > 1 and values[high] > LIKE_DOSE * values[low],
        })  # fmt: skip
    return found


def _clipping(runs: pd.DataFrame, names: Names) -> list[dict[str, Any]] | None:
    """Return, by limit of the norm (None: no limit), the share of clipped updates; None: not recorded.

    Shares are means over seeds, the lowest and highest over all arms; updates are those of one training.
    """
    if "clipped" not in runs:
        return None
    found = []
    own = runs[runs["network"].isin(names.variants)]
    for norm, group in own.groupby("clip_gradient_norm", dropna=False):
        arms = group.groupby("network", sort=False)
        shares, limit = arms["clipped"].mean(), float(norm)
        low, high = shares.idxmin(), shares.idxmax()
        found.append({
            "norm": None if np.isnan(limit) else limit, "arms": list(shares.index), "low": shares[low], "low_at": low,
            "high": shares[high], "high_at": high, "updates": sorted(set(group["updates"])),
            "seeds": list(arms.size()),
        })  # fmt: skip
    return found


def _images(runs: pd.DataFrame, taught: str, arm: str) -> dict[str, Any]:
    """Return the numbers of training images of students and teacher, and the accuracy of labels on the teacher's."""
    teacher, student = (runs[runs["network"] == name].iloc[0] for name in (taught, arm))
    alike = runs["seed"].isna() & (runs["parameters"] == student["parameters"])
    control = runs[alike & (runs["train_images"] == teacher["train_images"])].head(1).to_dict("records")
    counts = {"ours": int(student["train_images"]), "theirs": int(teacher["train_images"])}
    return counts | {"control": control[0] if control else None}


def _gap(evidence: Evidence, student: str, taught: str) -> dict[str, Any] | None:
    """Return the accuracies of a student on labels alone and of its teacher, in percent; None: not measured."""
    runs, arms = evidence.tables["runs"], evidence.names.arms
    alone = [
        name
        for name, arm in arms.items()
        if arm.student == student and {objective for _, objective in arm.terms} == {"cross_entropy"}
    ]
    top1 = runs.groupby("network")["test_top1"].mean().reindex([*alone[:1], taught])
    if not alone or top1.isna().any():
        return None
    return {"arm": alone[0], "ours": top1.iloc[0], "theirs": top1.iloc[1]}
