"""Estimates with 95 % intervals over episodes.

Steps of one episode are not independent, so the episode is the unit. A mean over steps is a
ratio of sums over episodes i, with the linearised standard error

    r = sum_i y_i / sum_i n_i,   se^2 = N / (N - 1) * sum_i (y_i - r n_i)^2 / (sum_i n_i)^2

and a proportion of episodes has Wilson's score interval, which also holds near 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from jaxtyping import Bool, Shaped

from irl_lens.arrays import NDArray

Z = 1.96
"""Normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; NaN where nothing was sampled."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % {self.low:.3f} to {self.high:.3f})"

    def columns(self, name: str) -> dict[str, float]:
        """Returns the three numbers as columns of a table."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def ratio(
    numerators: Shaped[NDArray[np.generic], " n"], denominators: Shaped[NDArray[np.generic], " n"]
) -> Estimate:
    """Returns the ratio of two sums over episodes."""
    y, n = numerators.astype(np.float64), denominators.astype(np.float64)
    if len(n) == 0 or n.sum() == 0:
        return Estimate(nan, nan, nan)
    value = float(y.sum() / n.sum())
    if len(n) == 1:
        return Estimate(value, nan, nan)
    residual = float(np.square(y - value * n).sum())
    spread = Z * sqrt(len(n) / (len(n) - 1) * residual) / abs(float(n.sum()))
    return Estimate(value, value - spread, value + spread)


def step_mean(
    values: Shaped[NDArray[np.generic], "n steps"], mask: Bool[NDArray[np.bool_], "n steps"]
) -> Estimate:
    """Returns the mean over the steps in ``mask``; episodes without any count for nothing."""
    return ratio(np.where(mask, values, 0).sum(axis=1), mask.sum(axis=1))


def mean(values: Shaped[NDArray[np.generic], " n"]) -> Estimate:
    """Returns the mean over episodes."""
    return ratio(values, np.ones(len(values)))


def proportion(marks: Bool[NDArray[np.bool_], " n"]) -> Estimate:
    """Returns the share of marked episodes."""
    n = len(marks)
    if n == 0:
        return Estimate(nan, nan, nan)
    p, z2 = float(marks.mean()), Z**2
    centre, spread = p + z2 / (2 * n), Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = ((centre + sign * spread) / (1 + z2 / n) for sign in (-1, 1))
    return Estimate(p, max(0.0, min(low, p)), min(1.0, max(high, p)))
