"""Measures of a network: each file one metric, as pure functions and as a streaming accumulator, `Metric`.

A metric's file says what it asks of a network (`REQUIRES`, fields of `outputs.Request`), documents the columns it fills
(`IMAGE_COLUMNS` of scalars.parquet, whose means over images are in depth.parquet; `BLOCK_COLUMNS` of depth.parquet;
`BIN_COLUMNS` of spectrum.parquet; `TABLES` of its own), names the files it keeps of a checkpoint (`FILES`), the one of
the reference network that it reads (`REFERENCE`) and the settings that change what it computes (`OPTIONS`), and defines
`Metric`. The file's name is its entry in the registry. The functions below are there as `metrics.<function>` and loaded
when first asked for, so that importing this package costs nothing.
"""

from importlib import import_module

_FUNCTIONS = {
    "attention": ("attention_distance", "attention_entropy", "attention_maps"),
    "collapse": ("nc1",),
    "covariance": ("covariance_scalars",),
    "entropy": ("layer_entropy", "standardised_entropy", "token_entropy", "value_range"),
    "gradient": ("block_gradients", "gradient_magnitude", "gradient_maps"),
    "lens": ("lens_scalars",),
    "linear_probe": ("linear_probe_top1", "probe_folds"),
    "magnitude": ("activation_magnitude", "image_scalars"),
    "nearest_probe": ("nearest_probe_top1",),
    "pairs.agreement": ("agreement",),
    "pairs.cka": ("cka", "unbiased_cka"),
    "pairs.neighbours": ("mutual_neighbours",),
    "pairs.procrustes": ("procrustes_distance",),
    "rank": (
        *("effective_rank", "gram_rank", "pca_effective_rank", "pca_rank", "rank_of_spectrum"),
        *("reduced_gram", "sample_rank"),
    ),
    "rows": ("image_rows", "token_rows"),
    "saliency": ("saliency_map",),
    "sep": ("bandwidth", "gram_sep_folded", "permuted_sep", "sep_folded"),
    "spectrum": ("channel_spectrum", "permuted_spectra", "spectral_intensity"),
    "tokens": ("cosine_to_first", "token_scalars"),
}
_HOMES = {function: module for module, functions in _FUNCTIONS.items() for function in functions}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
