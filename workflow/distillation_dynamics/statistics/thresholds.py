"""The thresholds of the statistics, once: tests, report and figures read them here."""

# p values at most this large count as evidence, after adjustment.
LEVEL = 0.05
# What a design should find a true effect with.
POWER = 0.8
# The fewest seeds at which a two-sided sign-flip test can reach 5 %: 2 / 2^6 = .031.
FEWEST_SEEDS = 6
# A valley is called one where it is at least this share of the curve's range deep.
SMALLEST_DEPTH = 0.10
# Of a curve over depth: with a smaller (max - min) / max |value| it is flat, as where all blocks are the identity.
FLAT = 1e-3
# Below this many rows even unbiased CKA is uncertain.
FEWEST_ROWS = 1000
# Up to so many trained networks are answered one by one; of more, the answer counts.
ONE_BY_ONE = 8
# Of the normal distribution, in standard errors: the 95 % interval of a mean over hundreds of images.
INTERVAL = 1.96
# Of an effect on accuracy, in points: without a harm this large, aligning is called neutral.
NEUTRAL = 0.5
# Two terms have a like share of the loss where the larger is at most this many times the smaller.
LIKE_SHARES = 1.5
