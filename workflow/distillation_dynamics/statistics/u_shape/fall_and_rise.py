"""By how much a curve over depth falls from its first block and rises to its last, and the test that both are real.

In: values of one network and metric, [n images, L blocks]. A change is read on the scale of the metric: as a factor
where all values are positive (log2, in doublings), as a difference where they are bits, and otherwise as a share of the
largest absolute mean over blocks. Changes below `SMALLEST_FACTOR` are none. Source of the transformation of t: Hall,
On the Removal of Skewness by Transformation, J. R. Statist. Soc. B 54, 1992.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from ..thresholds import FEWEST_IMAGES, LEVEL, MOST_SKEW, SMALLEST_FACTOR

LOG, BITS, LINEAR = "log", "bits", "linear"
# Values that differ by less than this share of their size are equal: the rest of a float64 sum is rounding.
ROUNDING = 1e-12


class Tested(NamedTuple):
    """What the test of a fall and a rise says; each [...], NaN without an interior block or a second image.

    `p`: of no interior block that lies below both ends by more than the smallest change, blocks whose values are too
    skewed for so many images left out (all of them where there are fewer than `FEWEST_IMAGES`). `p_skewed`: the same
    with these. `p_none`: of an interior block that does. `skew`: the largest -skewness / sqrt(n) of the differences at
    the block that `p_skewed` rests on.
    """

    p: np.ndarray
    p_skewed: np.ndarray
    p_none: np.ndarray
    skew: np.ndarray


def scale_of(values: np.ndarray, bits: bool) -> str:
    """Return on which scale changes of a metric are read: BITS if it is in bits, LOG if all are positive, or LINEAR."""
    return BITS if bits else LOG if (values > 0).all() else LINEAR


def smallest(scale: str) -> float:
    """Return the smallest change on a scale that is one: in doublings, bits, or shares of the largest mean."""
    return SMALLEST_FACTOR - 1 if scale == LINEAR else float(np.log2(SMALLEST_FACTOR))


def changes(values: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's fall from the first block and rise to the last, of every interior block: two [..., n, L - 2].

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

    At each interior block both the fall and the rise must be larger (intersection-union), Bonferroni over blocks. On
    the log scale both must be so of the typical image (mean logarithm) and of the mean curve, so that neither a few
    large values nor a spread that differs between blocks makes a valley. One-sided t tests of means over images, from
    which skewness takes what Hall's transformation says. Valid for any dependence between blocks. Leading axes are
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
        # That each block lacks a fall or a rise: any of the tests at a block may say so, and all blocks must.
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
    # Towards larger values skewness would add evidence, which is not taken.
    hall = t + np.sqrt(images) * _bend(ratio, skewness) + skewness / (6 * np.sqrt(images))
    p = stats.t.sf(np.where(skewness < 0, np.minimum(t, hall), t), images - 1)
    p = np.where(constant, np.where(mean > 0, 0.0, 1.0), p)
    return p, -skewness / np.sqrt(images), np.all(difference > 0, axis=-2)


def _bend(ratio: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Return by how much Hall's cubic transformation moves mean / deviation."""
    return skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27


def _moments(difference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation and skewness, unbiased, over axis -2; both 0 where all are equal to rounding."""
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
    """Return the 95 % interval of the mean of differences [n], Bonferroni over `comparisons` of them; NaN for n < 2.

    Student's, each end moved outwards where Hall's transformation of t says that skewness does.
    """
    images = len(difference)
    if images < 2:
        return np.nan, np.nan
    ends = []
    for sign in (1, -1):
        mean, deviation, skewness = (float(part[0]) for part in _moments(sign * difference[:, None]))
        width = stats.t.ppf(1 - LEVEL / 2 / comparisons, images - 1) / np.sqrt(images)
        if skewness < 0:
            # The inverse of the transformation, at `width`.
            root = np.cbrt(1 + skewness * (width - skewness / (6 * images)))
            width = max(width, 3 / skewness * (root - 1))
        ends.append(sign * (mean - deviation * width))
    return ends[0], ends[1]


def sizes(values: np.ndarray, scale: str, block: int | None = None) -> dict[str, float | int | str | None]:
    """Return fall, rise and the smaller of both at the lowest interior block of values [n, L], or at `block`.

    `fall`, `rise` with `_low`, `_high`: see `percent`. `valley` with its own: in doublings, bits or shares. The lowest
    block has the lowest mean on the scale; intervals allow for having searched all interior ones. NaN, and no block,
    without an interior block.
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
    """Return a change in percent of where it starts: a fall of the first block, a rise of the lowest; bits stay bits.

    Of the linear scale it is percent of the largest absolute mean.
    """
    if scale == BITS:
        return change
    if scale == LINEAR:
        return 100 * change
    return 100 * (2.0**change - 1) if rise else 100 * (1 - 2.0**-change)
