"""How often the test of a U shape is wrong where nothing is U-shaped, and how often it finds a U that is there.

    python benchmarks/shapes.py [--simulations 400 --seed 0]

Curves of 24 blocks, simulated on images: the middle blocks scatter normally, lognormally (sigma .5 and 1), as an
exponential or as Student's t with 3 degrees of freedom, 1, 5 or 10 times as much as the ends, dependent between blocks
as an AR(1) process of .95 or not at all. Without a valley the mean curve is flat: at the level of bits, and of positive
values whose means (or mean logarithms) are equal. With one it falls and rises by a third. Prints a JSON object: by case
the share that a plain t test calls U-shaped at 5 % (the same rule, no correction for skewness), that the test does, and
that it calls undecided for skewness.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.statistics.u_shape import fall_and_rise, published_reading

BLOCKS, AT_ONCE = 24, 100
KINDS = "normal", "lognormal .5", "lognormal 1", "exponential", "t3"
LAG = np.abs(np.subtract.outer(np.arange(BLOCKS), np.arange(BLOCKS)))
# Level of positive values, in standard deviations of the end blocks.
LEVEL = 40.0
VALLEY = 1 - 0.25 * (1 - np.linspace(-1, 1, BLOCKS) ** 2)


def standardised(normal: np.ndarray, kind: str) -> np.ndarray:
    """Return values of mean 0 and standard deviation 1 of a kind, from standard normal ones."""
    if kind.startswith("lognormal"):
        sigma = float(kind.split()[1])
        square = np.exp(sigma**2)
        return (np.exp(sigma * normal) - np.sqrt(square)) / np.sqrt((square - 1) * square)
    if kind == "exponential":
        return stats.expon.ppf(stats.norm.cdf(normal)) - 1
    return stats.t.ppf(stats.norm.cdf(normal), 3) / np.sqrt(3) if kind == "t3" else normal


def noise(generator: np.random.Generator, images: int, kind: str, spread: float, dependent: bool) -> np.ndarray:
    """Return noise [AT_ONCE, images, BLOCKS] of mean 0; standard deviation 1 in end blocks, `spread` in others."""
    values = generator.normal(size=(AT_ONCE, images, BLOCKS))
    if dependent:
        values = values @ np.linalg.cholesky(0.95**LAG).T
    values[..., 1:-1] = spread * standardised(values[..., 1:-1], kind)
    return values


def data_sets(scatter: np.ndarray, curve: np.ndarray) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield (what is equal without a valley, values, scale) around a curve of mean about 1."""
    yield "bits", 5 * curve + scatter, fall_and_rise.BITS
    positive = LEVEL * curve + scatter
    # Where noise would make a value negative, the metric is not one of positive values.
    yield "means", np.maximum(positive, 1e-3), fall_and_rise.LOG
    yield "mean logarithms", curve * np.exp(scatter / 10), fall_and_rise.LOG


def counts(values: np.ndarray, scale: str) -> np.ndarray:
    """Return how many of data sets are U-shaped by t, by the test, and undecided for their skewness."""
    found = fall_and_rise.tested(values, scale)
    plain = published_reading.valley_p(values)
    called = found.p <= 0.05
    return np.array([(plain <= 0.05).sum(), called.sum(), ((found.p_skewed <= 0.05) & ~called).sum()])


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rounds, found = -(-arguments.simulations // AT_ONCE), []
    for name, curve in (("none", np.ones(BLOCKS)), ("a quarter deep", VALLEY)):
        for images, kind, spread, dependent in (
            (n, k, s, d) for n in (32, 320) for k in KINDS for s in (1, 5, 10) for d in (True, False)
        ):
            generator = np.random.default_rng([arguments.seed, images])
            total: dict[str, np.ndarray] = {}
            for _ in range(rounds):
                scatter = noise(generator, images, kind, spread, dependent)
                for equal, values, scale in data_sets(scatter, curve):
                    total[equal] = total.get(equal, 0) + counts(values, scale)
            for equal, called in total.items():
                plain, tested, skewed = (called / (rounds * AT_ONCE)).tolist()
                case = {"valley": name, "images": images, "middle": kind, "spread": spread, "dependent": dependent}
                found.append(case | {"equal": equal, "t": plain, "test": tested, "undecided for skewness": skewed})
    print(json.dumps({"simulations": rounds * AT_ONCE, "cases": found}, indent=1))


if __name__ == "__main__":
    main()
