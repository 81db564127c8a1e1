"""How much faster CKA of all blocks of two networks is than a loop over their pairs.

    python benchmarks/pairs.py [--blocks 24 --others 12 --channels 384 --other-channels 192 --rows 1000]

The loop sums, batch by batch of 32 rows, what HSIC_1 needs of every pair of blocks by itself, in torch and float64.
Both run in this process on the same random rows, one thread each; processor time is compared. Prints a JSON object; the
two must agree, or it fails.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.metrics.pairs.cka import cka

BATCH = 32


def by_pairs(xs: list[np.ndarray], ys: list[np.ndarray]) -> np.ndarray:
    """CKA of every pair of blocks, [Lx, Ly], each by its own sums over the rows less their mean."""
    sides = [
        [torch.from_numpy(block - block.mean(axis=0, dtype=np.float64)) for block in blocks] for blocks in (xs, ys)
    ]
    rows, (xs, ys) = len(xs[0]), sides

    def hsic(x: torch.Tensor, y: torch.Tensor) -> float:
        cross, traces = 0, 0.0
        a, b = x.square().sum(dim=1), y.square().sum(dim=1)
        for start in range(0, rows, BATCH):
            part = slice(start, start + BATCH)
            cross = cross + x[part].mT @ y[part]
            traces += float(a[part] @ b[part])
        totals = float(a.sum() * b.sum()) / ((rows - 1) * (rows - 2))
        return float(cross.square().sum()) - rows / (rows - 2) * traces + totals

    x_own, y_own = ([hsic(block, block) for block in side] for side in sides)
    return np.array([[hsic(x, y) for y in ys] for x in xs]) / np.sqrt(np.outer(x_own, y_own))


def main() -> None:
    """Time both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("blocks", 24), ("others", 12), ("channels", 384), ("other-channels", 192), ("rows", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    draw = np.random.default_rng(0).standard_normal
    cause = draw((arguments.rows, 8))
    sides = [
        [(cause @ draw((8, width)) + draw((arguments.rows, width))).astype(np.float32) for _ in range(count)]
        for count, width in ((arguments.blocks, arguments.channels), (arguments.others, arguments.other_channels))
    ]
    report, results = vars(arguments) | {}, []
    for name, function in (("ours_s", cka), ("loop_s", by_pairs)):
        start = time.process_time()
        results.append(function(*sides))
        report[name] = round(time.process_time() - start, 3)
    np.testing.assert_allclose(*results, atol=1e-10)
    print(json.dumps(report | {"ratio": round(report["loop_s"] / report["ours_s"], 1)}, indent=2))


if __name__ == "__main__":
    main()
