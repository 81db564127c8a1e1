"""The fall of a curve over depth from its first block and its rise to the last, and a test that both are real.

In: values of one network and metric, [n images, L blocks]. Changes are measured on the metric's scale: as factors if
all values are positive (log2, in doublings), as differences for bits, else as shares of the largest absolute mean over
blocks. Changes below `SMALLEST_FACTOR` do not count. Source of the transformation of t: Hall, On the Removal of
Skewness by Transformation, J. R. Statist. Soc. B 54, 1992.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from ..thresholds import FEWEST_IMAGES, LEVEL, MOST_SKEW, SMALLEST_FACTOR

LOG, BITS, LINEAR = "log", "bits", "linear"
# Values that differ by less than this share of their size are equal, up to rounding of a float64 sum.
ROUNDING = 1e-12


class Tested(NamedTuple):
    """Result of the test of a fall and a rise; each [...], NaN without an interior block or a second image.

    `p` tests the null hypothesis that no interior block is below both ends by more than the smallest change, without
    blocks whose values are too skewed for the number of images (all blocks for fewer than `FEWEST_IMAGES`). `p_skewed`:
    the same with these blocks. `p_none` tests that such a block exists. `skew`: the largest -skewness / sqrt(n) of the
    differences at the block on which `p_skewed` rests.
    """

    p: np.ndarray
    p_skewed: np.ndarray
    p_none: np.ndarray
    skew: np.ndarray


def scale_of(values: np.ndarray, bits: bool) -> str:
    """Return the scale for changes of a metric: BITS for bits, LOG if all values are positive, else LINEAR."""
    return BITS if bits else LOG if (values > 0).all() else LINEAR


def smallest(scale: str) -> float:
    """Return the smallest change that counts on a scale: in doublings, bits, or shares of the largest mean."""
    return SMALLEST_FACTOR - 1 if scale == LINEAR else float(np.log2(SMALLEST_FACTOR))


def changes(values: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's fall from the first block and rise to the last, for every interior block: two [..., n, L -
    2].

    In doublings, bits, or shares of the largest absolute mean over blocks.
    """
    if scale == LOG:
        values = np.log2(values)
    elif scale == LINEAR:
        most = np.abs(values.mean(axis=-2, keepdims=True)).max(axis=-1, keepdims=True)
        values = values / np.where(most > 0, most, 1.0)
    inner = values[..., 1:-1]
    return values[..., :1] - inner, values[..., -1:] - inner


def tested(values: np.ndarray, scale: str) -> Tested:
    """Test values [..., n images, L blocks] for an interior block below both ends by more than the smallest change.

    At an interior block both fall and rise must be larger (intersection-union), with Bonferroni over blocks. On the log
    scale both must hold for the typical image (mean logarithm) and for the mean curve, so that neither a few large
    values nor a spread that differs between blocks makes a valley. Tests are one-sided t tests of means over images,
    corrected for skewness by Hall's transformation. Valid for any dependence between blocks. Leading axes are
    independent data sets.
    """
    values = np.asarray(values, dtype=np.float64)
    images, blocks = values.shape[-2:]
    if blocks < 3 or images < 2:
        return Tested(*(np.full(values.shape[:-2], np.nan)[()] for _ in Tested._fields))
    differences = [change - smallest(scale) for change in changes(values, scale)]
    if scale == LOG:
        differences += [end - SMALLEST_FACTOR * values[..., 1:-1] for end in (values[..., :1], values[..., -1:])]
    several = [_one_sided(difference) for difference in differences]
    p, skew = (np.stack([one[part] for one in several]).max(axis=0) for part in (0, 1))
    agreed = np.stack([one[2] for one in several]).all(axis=0)
    skewed = ((skew > MOST_SKEW) & ~agreed) | (images < FEWEST_IMAGES)
    opposite = np.stack([_one_sided(-difference)[0] for difference in differences]).min(axis=0)
    inner = blocks - 2
    place = p.argmin(axis=-1)[..., None]
    return Tested(
        np.minimum(1.0, inner * np.where(skewed, 1.0, p).min(axis=-1))[()],
        np.minimum(1.0, inner * p.min(axis=-1))[()],
        # Null hypothesis: each block lacks a fall or a rise. One test per block is enough, but all blocks must agree.
        np.minimum(1.0, len(differences) * opposite.max(axis=-1))[()],
        np.take_along_axis(skew, place, axis=-1)[..., 0][()],
    )


