"""Intervals: right in cases computed by hand, and covering what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irl_lens.analyses.stats.estimates import mean, proportion, ratio, step_mean


def test_ratio_of_equal_episodes_is_the_mean_with_its_standard_error() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    estimate = mean(values)
    assert estimate.value == 3
    error = values.std(ddof=1) / 2
    assert estimate.high - 3 == pytest.approx(1.96 * error)
    assert 3 - estimate.low == pytest.approx(1.96 * error)


def test_step_mean_weighs_steps_and_leaves_padding_out() -> None:
    mask = np.array([[True, True, True], [True, False, False]])
    assert step_mean(np.array([[1, 1, 1], [5, 9, 9]]), mask).value == 2


def test_intervals_cover_when_steps_of_an_episode_agree() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        lengths = rng.integers(5, 15, size=60)
        estimate = ratio(lengths * rng.normal(size=60), lengths)
        covered += estimate.low < 0 < estimate.high
    assert 0.9 < covered / 300 < 0.985


def test_proportion_of_none_still_has_an_upper_bound() -> None:
    none = proportion(np.zeros(100, bool))
    assert (none.value, none.low) == (0, 0) and 0.02 < none.high < 0.05
    every = proportion(np.ones(100, bool))
    assert (every.value, every.high) == (1, 1) and 0.95 < every.low < 0.98


def test_nothing_sampled_is_nan() -> None:
    assert math.isnan(ratio(np.zeros(3), np.zeros(3)).value)
    assert math.isnan(proportion(np.zeros(0, bool)).value)
