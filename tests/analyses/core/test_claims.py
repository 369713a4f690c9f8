"""p-values of claims: right where nothing is, small where something is."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from irl_lens.analyses.core.claims import Claim, chance
from irl_lens.analyses.stats.estimates import Estimate, mean


def test_where_nothing_is_p_is_uniform() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(2_000, 2, 100))
    found = np.array([chance(mean(one), mean(other)) for one, other in samples])
    assert (found < 0.05).mean() == pytest.approx(0.05, abs=0.02)
    assert found.mean() == pytest.approx(0.5, abs=0.03)


def test_a_difference_is_found_and_has_a_sign_and_a_reach() -> None:
    rng = np.random.default_rng(0)
    one, other = (mean(rng.normal(m, 1, size=200)) for m in (1.0, 3.0))
    claim = Claim.against("less", one, other, reach=4.0)
    assert claim.p < 1e-12 and claim.effect == pytest.approx(-0.5, abs=0.1)


def test_more_than_all_is_all() -> None:
    value, null = Estimate(1.5, 1.3, 1.7), Estimate(0.0, -0.1, 0.1)
    assert Claim.against("", value, null).effect == 1
    assert Claim.against("", null, value).effect == -1


def test_a_search_costs() -> None:
    value, null = Estimate(0.3, 0.1, 0.5), Estimate(0.0, 0.0, 0.0)
    assert chance(value, null, tried=10) == pytest.approx(10 * chance(value, null))
    assert chance(value, null) == pytest.approx(0.0033, abs=1e-4)  # z = 2.94
    assert chance(null, Estimate(0.0, -1.0, 1.0), tried=10) == 1.0


def test_without_an_interval_there_is_no_p() -> None:
    exact = Estimate(0.5, 0.5, 0.5)
    assert isnan(chance(exact, exact)) and isnan(chance(Estimate(0.5, np.nan, np.nan), exact))
    assert isnan(Claim("something").p) and isnan(Claim("something").effect)
