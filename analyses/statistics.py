"""Intervals and p-values over episodes, by resampling.

Scipy's, with the names that TransformerLens uses for them. The unit is the episode.
"""

from __future__ import annotations

from math import nan

import numpy as np
from jaxtyping import Shaped
from numpy.typing import NDArray
from scipy import stats

from irl_lens.analyses.estimates import Estimate

Values = Shaped[NDArray[np.generic], " episodes"]


def bootstrap_ci(values: Values, seed: int = 0, draws: int = 2_000) -> Estimate:
    """The mean over episodes and its percentile interval.

    Args:
        values: One an episode; NaN where there is none, which counts for nothing.
        seed: Of the resampling.
        draws: Resamples.
    """
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    if len(kept) < 2:
        return Estimate(float(kept.mean()) if len(kept) else nan, nan, nan)
    rng = np.random.default_rng(seed)
    interval = stats.bootstrap(
        (kept,), np.mean, n_resamples=draws, method="percentile", rng=rng
    ).confidence_interval
    return Estimate(float(kept.mean()), float(interval.low), float(interval.high))


def permutation_pvalue(
    one: Values, other: Values, paired: bool = True, seed: int = 0, draws: int = 2_000
) -> float:
    """The two-sided p-value of a difference of means, never below 1 / (draws + 1).

    Args:
        one: One value an episode.
        other: The same of the comparison; with ``paired``, of the same episodes.
        paired: Whether to swap within episodes, or to deal all values out anew.
        seed: Of the permutations.
        draws: Permutations; all of them when there are fewer.
    """

    def difference(a: NDArray, b: NDArray, axis: int = -1) -> NDArray | np.floating:
        return np.mean(a, axis=axis) - np.mean(b, axis=axis)

    samples = tuple(np.asarray(values, np.float64) for values in (one, other))
    return float(
        stats.permutation_test(
            samples,
            difference,
            permutation_type="samples" if paired else "independent",
            vectorized=True,
            n_resamples=draws,
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def exchange_pvalue(
    table: Shaped[NDArray[np.generic], "n n"], seed: int = 0, draws: int = 2_000
) -> float:
    """The one-sided p-value of a table's diagonal being large, by exchanging its rows.

    Args:
        table: Likeness of every row's label to every column's.
        seed: Of the exchanges.
        draws: Exchanges; all of them when there are fewer, so that p is 1 / n! at least.
    """
    columns, values = np.arange(len(table)), np.asarray(table, np.float64)

    def diagonal(rows: NDArray, axis: int = -1) -> NDArray | np.floating:
        return values[rows.astype(int), columns].mean(axis=axis)

    return float(
        stats.permutation_test(
            (columns,),
            diagonal,
            permutation_type="pairings",
            alternative="greater",
            vectorized=True,
            n_resamples=draws,
            rng=np.random.default_rng(seed),
        ).pvalue
    )
