"""The thresholds of the statistics, once: tests, report and figures read them here."""

# p values at most this large count as evidence, after adjustment.
LEVEL = 0.05
# What a design should find a true effect with.
POWER = 0.8
# The fewest seeds at which a two-sided sign-flip test can reach 5 %: 2 / 2^6 = .031.
FEWEST_SEEDS = 6
# A fall or rise over depth by a smaller factor is none. Of entropies the least is log2 of it, .07 bits: what a scale
# that grows by this factor adds in fixed bins. Of metrics with values that are not positive it is .05 of the largest.
SMALLEST_FACTOR = 1.05
# The published reading calls a valley one where it is at least this share of the curve's range deep.
SMALLEST_DEPTH = 0.10
# Of one-sided tests of a mean over n images: with -skewness / sqrt(n) of the differences above this, the values are too
# skewed for so few images (benchmarks/shapes.py: above, more than 5 % of curves without a valley were called U-shaped).
MOST_SKEW = 0.08
# Of fewer images nothing tells how skewed their values are; of so many that all agree in a sign, skewness is no matter.
FEWEST_IMAGES = 20
# Of an entropy: from this RMS per bin on, where the bins begin moves it by less than .01 bits, a seventh of the least
# change, whether values are normal or heavy-tailed (benchmarks/bins.py). Below it nothing is said of a shape.
LEAST_RMS_PER_BIN = 2.0
# A U is one of scale where scale alone makes at least this share of both its fall and its rise.
MOST_OF_IT = 0.90
# Of a curve over depth: with a smaller (max - min) / max |value| it is flat, as where all blocks are the identity.
FLAT = 1e-3
# Below this many rows even unbiased CKA is uncertain.
FEWEST_ROWS = 1000
# Up to so many trained networks are answered one by one; of more, the answer counts.
ONE_BY_ONE = 8
# Of the normal distribution, in standard errors: the 95 % interval of a mean over hundreds of images.
INTERVAL = 1.96
# Shares of the loss within this factor of each other are one dose.
LIKE_DOSE = 1.5
# What a study can show: channels of the teacher to those of the student (as published), blocks neither first nor last,
# CKA from which two blocks are called alike.
WIDTH_RATIO, INTERIOR_BLOCKS, ALIKE = 2.0, 3, 0.9
# The rank that is spoken of, a column of depth.parquet: of the directions of the tokens of all images the fewest that
# hold 95 % of the energy in 99 % of the images.
RANK = "pca_rank_95_p99"
# From this share of updates on whose gradient was clipped, gradients are of one length nearly always.
NEARLY_ALL_CLIPPED = 0.9
# Of claims (docs/protocol.md), in points of test top-1: from here on an effect matters; what a design must find with
# 80 % power, before what it does not find counts as not seen.
MATTERS, MUST_BE_FOUND = 0.15, 0.30
# Training is finished where validation top-1 rises by at most so many points an epoch over the last quarter of epochs.
FINISHED = 0.2
# A network trained here for fewer epochs may have no U yet.
LONG_ENOUGH = 30