def _one_sided(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return p of mean <= 0, -skewness / sqrt(n), and whether all images are positive: each [..., K] of [..., n, K]."""
    images = difference.shape[-2]
    mean, deviation, skewness = _moments(difference)
    constant = deviation == 0
    ratio = mean / np.where(constant, 1.0, deviation)
    t = np.sqrt(images) * ratio
    # Positive skewness would add evidence, which is not used.
    hall = t + np.sqrt(images) * _bend(ratio, skewness) + skewness / (6 * np.sqrt(images))
    p = stats.t.sf(np.where(skewness < 0, np.minimum(t, hall), t), images - 1)
    p = np.where(constant, np.where(mean > 0, 0.0, 1.0), p)
    return p, -skewness / np.sqrt(images), np.all(difference > 0, axis=-2)


def _bend(ratio: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Return the change of mean / deviation by Hall's cubic transformation."""
    return skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27


def _moments(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation and skewness, unbiased, over axis -2; the latter two are 0 for equal values."""
    images = difference.shape[-2]
    mean = difference.mean(axis=-2)
    centred = difference - mean[..., None, :]
    deviation = np.sqrt((centred**2).sum(axis=-2) / (images - 1))
    deviation = np.where(deviation <= ROUNDING * np.abs(difference).max(axis=-2), 0.0, deviation)
    if images < 3:
        return mean, deviation, np.zeros_like(mean)
    biased = np.where(deviation > 0, deviation, 1.0) * np.sqrt((images - 1) / images)
    skewness = ((centred / biased[..., None, :]) ** 3).mean(axis=-2) * np.sqrt(images * (images - 1)) / (images - 2)
    return mean, deviation, np.where(deviation > 0, skewness, 0.0)


def interval(difference: np.ndarray, comparisons: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of differences [n], Bonferroni over `comparisons`; NaN for n < 2.

    Student's, with each end moved outwards if Hall's transformation of t requires it for skewness.
    """
    images = len(difference)
    if images < 2:
        return np.nan, np.nan
    ends = []
    for sign in (1, -1):
        mean, deviation, skewness = (float(part[0]) for part in _moments(sign * difference[:, None]))
        width = stats.t.ppf(1 - LEVEL / 2 / comparisons, images - 1) / np.sqrt(images)
        if skewness < 0:
            # Inverse of the transformation at `width`.
            root = np.cbrt(1 + skewness * (width - skewness / (6 * images)))
            width = max(width, 3 / skewness * (root - 1))
        ends.append(sign * (mean - deviation * width))
    return ends[0], ends[1]


def sizes(values: np.ndarray, scale: str, block: int | None = None) -> dict[str, float | int | str | None]:
    """Return fall, rise and the smaller of both at the lowest interior block of values [n, L], or at `block`.

    `fall`, `rise` with `_low`, `_high`: see `percent`. `valley` with its interval: in doublings, bits or shares. The
    lowest block has the lowest mean on the scale; intervals account for the search over all interior blocks. NaN, and
    no block, without an interior block.
    """
    names = [f"{name}{end}" for name in ("fall", "rise", "valley") for end in ("", "_low", "_high")]
    if values.shape[1] < 3:
        return {"scale": scale, "valley_block": None, **dict.fromkeys(names, np.nan)}
    both = changes(values, scale)
    inner = values.shape[1] - 2
    place = int(both[0].mean(axis=0).argmax()) if block is None else block - 1
    found = []
    for change in both:
        own = change[:, place]
        found.append([float(own.mean()), *interval(own, inner)])
    shown = [[percent(one, scale, rise) for one in part] for part, rise in zip(found, (False, True), strict=True)]
    ends = [*shown[0], *shown[1], *np.min(found, axis=0).tolist()]
    return {"scale": scale, "valley_block": place + 1, **dict(zip(names, ends, strict=True))}


def percent(change: float, scale: str, rise: bool) -> float:
    """Return a change in percent of its start: a fall of the first block, a rise of the lowest; bits stay bits.

    On the linear scale, percent of the largest absolute mean.
    """
    if scale == BITS:
        return change
    if scale == LINEAR:
        return 100 * change
    return 100 * (2.0**change - 1) if rise else 100 * (1 - 2.0**-change)
