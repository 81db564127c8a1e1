"""Names and groups of block metrics on the page.

Columns without an entry, such as those of a user's own metric, keep the name in their table.
"""

from ..words import capital, spaced

# A metric only of the page: entropy in each network's own bins minus that of its first block.
SINCE_FIRST = "entropy_since_first"
NAMES = {
    SINCE_FIRST: "Entropy, change since the first block",
    "entropy": "Entropy, bins of each network",
    "entropy_fixed_range": "Entropy, the same bins for all",
    "entropy_standardised": "Entropy of standardised tokens",
    "entropy_nearest": "Differential entropy, no bins",
    "entropy_nearest_standardised": "Differential entropy of standardised tokens",
    "entropy_all_tokens": "Entropy, class tokens included",
    "clipped_share": "Share of values outside the common bins",
    "tied_tokens": "Share of tokens with tied values",
    "intensity": "Spectral intensity",
    "intensity_without_dc": "Spectral intensity without the channel mean",
    "intensity_per_rms": "Spectral intensity over RMS",
    "intensity_all_tokens": "Spectral intensity, class tokens included",
    "activation_magnitude_all_tokens": "Activation magnitude, class tokens included",
    "rms": "RMS of activations",
    "rms_per_bin": "RMS per bin, own bins",
    "rms_per_bin_fixed_range": "RMS per bin, common bins",
    "rms_per_bin_standardised": "RMS per bin, standardised tokens",
    "mean": "Mean activation",
    "minimum": "Smallest activation",
    "maximum": "Largest activation",
    "standard_deviation": "Standard deviation of activations",
    "token_standard_deviation": "Standard deviation over channels of a token",
    "gradient_magnitude": "Gradient magnitude, all tokens",
    "gradient_magnitude_patches": "Gradient magnitude, patch tokens",
    "gradient_magnitude_class": "Gradient magnitude, class tokens",
    "gradient_magnitude_registers": "Gradient magnitude, register tokens",
    "lens_top1": "Logit lens: top-1",
    "lens_agreement": "Logit lens: agreement with the network",
    "lens_kl": "Logit lens: KL to the network",
    "linear_probe_top1": "Linear probe: top-1",
    "nearest_probe_top1": "Nearest images: top-1",
    "nc1": "Class collapse (NC1)",
    "covariance_rank": "Effective rank of the covariance",
    "pca_effective_rank": "Effective rank, all images stacked",
    "effective_rank": "Effective rank of an image",
    "sep_folded_distance": "SEP: distance from permuted channels",
    "sep_folded_p": "SEP: p against permuted channels",
    "amplitude_distance": "Spectrum: distance from permuted channels",
    "amplitude_p": "Spectrum: p against permuted channels",
    "token_norm_mean": "Token norm, mean",
    "token_norm_maximum": "Token norm, largest",
    "token_norm_ratio": "Token norm, largest over median",
    "token_norm_outliers": "Share of tokens of outlying norm",
    "token_cosine": "Cosine between tokens of an image",
    "cosine_to_first": "Cosine to the first block's tokens",
    # Measures of training, of cost, and of pairs of blocks or networks.
    "validation_top1": "Validation top-1",
    "validation_loss": "Validation loss",
    "train_loss": "Training loss",
    "gradient_norm": "Gradient norm",
    "seconds": "Training time",
    "start_seconds": "Start-up time",
    "training_tflops": "Operations of training",
    "peak_mb": "Peak memory",
    "cka": "CKA",
    "cka_tokens": "CKA of tokens",
    "cka_images": "CKA of images",
    "untrained_cka": "CKA before training",
    "gain": "Gain of CKA by training",
    "neighbours": "Shared nearest neighbours",
    "procrustes": "Procrustes distance",
    "sep_folded": "Spectral energy profile (SEP)",
    "amplitude": "Amplitude spectrum",
}  # fmt: skip
# Group -> beginnings of its columns' names, in display order.
GROUPS = {
    "Entropy": (SINCE_FIRST, "entropy", "rms_per_bin", "clipped_share", "tied_tokens"),
    "Magnitude": ("activation_magnitude", "intensity", "rms", "mean", "minimum", "maximum", "standard_deviation",
                  "token_standard_deviation"),
    "Gradients": ("gradient_magnitude",),
    "Classes": ("linear_probe", "nearest_probe", "lens", "nc1"),
    "Rank": ("effective_rank", "pca_effective_rank", "sample_rank", "pca_rank", "covariance_rank",
             "participation_ratio"),
    "Spectrum over channels": ("sep", "bandwidth", "amplitude"),
    "Tokens": ("token", "cosine"),
    "Attention": ("attention",),
}  # fmt: skip
OTHERS = "Others"


def name_of(column: str) -> str:
    """Return the name of a column: `Sample rank 95 %` for `sample_rank_95`."""
    if column in NAMES:
        return NAMES[column]
    stem, _, last = column.removesuffix("_p99").rpartition("_")
    name = f"{capital(spaced(stem))} at {last} % of the energy" if last.isdigit() else capital(spaced(column))
    return name + (", 99th percentile over images" if column.endswith("_p99") and last.isdigit() else "")


def group_of(column: str) -> str:
    """Return a metric's group: the one with the longest matching beginning."""
    fitting = [(len(start), group) for group, starts in GROUPS.items() for start in starts if column.startswith(start)]
    return max(fitting)[1] if fitting else OTHERS


def in_groups(columns: list[str]) -> list[str]:
    """Return metrics in display order: by group, and within it as in GROUPS."""
    order = [*GROUPS, OTHERS]

    def place(column: str) -> tuple[int, int]:
        group = group_of(column)
        starts = GROUPS.get(group, ())
        longest = max((start for start in starts if column.startswith(start)), key=len, default="")
        return order.index(group), starts.index(longest) if longest else 0

    return sorted(columns, key=place)
