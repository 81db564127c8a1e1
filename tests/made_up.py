"""Tables of a made-up study, in the shape of the real ones, and jobs that draw them, for the tests of figures."""

import numpy as np
import pandas as pd

from distillation_dynamics.questions import networks as beside_each_other
from distillation_dynamics.questions.shape import references
from distillation_dynamics.spec.base import From, from_json, to_json
from distillation_dynamics.spec.tables import Arm, FiguresJob, Names
from frames import frame

ACTIVATIONS = (
    *("intensity", "intensity_without_dc", "intensity_permuted", "activation_magnitude", "rms"),
    "token_standard_deviation",
)
ENTROPIES = "entropy", "entropy_fixed_range", "entropy_standardised"
RANKS = "sample_rank_95", "sample_rank_95_p99", "pca_rank_95", "pca_rank_95_p99", "effective_rank", "pca_effective_rank"
PER_BLOCK = (
    *("pca_effective_rank", "channels", "tokens", "uniform", "range_low", "range_high", "fixed_low", "fixed_high"),
    "bins",
)
PIXELS = 28


def network(widths, sides, names="blocks.{}", attention=True, class_token=False):
    """What the tables need to know of a network: widths and sides of the grid by block, and its kind."""
    blocks = [names.format(number) for number in range(len(widths))]
    return {"widths": widths, "sides": sides, "names": blocks, "attention": attention, "class_token": class_token}


TEACHER = network([64] * 8, [4] * 8)
STUDENT = network([48] * 4, [4] * 4, class_token=True)
# Stages of different width and grid, without class token: as a student, and beside networks of blocks.
RESNET = network([8, 16, 32, 64], [8, 4, 2, 1], "layer{}", False)
SWIN = network([12, 24, 48, 96], [8, 4, 2, 1], "layers.{}")
FAMILIES = {
    "cait_s24": network([24] * 24, [4] * 24),
    "vit_small": network([16] * 12, [4] * 12, class_token=True),
    "resnet": RESNET,
    "swin_tiny": SWIN,
}


def arms(*variants, teacher="cait"):
    """The arms of a study with one student: each variant is one."""
    return {variant: Arm(variant, "student", teacher, terms_of(variant)) for variant in variants}


def terms_of(variant):
    """The terms that a variant of this name would have, each called as its objective."""
    kind = variant.partition("_")[0]
    alone = {"none": ("cross_entropy",), "soft": ("cross_entropy", "soft"), "hard": ("cross_entropy", "hard")}
    return tuple((name, name) for name in alone.get(kind, ("cross_entropy", "soft", kind)))


def names(networks=("teacher",), variants=(), teacher="teacher", controls=None, seeds=()):
    """Who is in the tables; every network has an untrained control unless `controls` says which ones have."""
    controls = {name: f"{name}_untrained" for name in (networks if controls is None else controls)}
    baselines = {"student": next(name for name in ("soft", *variants) if name in variants)} if variants else {}
    return Names(
        tuple(networks), controls, teacher, arms(*variants, teacher=teacher), baselines, tuple(map(tuple, seeds))
    )


def study(who, networks=None, student=STUDENT, seeds=(0,), epochs=(0, 2, 4, 5), images=320):
    """Return all tables of a study: values drawn at random, yet of the size and trend that real ones have.

    `networks`: network -> its facts; without them the one that there is is TEACHER.
    """
    networks = networks or dict.fromkeys(who.networks, TEACHER)
    draw = np.random.default_rng(0)
    members = [(name, None, 2, networks[name]) for name in who.networks]
    members += [(control, None, 0, networks[name]) for name, control in who.controls.items()]
    strength = {variant: draw.uniform(0.4, 1.6) for variant in who.variants}
    students = [(variant, seed, epoch, student) for variant in who.variants for seed in seeds for epoch in epochs]
    rows = {name: [] for name in ("depth", "spectrum", "saliency")}
    untrained = set(who.controls.values())
    for name, seed, epoch, facts in members + students:
        key = {"network": name, "seed": seed, "epoch": epoch}
        size = 0.7 if name in untrained else 2 if seed is None else 0.3 + 0.2 * strength[name] * epoch
        size *= draw.uniform(0.95, 1.05)
        for probe in ("balanced", "published") if name == who.reference else ("balanced",):
            place = key | {"probe": probe, "images": images if probe == "balanced" else 32}
            for block in range(len(facts["widths"])):
                here = place | {"block": block, "block_name": facts["names"][block]}
                rows["depth"].append(here | depth_row(draw, facts, block, size, epoch > 0))
                rows["spectrum"] += [here | one for one in bins(draw, facts["widths"][block], size, epoch > 0)]
        rows["saliency"] += [key | one for one in maps(draw, ("image", "gradient", "smoothgrad"))]
    tables = {name: frame(values) for name, values in rows.items()}
    if rows["depth"]:
        tables["references"] = references.references_of(tables["depth"])
    tables |= beside(draw, who, members, students, networks, images)
    tables["networks"] = beside_each_other.table(tables, who)
    tables |= accuracies(draw, who, seeds) | {"map": positions(draw, members + students, images)}
    return tables


