from __future__ import annotations

import numpy as np
import pytest

from irl_lens.analyses.stats.significance import (
    bootstrap_ci,
    holm,
    largest_pvalues,
    permutation_pvalue,
)


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


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02]) == [0.02] and holm([0.7, 0.9]) == [1, 1] and holm([]) == []
    found = holm([np.nan, 0.01, np.nan, 0.2])
    assert np.isnan(found[0]) and np.isnan(found[2]) and found[1::2] == pytest.approx([0.02, 0.2])


@pytest.mark.parametrize("shared", [0.0, 3.0])
def test_of_many_scores_that_are_chance_next_to_none_is_found(shared: float) -> None:
    """However they hang together; one by one, most families would have one below 0.05."""
    rng = np.random.default_rng(0)
    least = []
    for _ in range(200):
        common = shared * rng.normal(size=(100, 1))
        scores = np.abs(common + rng.normal(size=(100, 30)) * rng.exponential(size=30))
        least.append(largest_pvalues(scores[0], scores[1:]).min())
    assert np.mean(np.array(least) <= 0.05) < 0.1


def test_one_planted_among_many_scores_is_found() -> None:
    rng = np.random.default_rng(1)
    draws = np.abs(rng.normal(size=(99, 50)))
    p = largest_pvalues(np.where(np.arange(50) == 7, 9.0, draws.mean(axis=0)), draws)
    assert p[7] == 0.01 and np.delete(p, 7).min() == 1


def test_the_p_of_one_score_is_the_share_of_draws_and_of_a_constant_one() -> None:
    draws = np.arange(19.0)[:, None]
    assert largest_pvalues(np.array([15.5]), draws).tolist() == [4 / 20]
    constant = 0.3 + 1e-9 * np.random.default_rng(0).normal(size=(9, 2))
    assert largest_pvalues(np.array([0.3, 0.3 + 1e-8]), constant).tolist() == [1, 1]
    assert largest_pvalues(np.zeros(0), np.zeros((9, 0))).tolist() == []
