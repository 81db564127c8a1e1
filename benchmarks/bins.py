"""How far entropy in equal bins depends on where the bins begin, by the RMS of the values in bins.

    python benchmarks/bins.py [--channels 48 384 --tokens 400 --seed 0]

Tokens of independent channels: normal, Laplace, Student's t with 3 degrees of freedom, and normal with a fiftieth of
the channels twenty times as large, as networks with outlying channels have. Their RMS is so many bins, and the bins
begin at 20 places. By distribution, channels and RMS per bin the JSON object has, in bits: `mean`, the expected entropy
over these offsets; `bias`, its distance from what there is to measure, the differential entropy less log2 of a bin's
width; `spread`, the largest less the smallest expectation; `deviation`, that of one simulated token at a random offset.
Expectations are exact: the count of a bin is binomial. `threshold` is the least RMS per bin of the grid from which on
every spread is below .01 bits: `statistics.thresholds.LEAST_RMS_PER_BIN`.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import integrate, stats
from scipy.special import entr

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.questions.shape.references import expected_entropy
from distillation_dynamics.statistics.thresholds import LEAST_RMS_PER_BIN

# Bits; a seventh of the smallest change that counts.
SPREAD = 0.01
RMS_PER_BIN = 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0
OFFSETS = np.arange(20) / 20
# So many bins hold all but the farthest values, which have their own.
HALF = 250
OUTLYING, TIMES = 0.02, 20.0
BULK = 1 / np.sqrt(1 - OUTLYING + OUTLYING * TIMES**2)
# Each of mean 0 and standard deviation 1, but for the outlying channels, whose RMS is 1.
DISTRIBUTIONS = {
    "normal": stats.norm(),
    "laplace": stats.laplace(scale=np.sqrt(0.5)),
    "t3": stats.t(3, scale=1 / np.sqrt(3)),
    "outlying channels": stats.Mixture(
        [stats.Normal(sigma=BULK), stats.Normal(sigma=TIMES * BULK)], weights=[1 - OUTLYING, OUTLYING]
    ),
}


def expected(cdf: Callable[[np.ndarray], np.ndarray], rms: float, offset: float, channels: int) -> float:
    """Return the expected entropy of values of this RMS in bins of width 1 that begin at an offset."""
    inner = cdf((np.arange(-HALF, HALF + 1) - offset) / rms)
    return expected_entropy(np.diff(np.concatenate([[0.0], inner, [1.0]])), channels)


def simulated(values: np.ndarray, draw: np.random.Generator) -> float:
    """Return the standard deviation over tokens [n, C] of the entropy, each with its bins at a random offset."""
    bins = np.floor(values - draw.random((len(values), 1)))
    shares = [np.unique(token, return_counts=True)[1] / len(token) for token in bins]
    return float(np.std([entr(share).sum() for share in shares]) / np.log(2))


def differential(one: Any) -> float:
    """Return the differential entropy of a distribution of standard deviation 1, in bits."""
    ends = [-np.inf, -10, -1, 0, 1, 10, np.inf]
    parts = [integrate.quad(lambda x: entr(one.pdf(x)), low, high)[0] for low, high in itertools.pairwise(ends)]
    return float(np.sum(parts) / np.log(2))


def main() -> None:
    """Compute and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, nargs="+", default=[48, 384])
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw, found = np.random.default_rng(arguments.seed), []
    for name, one in DISTRIBUTIONS.items():
        entropy = differential(one)
        for channels in arguments.channels:
            tokens = arguments.tokens, channels
            drawn = one.rvs(size=tokens, random_state=draw) if hasattr(one, "rvs") else one.sample(tokens, rng=draw)
            for rms in RMS_PER_BIN:
                means = [expected(one.cdf, rms, offset, channels) for offset in OFFSETS]
                numbers = {"mean": np.mean(means), "bias": np.mean(means) - entropy - np.log2(rms)}
                numbers |= {"spread": np.ptp(means), "deviation": simulated(rms * drawn, draw)}
                case = {"distribution": name, "channels": channels, "rms_per_bin": rms}
                found.append(case | {key: round(float(value), 4) for key, value in numbers.items()})
    wide = [one["rms_per_bin"] for one in found if one["spread"] >= SPREAD]
    threshold = min(rms for rms in RMS_PER_BIN if rms > max(wide))
    if threshold != LEAST_RMS_PER_BIN:
        sys.exit(f"the threshold is {threshold}, and statistics/thresholds.py says {LEAST_RMS_PER_BIN}")
    print(json.dumps({"threshold": threshold, "cases": found}, indent=1))


if __name__ == "__main__":
    main()
