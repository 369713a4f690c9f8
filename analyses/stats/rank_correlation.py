"""Spearman's rank correlation over few things, its p by pairing them anew.

The usual p-value assumes many. Of several correlations with the same thing, p-values are
adjusted (Holm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from scipy import stats

from irl_lens.analyses.stats.significance import holm


@dataclass(frozen=True)
class Correlation:
    """One correlation; NaN where one side is constant, or there are fewer than three.

    Attributes:
        rho: Correlation of ranks.
        p: Two-sided.
    """

    rho: float
    p: float

    def __str__(self) -> str:
        if isnan(self.rho):
            return "not defined"
        chance = "" if self.p < 0.05 else ", which may be chance"
        return f"{self.rho:.2f} (p = {self.p:.3g}{chance})"


def correlations(one: Sequence[float], *others: Sequence[float]) -> tuple[Correlation, ...]:
    """Correlates one thing with others.

    Args:
        one: Its values.
        others: Theirs, in the same order.
    """
    found = [_correlation(one, other) for other in others]
    pairs = zip(found, holm([each.p for each in found]), strict=True)
    return tuple(Correlation(each.rho, p) for each, p in pairs)


def _correlation(one: Sequence[float], other: Sequence[float]) -> Correlation:
    if len(one) < 3 or min(np.ptp(one), np.ptp(other)) == 0:
        return Correlation(nan, nan)
    a, b = stats.rankdata(one), stats.rankdata(other)

    def rho(x: np.ndarray) -> float:
        return float(np.corrcoef(x, b)[0, 1])

    rng = np.random.default_rng(0)
    found = stats.permutation_test(
        (a,), rho, permutation_type="pairings", n_resamples=2_000, rng=rng
    )
    return Correlation(rho(a), float(found.pvalue))