def accuracies(draw, who, seeds):
    """The tables of runs, epochs and terms."""
    runs, epochs, terms = [], [], []
    members = [(name, None) for name in who.networks]
    for name, seed in [*members, *((variant, seed) for variant in who.variants for seed in seeds)]:
        run = {"network": name, "seed": seed}
        agreed = np.nan if name == who.teacher or who.teacher is None else draw.uniform(85, 90)
        accuracy = {"test_top1": draw.uniform(80, 84), "test_images": 10_000, "test_agreement": agreed, "loaded": ""}
        accuracy["train_images"] = 16_000 if seed is None else 3_600
        runs.append(run | accuracy)
        for epoch in (1, 2):
            measured = {"validation_top1": draw.uniform(70, 85), "train_loss": draw.uniform(0.3, 1)}
            measured |= {"validation_loss": draw.uniform(0.3, 1)}
            measured |= {"gradient_norm": draw.uniform(0.5, 3), "clipped": draw.uniform(0, 1)}
            epochs.append(run | {"epoch": epoch} | measured)
            own = ["cross_entropy", *["soft"] * (name != "none"), *["spectral"] * ("spectral" in name)]
            shares = draw.dirichlet(np.ones(len(own)))
            terms += [run | {"epoch": epoch, "term": t, "share": s} for t, s in zip(own, shares, strict=True)]
    return {"runs": frame(runs), "epochs": frame(epochs), "terms": frame(terms)}


def beside(draw, who, members, students, networks, images):
    """The tables of pairs: every two networks, their controls, and students beside the teacher."""
    fixed = {name: (epoch, facts) for name, _, epoch, facts in members}
    pairs = []
    for number, name in enumerate(who.networks):
        for other in who.networks[number + 1 :]:
            pairs.append((name, None, *fixed[name], other, 0.5))
            both = who.controls.get(name), who.controls.get(other)
            if None not in both:
                pairs.append((both[0], None, *fixed[both[0]], both[1], 0.2))
    if who.teacher is not None:
        pairs += [(name, seed, epoch, facts, who.teacher, 0.3 if epoch else 0) for name, seed, epoch, facts in students]
    tables = {name: [] for name in ("cka", "neighbours", "procrustes", "agreement")}
    for name, seed, epoch, facts, other, alike in pairs:
        if any({name, other} <= set(same) for same in who.seeds):
            alike = 0.5
        key = {"network": name, "seed": seed, "epoch": epoch}
        key |= {"other": other, "other_seed": None, "other_epoch": fixed[other][0], "images": images}
        top1 = 10 + 72 * (1 - np.exp(-max(epoch, 0)))
        agreed = {"agreement": top1 + 3, "kl": 2.2 * np.exp(-0.6 * max(epoch, 0)) + 0.05}
        tables["agreement"].append(key | agreed | {"top1": top1, "other_top1": 86.0})
        theirs = fixed[other][1]
        same_grid = set(theirs["sides"]) == set(facts["sides"])
        for block, own in enumerate(facts["names"]):
            for place, their in enumerate(theirs["names"]):
                apart = block / len(facts["names"]) - place / len(theirs["names"])
                value = np.exp(-3 * apart**2) * (0.4 + alike) + draw.normal(scale=0.02)
                here = key | {"block": block, "block_name": own, "other_block": place, "other_block_name": their}
                cka = {"cka_images": value, "cka_tokens": value if same_grid else np.nan}
                tables["cka"].append(here | cka | {"tokens_per_image": 4 * same_grid})
                tables["neighbours"].append(here | {"neighbours": value / 2, "neighbours_chance": 10 / max(images, 11)})
                tables["procrustes"].append(here | {"procrustes": 1.2 - value, "procrustes_shuffled": 1.25})
    return {name: frame(values) for name, values in tables.items() if values}


