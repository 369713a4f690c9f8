"""Probabilities against the truth: exact for the exact, nothing for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.belief.calibrated_belief import SINCE, belief, compare
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.runs.run import find_run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter


def test_the_truth_itself_has_no_error(plant: Planter) -> None:
    sample = plant(50, 0, True)
    exact = np.eye(4)[sample.subgoals] * sample.mask[..., None]
    reader = compare("exact", exact, exact, sample)
    assert (reader.accuracy.value, reader.calibration.error.value) == (1, 0)
    assert reader.cross_entropy.value == reader.divergence.value == 0
    assert np.nanmin(reader.since) == 1


def test_knowing_nothing_costs_the_logarithm_of_the_classes(plant: Planter) -> None:
    sample = plant(400, 1, True)
    exact = np.eye(4)[sample.subgoals] * sample.mask[..., None]
    reader = compare("nothing", np.full(exact.shape, 0.25), exact, sample)
    assert reader.cross_entropy.value == pytest.approx(np.log(4))
    assert reader.divergence.value == pytest.approx(np.log(4))
    assert reader.accuracy.value == pytest.approx(0.25, abs=0.05)
    error = reader.calibration.error
    assert error.value == pytest.approx(abs(0.25 - reader.accuracy.value)) and error.low == 0


def test_overconfidence_is_the_calibration_error(plant: Planter) -> None:
    sample = plant(400, 0, True)
    rng = np.random.default_rng(0)
    wrong = (sample.require("subgoals") + 1) % 4
    named = np.where(rng.random(sample.mask.shape) < 0.6, sample.require("subgoals"), wrong)
    probs = 0.9 * np.eye(4)[named] + 0.1 / 4
    reader = compare("sure", probs, probs, sample)
    assert reader.accuracy.value == pytest.approx(0.6, abs=0.03)
    error, (right, low, high) = reader.calibration.error, reader.calibration.right
    assert error.value == pytest.approx(0.925 - 0.6, abs=0.03)
    assert error.low < 0.925 - 0.6 < error.high
    assert low[-1] < 0.6 < high[-1] and reader.calibration.confidence[-1] == pytest.approx(0.925)
    assert np.isnan(right[:-1]).all()


def test_belief_is_counted_from_the_boundary_on_and_not_in_the_first_subgoal(
    plant: Planter,
) -> None:
    sample = plant(60, 0, True)
    steps = np.arange(sample.mask.shape[1])
    probs = np.zeros((*sample.mask.shape, 4))
    boundaries = sample.boundaries()
    last = np.maximum.accumulate(np.where(boundaries, steps, -1), axis=1)
    given = np.where(last >= 0, 1 / (1 + steps - last), 0.0)
    np.put_along_axis(
        probs, np.maximum(sample.require("subgoals"), 0)[..., None], given[..., None], axis=2
    )
    reader = compare("fading", probs, probs, sample)
    known = ~np.isnan(reader.since)
    np.testing.assert_allclose(reader.since[known], (1 / np.arange(1, SINCE + 1))[known])
    assert known[:4].all()


def test_on_the_bundled_model_it_is_between_the_control_and_the_filter(
    few_demonstrations: Callable[..., LoadedRun],
) -> None:
    loaded = few_demonstrations(find_run("grid"), 240)
    result = belief(loaded, layer=1)
    probe, exact, control = result.readers
    assert exact.divergence.value == 0
    assert exact.cross_entropy.value < probe.cross_entropy.value < control.cross_entropy.value
    assert "better than the frequencies" in result.caption()
    assert "no better" not in result.caption()
    assert result.claims()[0].p < 0.01 and 0 < result.claims()[0].effect < 1
    assert len(result.to_dataframe()) == 3 and len(result.figure().to_dict()["data"]) == 7
    with pytest.raises(ValueError, match="layer 99: the base has layers 0"):
        belief(loaded, layer=99)
