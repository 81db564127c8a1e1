"""Tables of a made-up study, in the shape of the real ones, and jobs that draw them, for the tests of figures."""

import numpy as np
import pandas as pd

from distillation_dynamics.spec.base import From, from_json, to_json
from distillation_dynamics.spec.tables import FiguresJob

ACTIVATIONS = (
    *("intensity", "intensity_without_dc", "intensity_permuted", "activation_magnitude", "rms"),
    "token_standard_deviation",
)
ENTROPIES = "entropy", "entropy_fixed_range", "entropy_standardised"
RANKS = "sample_rank_95", "sample_rank_95_p99", "pca_rank_95", "pca_rank_95_p99", "effective_rank", "pca_effective_rank"
PER_BLOCK = ("pca_effective_rank", "channels", "tokens")
PIXELS = 28


def network(widths, sides, names="blocks.{}", attention=True, class_token=False):
    """What the tables need to know of a network: widths and sides of the grid by block, and its kind."""
    blocks = [names.format(number) for number in range(len(widths))]
    return {"widths": widths, "sides": sides, "names": blocks, "attention": attention, "class_token": class_token}


TEACHER = network([64] * 8, [4] * 8)
STUDENT = network([48] * 4, [4] * 4, class_token=True)


def study(variants, seeds=(0,), epochs=(0, 2, 4, 5), images=320, teacher=TEACHER, student=STUDENT):
    """Return all tables of a study: values drawn at random, yet of the size and trend that real ones have."""
    draw = np.random.default_rng(0)
    models = [("teacher", -1, 2, teacher), ("teacher_untrained", -1, 0, teacher)]
    models += [(variant, seed, epoch, student) for variant in variants for seed in seeds for epoch in epochs]
    rows = {name: [] for name in ("runs", "epochs", "depth", "spectrum", "cka", "agreement")}
    strength = {variant: draw.uniform(0.4, 1.6) for variant in variants}
    for model, seed, epoch, facts in models:
        key = {"model": model, "seed": seed, "epoch": epoch}
        trained = epoch > 0
        size = {"teacher": 2, "teacher_untrained": 0.7}.get(model, 0.3 + 0.2 * strength.get(model, 1) * epoch)
        size *= draw.uniform(0.95, 1.05)
        for probe in ("balanced", "published") if model == "teacher" else ("balanced",):
            place = key | {"probe": probe, "images": images if probe == "balanced" else 32}
            for block in range(len(facts["widths"])):
                here = place | {"block": block, "block_name": facts["names"][block]}
                rows["depth"].append(here | depth_row(draw, facts, block, size, trained))
                rows["spectrum"] += [here | one for one in bins(draw, facts["widths"][block], size, trained)]
        if seed < 0:
            continue
        top1 = 10 + 72 * (1 - np.exp(-epoch * strength[model]))
        pair = {"agreement": top1 + 3, "kl": 2.2 * np.exp(-0.6 * epoch * strength[model]) + 0.05, "top1": top1}
        rows["agreement"].append(key | pair | {"teacher_top1": 86.0, "images": images})
        for mine in range(len(student["widths"])):
            for theirs in range(len(teacher["widths"])):
                names = {"student_block_name": student["names"][mine], "teacher_block_name": teacher["names"][theirs]}
                apart = mine / len(student["widths"]) - theirs / len(teacher["widths"])
                value = np.exp(-3 * apart**2) * (0.5 + 0.3 * trained) + draw.normal(scale=0.03)
                same_grid = set(teacher["sides"]) == set(student["sides"])
                alike = {"cka_images": value, "cka_tokens": value if same_grid else np.nan}
                counts = {"images": images, "tokens_per_image": 4}
                rows["cka"].append(key | {"student_block": mine, "teacher_block": theirs} | names | alike | counts)
    for variant, seed in [("teacher", -1), *((variant, seed) for variant in variants for seed in seeds)]:
        run = {"variant": variant, "seed": seed}
        accuracy = {"test_top1": draw.uniform(80, 84), "test_images": 10_000}
        rows["runs"].append(run | accuracy | {"test_agreement": np.nan if seed < 0 else draw.uniform(85, 90)})
        for epoch in (1, 2):
            measured = {"validation_top1": draw.uniform(70, 85), "train_loss": draw.uniform(0.3, 1)}
            rows["epochs"].append(run | {"epoch": epoch} | measured)
    return {name: pd.DataFrame(values) for name, values in rows.items()}