def positions(draw, members, images):
    """The table of the map: a bent line a network, which moves as training goes on."""
    rows = []
    for name, seed, epoch, facts in members:
        turn = sum(map(ord, name)) % 7 + 0.1 * (-1 if seed is None else seed)
        for block, own in enumerate(facts["names"]):
            depth = block / max(len(facts["names"]) - 1, 1)
            x, y = depth * np.cos(turn * (0.5 + 0.1 * epoch)), np.sin(turn * depth) * (0.4 + 0.05 * epoch)
            place = {"x": x + draw.normal(scale=0.01), "y": y, "explained": 0.63, "images": images}
            rows.append({"network": name, "seed": seed, "epoch": epoch, "block": block, "block_name": own} | place)
    return frame(rows)


def maps(draw, methods, side=PIXELS, images=6):
    """Rows of single images: one map of each method."""
    return [
        {"image": image, "label": image % 3, "method": method, "rows": side, "columns": side}
        | {"map": draw.random(side * side).astype(np.float32)}
        for image in range(images)
        for method in methods
    ]


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
    # In the first blocks tokens spread over too few bins.
    spread = {"rms_per_bin": 1.2 + 6 * depth, "rms_per_bin_fixed_range": 1.6 + 6 * depth}
    values |= spread | {"rms_per_bin_standardised": 10.0, "entropy_nearest": 1 + np.log2(rms)}
    limit = min(channels, tokens)
    values |= {name: 1 + (limit - 1) * draw.uniform(0.4, 0.9) for name in ("sample_rank_95", "effective_rank")}
    values |= {name: 1 + (channels - 1) * draw.uniform(0.3, 0.8) for name in ("pca_rank_95", "pca_effective_rank")}
    values |= {name: np.ceil(values[name.removesuffix("_p99")]) for name in RANKS if name.endswith("_p99")}
    values |= {"token_cosine": draw.uniform(0.2, 0.4) + 0.5 * depth * (not trained), "token_norm_ratio": 1 + depth}
    values |= {"token_norm_outliers": 0.01 * depth * draw.random()}
    values["cosine_to_first"] = 1 - 0.8 * depth if facts["sides"][block] == facts["sides"][0] else np.nan
    for name, most in (("attention_entropy", np.log2(tokens)), ("attention_distance", 12)):
        values[name] = most * draw.uniform(0.6, 1) if facts["attention"] else np.nan
    keys = tokens + facts["class_token"]
    values["attention_entropy_uniform"] = np.log2(keys) if facts["attention"] else np.nan
    values |= {"range_low": -5 * size, "range_high": 5 * size, "fixed_low": -9, "fixed_high": 9, "entropy_bins": 100}
    last = block == len(facts["widths"]) - 1
    values["gradient_magnitude"] = 0.02 / size * draw.uniform(0.8, 1.2)
    values["gradient_magnitude_patches"] = 0 if facts["class_token"] and last else 0.01 / size * draw.uniform(0.8, 1.2)
    values["gradient_magnitude_class"] = 0.1 / size * draw.uniform(0.8, 1.2) if facts["class_token"] else np.nan
    errors = {
        f"{name}_se": 0.02 * abs(value) for name, value in values.items() if not name.endswith((*PER_BLOCK, "p99"))
    }
    band = draw.uniform(0.85, 0.95)
    values |= {"bandwidth_95": 0.95, "bandwidth_folded_95": draw.uniform(0.7, 0.95), "bandwidth_folded_95_null": band}
    values |= {"bandwidth_folded_95_null_low": band - 0.03, "bandwidth_folded_95_null_high": band + 0.03}
    values |= {"amplitude_p": draw.uniform(0.005, 1), "sep_folded_p": draw.uniform(0.005, 1)}
    told = 40 + 30 * depth + 10 * trained
    values |= {"linear_probe_top1": told, "nearest_probe_top1": told - 5, "linear_probe_chance": 12.5}
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
    curves |= {"sep_folded_null": level}
    curves |= {"amplitude_band_low": 0.85 * null, "amplitude_band_high": 1.15 * null}
    curves |= {"sep_folded_band_low": level - 0.05, "sep_folded_band_high": np.minimum(level + 0.05, 1)}
    keys = {"channel_bin": np.arange(channels), "frequency": np.arange(channels) / channels}
    return pd.DataFrame(keys | curves).to_dict("records")


def figure_job(figure, tables, style, files):
    """The job that draws a figure from tables into files, as a process reads it from its task."""
    tables = tuple(From(str(path), files=(str(path),)) for path in tables)
    options = {"palette": style.palette, "dpi": style.dpi}
    job = FiguresJob(figure, style.names, tables, options, files=tuple(str(file) for file in files))
    return from_json(FiguresJob, to_json(job))
