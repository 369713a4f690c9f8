"""Is a predictor right as often as it is sure? Reliability by bins of confidence.

    ECE = sum over bins b of n_b / n |accuracy_b - confidence_b|

of the likeliest class (Guo et al. 2017, arXiv 1706.04599), in bins of equal width. Episodes are
the unit: intervals resample them. A sum of absolute values is too large in every resample, by
about as much as in the sample itself, so the interval of ECE is the percentile interval
reflected in the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.arrays import NDArray

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy.

    Attributes:
        error: Expected calibration error, ECE.
        confidence: Mean confidence in each bin; NaN for an empty one.
        right: Share of right answers in the same bins: value, low and high.
    """

    error: Estimate
    confidence: Float[NDArray[np.float64], " bins"]
    right: Float[NDArray[np.float64], "3 bins"]


def calibration(
    confidence: Float[NDArray[np.floating], "n steps"],
    right: Bool[NDArray[np.bool_], "n steps"],
    mask: Bool[NDArray[np.bool_], "n steps"],
    draws: int = 500,
    seed: int = 0,
) -> Calibration:
    """Scores the confidence of a predictor's likeliest class.

    Args:
        confidence: Its probability, at every step of every episode.
        right: Whether it is the true class.
        mask: The steps that count.
        draws: Resamples of episodes.
        seed: Seed of the resampling.
    """
    # [3, episodes, bins]: how many, how sure, how often right.
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    member = (bins[..., None] == np.arange(BINS)) & mask[..., None]
    sums = np.stack([(member * x[..., None]).sum(axis=1) for x in (mask, confidence, right)])
    shares = [ratio(hits, n) for hits, n in zip(sums[2].T, sums[0].T, strict=True)]
    totals = sums.sum(axis=1)
    rng, episodes = np.random.default_rng(seed), len(mask)
    drawn = rng.multinomial(episodes, np.full(episodes, 1 / episodes), size=draws).astype(
        np.float64
    )
    value = float(_error(totals[:, None])[0])
    high, low = 2 * value - np.quantile(_error(drawn @ sums), (0.025, 0.975))
    return Calibration(
        Estimate(value, max(0.0, float(low)), max(0.0, float(high))),
        totals[1] / np.where(totals[0] > 0, totals[0], np.nan),
        np.array([(e.value, e.low, e.high) for e in shares]).T,
    )


def _error(sums: Float[NDArray[np.floating], "3 n bins"]) -> Float[NDArray[np.float64], " n"]:
    count, confidence, right = sums
    return np.abs(right - confidence).sum(axis=-1) / count.sum(axis=-1)
