"""Error rate and power of the joint sign-flip test of variants against one baseline, beside Holm's correction.

    python benchmarks/westfall_young.py [--variants 9 --studies 1000 --seed 0]

Made-up studies of 6, 8 and 20 seeds: differences of variants that share a baseline (correlated by .5), of normal
noise, of skewed accuracies (lognormal), of heavy-tailed ones (t with 3 degrees of freedom), and of variants whose
spreads differ tenfold; last, differences that are skewed themselves, which breaks the assumption of the test. Prints a
JSON object: `error`, the share of studies without any effect in which something is found; `power`, the share in which
one effect of 1.5 or 2.5 standard deviations is found, by the joint test and by Holm over the single sign-flip tests.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.statistics.thresholds import LEVEL
from distillation_dynamics.statistics.westfall_young import TOLERANCE, adjusted, flips, sizes

SEEDS, EFFECTS = (6, 8, 20), (1.5, 2.5)


def holm(differences: np.ndarray) -> np.ndarray:
    """Holm over the sign-flip tests of each comparison alone, [m]."""
    found = sizes(differences, np.vstack([*flips(len(differences), 2**11)]))
    p = (found >= found[0] - TOLERANCE).mean(axis=0)
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty(len(p))
    result[order] = np.minimum(raised, 1)
    return result


def accuracies(kind: str, draw: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Noise of accuracies [seeds, 1 + variants], the baseline's first, with standard deviation about 1."""
    if kind == "lognormal":
        return draw.lognormal(0, 0.75, shape)
    if kind == "heavy":
        return draw.standard_t(3, shape) / np.sqrt(3)
    noise = draw.standard_normal(shape)
    return noise * np.geomspace(0.2, 2, shape[1]) if kind == "spreads" else noise


def studies(kind: str, seeds: int, variants: int, count: int, seed: int):
    """Yield the differences of each study, [seeds, variants], without any effect."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        if kind == "skewed differences":
            yield draw.lognormal(0, 0.75, (seeds, variants)) - np.exp(0.75**2 / 2)
        else:
            noise = accuracies(kind, draw, (seeds, 1 + variants))
            yield noise[:, 1:] - noise[:, :1]


def rates(kind: str, seeds: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Return error and power of both tests for one kind of noise and number of seeds."""
    found: dict[str, list[bool]] = {}
    listed = list(studies(kind, seeds, arguments.variants, arguments.studies, arguments.seed))
    spread = np.std(np.concatenate(listed), axis=0)
    for differences in listed:
        for name, test in (("joint", adjusted), ("holm", holm)):
            found.setdefault(f"error {name}", []).append(bool((test(differences) <= LEVEL).any()))
            for effect in EFFECTS:
                shifted = differences.copy()
                shifted[:, 0] += effect * spread[0]
                found.setdefault(f"power {effect} SD {name}", []).append(bool(test(shifted)[0] <= LEVEL))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


def main() -> None:
    """Print the rates of every kind of noise and number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("variants", 9), ("studies", 1000), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    kinds = ("normal", "lognormal", "heavy", "spreads", "skewed differences")
    result = {f"{kind}, {seeds} seeds": rates(kind, seeds, arguments) for seeds in SEEDS for kind in kinds}
    print(json.dumps(vars(arguments) | result, indent=1))


if __name__ == "__main__":
    main()
