"""Beliefs within an episode: what rises is seen to rise, what stands still is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.belief.belief_over_time import belief_over_time
from irl_lens.analyses.belief.belief_source import source
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.registry import ANALYSES
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.runs.run import find_run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter


def given_to_the_truth(sample: Trajectories, given: np.ndarray) -> np.ndarray:
    """Probabilities that give the truth so much, and the other three the rest."""
    truth = np.eye(4)[sample.subgoals] > 0
    return np.where(truth, given[..., None], (1 - given[..., None]) / 3)


def test_a_planted_rise_is_found_step_by_step(plant: Planter) -> None:
    sample = plant(200, 0, True)
    steps = np.arange(sample.mask.shape[1])
    given = np.broadcast_to(0.2 + 0.04 * steps, sample.mask.shape)
    probs = given_to_the_truth(sample, given)
    found = source("planted", 0, probs, probs, sample, "subgoal")
    drawn = found.given.shape[1]
    np.testing.assert_allclose(found.given[0], given[0, :drawn])
    np.testing.assert_array_equal(found.right[0], given[0, :drawn] > 0.25)
    assert found.rise.low > 0.1 and found.p < 0.01
    assert found.reader.divergence.value == pytest.approx(0)


def test_a_belief_that_does_not_move_does_not_rise(plant: Planter) -> None:
    sample = plant(200, 0, True)
    given = np.random.default_rng(0).uniform(size=sample.mask.shape)
    probs = given_to_the_truth(sample, given)
    found = source("noise", 0, probs, probs, sample, "subgoal")
    assert found.rise.low < 0 < found.rise.high and found.p > 0.05


def test_steps_that_few_episodes_reach_are_left_out(plant: Planter) -> None:
    sample = plant(200, 0, True)
    probs = given_to_the_truth(sample, np.full(sample.mask.shape, 0.25))
    found = source("short", 0, probs, probs, sample, "subgoal")
    reached = int((sample.mask.mean(axis=0) >= 0.1).sum())
    assert found.given.shape[1] == reached < sample.mask.shape[1]


def test_on_the_bundled_model_the_filter_is_above_and_the_controls_below(
    few_demonstrations: Callable[..., LoadedRun], tmp_path: Path
) -> None:
    loaded = few_demonstrations(find_run("grid"), 240)
    result = belief_over_time(loaded, iterations=15)
    layers = loaded.base.model.n_layers + 1
    own, random = result.trained[result.best], result.untrained[result.best]
    assert result.exact.reader.accuracy.value > own.reader.accuracy.value
    assert own.reader.accuracy.low > random.reader.accuracy.high
    assert own.rise.low > 0 and "rises by" in result.caption()
    assert result.claims()[0].p < 0.05
    assert len(result.to_dataframe()) == 3 * layers + 1
    assert len(result.by_step()) == (3 * layers + 1) * own.given.shape[1]
    assert result.figure().to_dict()["data"] and result.save(tmp_path / "it").exists()
    with pytest.raises(UserError, match="mood"):
        ANALYSES["belief-over-time"].of(loaded, target="mood")
