"""Intervals and p-values over episodes, by resampling, and p-values of several questions.

Scipy's, with the names that TransformerLens uses for them. The unit is the episode. Where an
analysis asks a question of several things at once, its p-values are adjusted, so that the
chance of any false answer among them stays below the level:

    Holm (1979), p_1 <= .. <= p_n:    p_i <- max over j <= i of min(1, (n - j + 1) p_j)
    Westfall and Young (1993):        p_i <- P(max over j of z_j under the null >= z_i)

Both hold however the questions hang together; the second needs draws of all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import factorial, nan

import numpy as np
from jaxtyping import Float, Shaped
from scipy import stats

from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray

Values = Shaped[NDArray[np.generic], " episodes"]


def bootstrap_ci(values: Values, seed: int = 0, draws: int = 2_000) -> Estimate:
    """The mean over episodes and its percentile interval.

    Args:
        values: One an episode; NaN where there is none, which counts for nothing.
        seed: Seed of the resampling.
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
        seed: Seed of the permutations.
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


def exchange_pvalues(
    tables: Shaped[NDArray[np.generic], "tables n n"], seed: int = 0, draws: int = 2_000
) -> Float[NDArray[np.float64], " tables"]:
    """One-sided p-values of tables' diagonals being large, by exchanging the rows of all alike.

    Of several tables they are adjusted for that, as those of :func:`largest_pvalues`.

    Args:
        tables: Likeness of every row's label to every column's.
        seed: Seed of the exchanges.
        draws: Exchanges; all of them when there are fewer, so that p is 1 / n! at least.
    """
    columns = np.arange(tables.shape[1])
    if factorial(len(columns)) <= draws + 1:
        orders = np.array(list(permutations(columns)))
    else:
        rng = np.random.default_rng(seed)
        drawn = rng.permuted(np.tile(columns, (draws, 1)), axis=1)
        orders = np.vstack([columns, drawn])
    diagonals = tables[:, orders, columns].mean(axis=-1, dtype=np.float64).T
    return largest_pvalues(diagonals[0], diagonals[1:])


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for being of several questions (Holm).

    Args:
        p: One a question; NaN where it was not asked, which counts for nothing and stays.
    """
    values = np.array(p, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known])]
    raised = values[order] * np.arange(len(order), 0, -1)
    values[order] = np.minimum(1, np.maximum.accumulate(raised))
    return values.tolist()


def largest_pvalues(
    values: Float[NDArray[np.float64], " n"], draws: Float[NDArray[np.float64], "draws n"]
) -> Float[NDArray[np.float64], " n"]:
    """One-sided p-values adjusted for being of several scores (Westfall and Young).

    Each is the share of draws, the observed scores among them, in which the largest score of
    any stands out from its own mean by as many standard deviations.

    Args:
        values: Observed scores.
        draws: The same under the null, drawn together.
    """
    pool = np.vstack([values, draws])
    middle, spread = pool.mean(axis=0), pool.std(axis=0)
    # What is the same in all draws but for rounding stands out in none.
    z = (pool - middle) / np.where(spread > 1e-6 * np.abs(middle), spread, np.inf)
    largest = z.max(axis=1, initial=-np.inf)
    return (largest[:, None] >= z[0] - 1e-9).sum(axis=0) / len(pool)
