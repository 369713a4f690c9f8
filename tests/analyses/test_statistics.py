from __future__ import annotations

import numpy as np
import pytest

from irl_lens.analyses.statistics import bootstrap_ci, permutation_pvalue


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    estimates = [bootstrap_ci(rng.exponential(size=40), seed=i, draws=300) for i in range(200)]
    covered = np.mean([e.low <= 1 <= e.high for e in estimates])
    assert 0.87 < covered < 0.99


def test_missing_values_count_for_nothing_and_too_few_have_no_interval() -> None:
    estimate = bootstrap_ci(np.array([1.0, np.nan, 3.0, np.nan]))
    assert estimate.value == 2 and 1 <= estimate.low <= estimate.high <= 3
    assert bootstrap_ci(np.array([4.0])).value == 4
    assert np.isnan(bootstrap_ci(np.array([4.0])).low) and np.isnan(
        bootstrap_ci(np.array([])).value
    )


def test_p_values_are_uniform_without_and_small_with_a_difference() -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=20), rng.normal(size=20)) for _ in range(200)]
    p = np.array([permutation_pvalue(*pair, seed=i, draws=200) for i, pair in enumerate(pairs)])
    assert 0.02 < (p < 0.1).mean() < 0.2
    one = rng.normal(size=30)
    assert permutation_pvalue(one + 1, one, draws=999) == pytest.approx(0.002, abs=0.002)
    assert permutation_pvalue(one + 3, one, paired=False, draws=999) < 0.01


def test_pairing_sees_what_the_spread_between_episodes_hides() -> None:
    episodes = 10 * np.random.default_rng(2).normal(size=15)
    shifted = episodes + 0.5
    assert permutation_pvalue(shifted, episodes) < 0.01
    assert permutation_pvalue(shifted, episodes, paired=False) > 0.5