def depth_row(draw, facts, block, size, trained):
    """Every column of depth.parquet for one block, with its standard error where it is a mean over images."""
    depth, channels, tokens = block / len(facts["widths"]), facts["widths"][block], facts["sides"][block] ** 2
    rms = size * (0.5 + depth + 0.3 * trained * (depth - 0.4) ** 2)
    values = {name: rms * draw.uniform(0.9, 1.1) for name in ACTIVATIONS}
    for name in ("intensity", "intensity_without_dc", "intensity_permuted"):
        values[name] *= 0.886 / np.sqrt(channels)
    values |= {"rms": rms, "intensity_per_rms": values["intensity"] / rms}
    values |= {name: 3 + np.log2(rms) / 2 + draw.normal(scale=0.1) for name in ENTROPIES}
    values |= {"entropy_standardised": 4.6 + draw.normal(scale=0.05), "clipped_share": 0.02 * depth * size}
    limit = min(channels, tokens)
    values |= {name: 1 + (limit - 1) * draw.uniform(0.4, 0.9) for name in ("sample_rank_95", "effective_rank")}
    values |= {name: 1 + (channels - 1) * draw.uniform(0.3, 0.8) for name in ("pca_rank_95", "pca_effective_rank")}
    values |= {name: np.ceil(values[name.removesuffix("_p99")]) for name in RANKS if name.endswith("_p99")}
    values |= {"token_cosine": draw.uniform(0.2, 0.4) + 0.5 * depth * (not trained), "token_norm_ratio": 1 + depth}
    values |= {"token_norm_outliers": 0.01 * depth * draw.random()}
    values["cosine_to_first"] = 1 - 0.8 * depth if facts["sides"][block] == facts["sides"][0] else np.nan
    for name, most in (("attention_entropy", np.log2(tokens)), ("attention_distance", 12)):
        values[name] = most * draw.uniform(0.6, 1) if facts["attention"] else np.nan
    last = block == len(facts["widths"]) - 1
    values["gradient_magnitude_patches"] = 0 if facts["class_token"] and last else 0.01 / size * draw.uniform(0.8, 1.2)
    values["gradient_magnitude_class"] = 0.1 / size * draw.uniform(0.8, 1.2) if facts["class_token"] else np.nan
    errors = {
        f"{name}_se": 0.02 * abs(value) for name, value in values.items() if not name.endswith((*PER_BLOCK, "p99"))
    }
    band = draw.uniform(0.85, 0.95)
    values |= {"bandwidth_95": 0.95, "bandwidth_folded_95": draw.uniform(0.7, 0.95), "bandwidth_folded_95_null": band}
    values |= {"bandwidth_folded_95_null_low": band - 0.03, "bandwidth_folded_95_null_high": band + 0.03}
    return values | errors | {"channels": channels, "tokens": tokens}


def bins(draw, channels, size, trained):
    """Rows of spectrum.parquet for one block: folded columns have no value beyond C // 2."""
    frequency = np.minimum(np.arange(channels), channels - np.arange(channels)) / channels
    null = size * 0.886 / np.sqrt(channels) * draw.uniform(0.98, 1.02, channels)
    amplitude = null * (1 + trained * 0.3 * np.cos(2 * np.pi * frequency)) * draw.uniform(0.95, 1.05, channels)
    half = channels // 2 + 1
    power = amplitude**2 / (amplitude**2).sum()
    folded = np.full(channels, np.nan)
    weight = np.where((np.arange(half) == 0) | (2 * np.arange(half) == channels), 1, 2)
    folded[:half] = np.cumsum(power[:half] * weight) / (power[:half] * weight).sum()
    level = np.full(channels, np.nan)
    level[:half] = np.linspace(0.02, 1, half)
    curves = {"amplitude": amplitude, "amplitude_null": null, "sep": np.cumsum(power), "sep_folded": folded}
    curves |= {"amplitude_null_low": 0.92 * null, "amplitude_null_high": 1.08 * null, "sep_folded_null": level}
    curves |= {"sep_folded_null_low": level - 0.03, "sep_folded_null_high": np.minimum(level + 0.03, 1)}
    keys = {"channel_bin": np.arange(channels), "frequency": np.arange(channels) / channels}
    return pd.DataFrame(keys | curves).to_dict("records")


def figure_job(figure, tables, style, files):
    """The job that draws a figure from tables into files, as a process reads it from its order."""
    tables = tuple(From(str(path), files=(str(path),)) for path in tables)
    job = FiguresJob(figure, tables, vars(style), files=tuple(str(file) for file in files))
    return from_json(FiguresJob, to_json(job))
