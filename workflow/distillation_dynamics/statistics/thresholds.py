"""Thresholds of the statistics, defined once for tests, report and figures."""

# Largest p value that counts as evidence, after adjustment.
LEVEL = 0.05
# Power that a design should have for a true effect.
POWER = 0.8
# Fewest seeds with which a two-sided sign-flip test can reach 5 %: 2 / 2^6 = .031.
FEWEST_SEEDS = 6
# Smallest factor of a fall or rise over depth that counts. For entropies it is log2 of this, .07 bits, which a scale
# growing by this factor adds in fixed bins. For metrics with values that are not positive it is .05 of the largest.
SMALLEST_FACTOR = 1.05
# Least depth of a valley in the published reading, as a share of the curve's range.
SMALLEST_DEPTH = 0.10
# Limit for one-sided tests of a mean over n images: with -skewness / sqrt(n) of the differences above it, values are
# too skewed for so few images (benchmarks/shapes.py: above it more than 5 % of curves without a valley were called
# U-shaped).
MOST_SKEW = 0.08
# With fewer images their skewness is unknown; with this many images of one sign it does not matter.
FEWEST_IMAGES = 20
# Entropy: from this RMS per bin on, the position of bins changes it by less than .01 bits, a seventh of the least
# change, for normal and heavy-tailed values (benchmarks/bins.py). Below it the shape is not judged.
LEAST_RMS_PER_BIN = 2.0
# A U is due to scale if scale alone makes at least this share of both its fall and its rise.
MOST_OF_IT = 0.90
# A curve over depth is flat if (max - min) / max |value| is below this, as for blocks that are the identity.
FLAT = 1e-3
# Below this many rows even unbiased CKA is uncertain.
FEWEST_ROWS = 1000
# 95 % quantile of the normal distribution, in standard errors, for a mean over hundreds of images.
INTERVAL = 1.96
# Shares of the loss within this factor of each other are one dose.
LIKE_DOSE = 1.5
# Requirements on a study: ratio of teacher's to student's channels (as published), number of interior blocks, CKA from
# which two blocks count as equal.
WIDTH_RATIO, INTERIOR_BLOCKS, ALIKE = 2.0, 3, 0.9
# The reported rank, a column of depth.parquet: fewest principal directions of all images' tokens that hold 95 % of the
# energy in 99 % of the images.
RANK = "pca_rank_95_p99"
# From this share of clipped updates on, nearly all gradients have the same norm.
NEARLY_ALL_CLIPPED = 0.9
# Claims (docs/protocol.md), in points of test top-1: smallest effect that matters, which a design must detect with 80 %
# power before its absence counts.
MATTERS, MUST_BE_FOUND = 0.15, 0.30
# A training has converged if validation top-1 rises by at most this many points per epoch over its last quarter.
FINISHED = 0.2
# A network trained here for fewer epochs may not have a U yet.
LONG_ENOUGH = 30
