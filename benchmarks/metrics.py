"""How much faster spectrum and entropy are than a literal implementation, in how little memory, and what nulls cost.

    python benchmarks/metrics.py [--trials 200] [--device cuda] [--blocks 24 --images 32 --channels 384 --side 14]

The literal one, as published: numpy.fft over all channels of all blocks at once, numpy.histogram for every token. Both
run in this process on the same random features, one thread each, in turns; on a CPU processor time is compared, on a
GPU wall time against the processor time of the literal one, the least of all rounds each. Extra memory is what the
process grew by at most. The two must agree, or it fails. The null of the amplitudes, 200 draws a bin, is timed in turns
with the transform of 20 permutations of the channels, one after the other, and so is what the one test of the whole
curve adds to it. `entropies` is the whole metric, in all bins, in both passes, and `nearest_entropy` the one without
bins; both beside entropy in the published bins. With `--trials`, of so many blocks whose channels are exchangeable, the
shares with p <= .05. Prints a JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
from distillation_dynamics.metrics._histogram import bin_edges, token_entropy
from distillation_dynamics.metrics.accumulator import Accumulator
from distillation_dynamics.metrics.blocks import extremes, image_chunks
from distillation_dynamics.metrics.entropy import Metric as Entropy
from distillation_dynamics.metrics.nearest_entropy import Metric as NearestEntropy
from distillation_dynamics.metrics.permutation import AmplitudeNull, permutations
from distillation_dynamics.metrics.sep import Metric as Sep
from distillation_dynamics.metrics.spectrum import CHUNK_VALUES, NULL_VALUES, gram_test, image_spectra
from distillation_dynamics.metrics.spectrum import Metric as Spectrum
from distillation_dynamics.outputs import Outputs
from distillation_dynamics.spec.measure import Settings


def literal_spectrum(features: np.ndarray) -> np.ndarray:
    """Channel spectrum [L, C] of features [L, B, C, H, W]."""
    return np.abs(np.fft.fft(features, axis=2)).mean(axis=(1, 3, 4)) / features.shape[2]


def literal_entropy(features: np.ndarray) -> np.ndarray:
    """Mean token entropy [L] in bits."""
    limits = features.min(), features.max()
    blocks, images, channels, rows, columns = features.shape
    bits = np.empty((blocks, images, rows, columns))
    for block, image, row, column in np.ndindex(*bits.shape):
        counts, _ = np.histogram(features[block, image, :, row, column], bins=100, range=limits)
        share = counts[counts > 0] / channels
        bits[block, image, row, column] = -(share * np.log2(share)).sum()
    return bits.mean(axis=(1, 2, 3))


def our_spectrum(features: torch.Tensor) -> np.ndarray:
    """The same by the metric's functions."""
    spectra = [image_spectra(block, index).mean(axis=0) for index, block in enumerate(features)]
    channels = features.shape[2]
    return np.stack([np.concatenate([half, half[1 : (channels + 1) // 2][::-1]]) for half in spectra])


def our_entropy(features: torch.Tensor) -> np.ndarray:
    """The same by the metric's functions."""
    lows, highs = zip(*(extremes(block, index) for index, block in enumerate(features)), strict=True)
    edges = bin_edges(100, min(lows), max(highs))
    return np.array([token_entropy(block, index, edges).mean() for index, block in enumerate(features)])


def streamed(metric: Accumulator, features: torch.Tensor) -> None:
    """Pass all blocks of all images through a metric, 8 images at a time."""
    for number in range(metric.passes):
        if number:
            metric.next_pass()
        for images in features.split(8, dim=1):
            metric.update(Outputs(features=dict(enumerate(images))))
    metric.compute()


def permuted_spectra(block: torch.Tensor) -> None:
    """Transform one block's tokens under 20 permutations of the channels, one after the other."""
    for order in permutations(block.shape[1], 20, 0):
        image_spectra(block[:, torch.from_numpy(order).to(block.device)], 0)


def null_amplitudes(block: torch.Tensor) -> None:
    """Draw the null of one block's amplitudes."""
    null = AmplitudeNull(block.shape[1], 200, seed=0)
    for chunk in image_chunks(block, 0, NULL_VALUES):
        null.update(chunk)


def whole_curve(block: torch.Tensor) -> None:
    """Test one block's curve: a Gram matrix of its tokens, and 200 permutations of that."""
    gram = 0.0
    for chunk in image_chunks(block, 0, CHUNK_VALUES):
        tokens = chunk.double().movedim(1, 0).flatten(1)
        gram = gram + tokens @ tokens.mT
    gram_test(gram.cpu().numpy(), Settings())


def false_alarms(channels: int, trials: int) -> dict[str, float]:
    """Return the shares of blocks of exchangeable, skewed and unequal channels that the tests call different."""
    found = {"amplitude": 0, "sep_folded": 0, "outside_band": 0}
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        values = draw.exponential(size=(channels, 12)) * draw.exponential(size=(channels, 1))
        block = torch.from_numpy(values[None, :, None] + 3 * draw.standard_normal((1, channels, 1, 1)))
        columns = {}
        for module in (Spectrum, Sep):
            metric = module(Settings(seed=trial))
            metric.update(Outputs(features={0: block}))
            columns |= metric.compute()
        low, high, curve = (columns[f"amplitude{name}"][0] for name in ("_band_low", "_band_high", ""))
        found["outside_band"] += bool(((curve < low * (1 - 1e-9)) | (curve > high * (1 + 1e-9))).any())
        for name in ("amplitude", "sep_folded"):
            found[name] += columns[f"{name}_p"][0] <= 0.05
    return {name: round(count / trials, 4) for name, count in found.items()}


def in_turns(functions: dict[str, tuple[Callable, Callable[[], float]]], rounds: int) -> dict[str, tuple[float, Any]]:
    """Return, by name, the least time of `rounds` runs of a function by its clock, and its last result."""
    times, results = {name: [] for name in functions}, {}
    for _ in range(rounds):
        for name, (function, clock) in functions.items():
            start = clock()
            results[name] = function()
            times[name].append(clock() - start)
    return {name: (min(taken), results[name]) for name, taken in times.items()}


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
    for name, default in (
        ("blocks", 24),
        ("images", 32),
        ("channels", 384),
        ("side", 14),
        ("rounds", 3),
        ("trials", 0),
    ):
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
        ("spectrum", literal_spectrum, our_spectrum, 1e-6),
        ("entropy", literal_entropy, our_entropy, 1e-12),
    ):
        with Memory() as memory:
            ours(on_device)
        with Memory() as literal_memory:
            literal(features)
        timed = in_turns(
            {
                "ours": (lambda ours=ours: ours(on_device), clock),
                "literal": (lambda literal=literal: literal(features), time.process_time),
            },
            arguments.rounds,
        )
        (fast, result), (slow, expected) = timed["ours"], timed["literal"]
        np.testing.assert_allclose(result, expected, rtol=tolerance)
        total = {"literal": total["literal"] + slow, "ours": total["ours"] + fast}
        report[name] = {
            **{"literal_s": round(slow, 3), "ours_s": round(fast, 3), "ratio": round(slow / fast, 1)},
            **{"literal_extra_mb": literal_memory.extra, "ours_extra_mb": memory.extra},
        }
    metrics = {"entropies": Entropy, "nearest_entropy": NearestEntropy}
    timed = in_turns(
        {name: (lambda kind=kind: streamed(kind(), on_device), clock) for name, kind in metrics.items()},
        arguments.rounds,
    )
    for name, kind in metrics.items():
        with Memory() as memory:
            streamed(kind(), on_device)
        to_entropy = timed[name][0] / report["entropy"]["ours_s"]
        report[name] = {
            "s": round(timed[name][0], 3),
            "to_entropy": round(to_entropy, 2),
            "extra_mb": memory.extra,
        }
    report["together"] = {key: round(value, 3) for key, value in total.items()}
    report["together"]["ratio"] = round(total["literal"] / total["ours"], 1)
    timed = in_turns(
        {
            "plain": (lambda: permuted_spectra(on_device[0]), clock),
            "null": (lambda: null_amplitudes(on_device[0]), clock),
            "whole": (lambda: whole_curve(on_device[0]), clock),
        },
        arguments.rounds,
    )
    plain, null, whole = (timed[name][0] for name in ("plain", "null", "whole"))
    report["null"] = {"plain_20_s": round(plain, 3), "null_200_s": round(null, 3), "ratio": round(null / plain, 2)}
    report["whole_curve"] = {"s": round(whole, 3), "to_null": round(whole / null, 2)}
    if arguments.trials:
        report["false_alarms"] = {c: false_alarms(c, arguments.trials) for c in (45, 48, 53, 96, 192, 384)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
