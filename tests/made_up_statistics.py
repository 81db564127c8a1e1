"""Tables of made-up statistics, for the figures that are drawn from them."""

import numpy as np
import pandas as pd

from distillation_dynamics.questions.dose.effects import HARMS, NO_EFFECT
from distillation_dynamics.questions.shape.shapes import ROLES
from distillation_dynamics.statistics.u_shape import (
    EMPTY,
    NO_INTERIOR,
    NOT_RESOLVED,
    NOT_U_SHAPED,
    U_SHAPED,
    UNDECIDED,
)
from frames import frame


def statistics(who, tables, seeds=(0,)):
    """The tables of statistics of a study whose other tables are `tables`."""
    draw = np.random.default_rng(1)
    found = {"shape": shapes(who, tables["depth"], draw)}
    others = [name for name in who.variants if name != who.baseline]
    if others and who.baseline is not None:
        found |= effects_of_variants(who, others, seeds, draw)
        found["alignment"], found["effects"] = aligned(who, tables["depth"], others, len(seeds), draw)
    return found


def effects_of_variants(who, others, seeds, draw):
    """The tables of variants, of differences by seed and of gains over training, one turning."""
    rows = {"variants": [], "differences": [], "trajectory": [], "published_trajectory": []}
    for number, name in enumerate(others):
        pair = {"variant": name, "baseline": who.baseline}
        values = draw.normal(0.3, 0.7, len(seeds))
        half = 2 * values.std(ddof=1) if len(seeds) > 1 else np.nan
        rows["differences"] += [pair | {"seed": s, "difference": v} for s, v in zip(seeds, values, strict=True)]
        one = pair | {"seeds": len(seeds), "mean_difference": values.mean(), "evaluation_standard_error": 0.3}
        one |= {"low": values.mean() - half, "high": values.mean() + half, "changes": 1 + number % 2}
        one |= {"joint_seeds": len(seeds), "smallest_p": 2 / 2 ** len(seeds), "p_joint": 0.031}
        one |= {"early_gain": 1.0, "late_gain": -0.5 if number % 2 else 0.5}
        rows["variants"].append(one)
        for epoch in (1, 2, 3, 4):
            gain = {"epoch": epoch, "fraction": epoch / 4, "gain": 1 - epoch / 3}
            rows["published_trajectory"].append({"variant": name, "run": "a", "comparable": number == 0} | gain)
            wide = 9 / epoch**2 if len(seeds) > 1 else np.nan
            band = {"seeds": len(seeds), "low": gain["gain"] - wide, "high": gain["gain"] + wide}
            rows["trajectory"].append(pair | gain | band)
    return {name: pd.DataFrame(values) for name, values in rows.items()}


def aligned(who, depth, others, seeds, draw):
    """The tables of likeness of blocks and of effects: first and last pair aligned, and one only with others."""
    blocks = depth.groupby("network")["block"].max() + 1
    mine, theirs = int(blocks[who.baseline]), int(blocks[who.teacher])
    rows = []
    for student, teacher in np.ndindex(mine, theirs):
        cka = draw.uniform(0.4, 0.8)
        row = {
            "baseline": who.baseline,
            "student_block": student,
            "teacher_block": teacher,
            "cka": cka,
            "cka_rows": 900,
        }
        rows.append(row | {"gain": draw.normal(0, 0.02), "aligned_by": ""})
    table = pd.DataFrame(rows)
    table.loc[[0, mine * theirs // 2, mine * theirs - 1], "aligned_by"] = "somebody"
    pairs = ["0-0" if number % 2 else f"{mine - 1}-{theirs - 1}" for number, _ in enumerate(others)]
    effects = pd.DataFrame({"variant": others, "pairs": pairs, "objective": "spectral", "seeds": seeds})
    effects["mean_difference"] = draw.normal(0, 0.5, len(others))
    effects["verdict"] = np.where(effects["mean_difference"] > 0, NO_EFFECT, HARMS)
    return table, effects


def shapes(who, depth, draw):
    """The table of shapes: of every metric and network, every verdict once in a while."""
    rows, last = [], depth[depth["epoch"] == depth.groupby("network")["epoch"].transform("max")]
    verdicts = [NOT_U_SHAPED, U_SHAPED, UNDECIDED, NOT_RESOLVED, EMPTY, NO_INTERIOR]
    for (network, seed), _ in last.groupby(["network", "seed"], sort=False, dropna=False):
        for metric, role in ROLES.items():
            valley = draw.normal(0, 0.5)
            row = {"network": network, "seed": seed, "epoch": 5, "probe": "balanced", "metric": metric, "role": role}
            row |= {"scale": "bits" if "entropy" in metric else "log", "images": 320, "p": 0.5}
            row |= {"valley": valley, "valley_low": valley - 0.1, "valley_high": valley + 0.1}
            rows.append(row | {"verdict": verdicts[int(draw.integers(len(verdicts)))]})
    return frame(rows)
