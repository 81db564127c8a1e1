"""How much faster spectrum and entropy are than a literal implementation, and in how little memory.

    python benchmarks/metrics.py [--device cuda] [--blocks 24 --images 32 --channels 384 --side 14]

The literal one, as published: numpy.fft over all channels of all blocks at once, numpy.histogram for every token. Both
run in this process on the same random features, one thread each; on a CPU processor time is compared, on a GPU wall
time against the same literal one. Extra memory is what the process grew by at most. Prints a JSON object; the two must
agree, or it fails.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.metrics.entropy import layer_entropy
from distillation_dynamics.metrics.spectrum import channel_spectrum


def literal_spectrum(features: np.ndarray) -> np.ndarray:
    """Channel spectrum [L, C] of features [L, B, C, H, W]."""
    return np.abs(np.fft.fft(features, axis=2)).mean(axis=(1, 3, 4)) / features.shape[2]


def literal_entropy(features: np.ndarray) -> np.ndarray:
    """Mean token entropy [L] in bits."""
    limits = float(features.min()), float(features.max())
    blocks, images, channels, rows, columns = features.shape
    bits = np.empty((blocks, images, rows, columns))
    for block, image, row, column in np.ndindex(*bits.shape):
        counts, _ = np.histogram(features[block, image, :, row, column], bins=100, range=limits)
        share = counts[counts > 0] / channels
        bits[block, image, row, column] = -(share * np.log2(share)).sum()
    return bits.mean(axis=(1, 2, 3))


def seconds(function: Callable, clock: Callable[[], float], repeats: int) -> tuple[float, np.ndarray]:
    """Return the least time of `repeats` runs, and the last result."""
    times = []
    for _ in range(repeats):
        start = clock()
        result = function()
        times.append(clock() - start)
    return min(times), result


class Memory:
    """The most memory that the process occupies within a block beyond what it did before, in MB (Linux)."""

    def __enter__(self) -> "Memory":
        # Makes the peak what is occupied now.
        Path("/proc/self/clear_refs").write_text("5")
        self.before = self._peak()
        return self

    def __exit__(self, *exception) -> None:
        self.extra = round(self._peak() - self.before)

    def _peak(self) -> float:
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1e3


def main() -> None:
    """Time both and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("blocks", 24), ("images", 32), ("channels", 384), ("side", 14), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shape = arguments.blocks, arguments.images, arguments.channels, arguments.side, arguments.side
    generator = np.random.default_rng(0)
    features = generator.standard_normal(shape, dtype=np.float32) * generator.uniform(
        0.5, 4, (shape[0], 1, 1, 1, 1)
    ).astype(np.float32)
    on_device = torch.from_numpy(features).to(arguments.device)

    def clock() -> float:
        if arguments.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    report = {"device": arguments.device, "shape": shape}
    total = {"literal": 0.0, "ours": 0.0}
    for name, literal, ours, tolerance in (
        ("spectrum", literal_spectrum, channel_spectrum, 1e-6),
        ("entropy", literal_entropy, layer_entropy, 1e-12),
    ):
        with Memory() as memory:
            ours(on_device)
        fast, result = seconds(lambda ours=ours: ours(on_device), clock, arguments.repeats)
        with Memory() as literal_memory:
            slow, expected = seconds(lambda literal=literal: literal(features), time.process_time, 1)
        np.testing.assert_allclose(result, expected, rtol=tolerance)
        total = {"literal": total["literal"] + slow, "ours": total["ours"] + fast}
        report[name] = {
            **{"literal_s": round(slow, 3), "ours_s": round(fast, 3), "ratio": round(slow / fast, 1)},
            **{"literal_extra_mb": literal_memory.extra, "ours_extra_mb": memory.extra},
        }
    report["together"] = {key: round(value, 3) for key, value in total.items()}
    report["together"]["ratio"] = round(total["literal"] / total["ours"], 1)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
