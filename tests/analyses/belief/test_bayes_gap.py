"""Base against the Bayes filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.belief.bayes_gap import compare_with_floor, training_curve
from irl_lens.analyses.core.demonstrations import Sample, action_log_probs, draw, taken
from irl_lens.envs.pinpad.bayes import nll
from irl_lens.envs.registry import make_world
from irl_lens.models.fast import FastPath
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter


def test_a_base_that_is_the_filter_has_no_gap(smoke_run: Run) -> None:
    world = make_world(smoke_run.preset.world)
    base = FastPath(smoke_run.base)
    sample = draw(world, 0, "test", 40)
    with np.errstate(divide="ignore"):
        log_probs = np.log(sample.floor.require("probs"))
    result = compare_with_floor(base, sample, log_probs)
    assert result.gap.value == pytest.approx(0, abs=1e-9)
    trajectories = sample.trajectories
    expected = nll(sample.floor.require("probs"), trajectories.actions, trajectories.mask)
    assert result.score("bayes").nll.value == pytest.approx(expected)
    assert result.score("known").nll.value < result.score("bayes").nll.value


def test_bins_of_certainty_make_up_all_steps(smoke_run: Run) -> None:
    sample = draw(make_world(smoke_run.preset.world), 0, "test", 40)
    result = compare_with_floor(FastPath(smoke_run.base), sample)
    scores = [s for s in result.scores if s.model == "base"]
    whole, bins = scores[0], scores[1:]
    assert sum(s.share for s in bins) == pytest.approx(1)
    total = sum(s.share * s.nll.value for s in bins)
    assert total == pytest.approx(whole.nll.value, abs=1e-5)
    assert len(result.to_dataframe()) == 3 * len(scores) == len(result.scores)
    assert len(result.figure().to_dict()["data"]) == 3


def test_log_probs_are_those_of_each_row_alone(
    sighted: FastPath, plant: Planter, uniform_floor: Callable
) -> None:
    trajectories = plant(30, 0, True)
    found = taken(action_log_probs(sighted, trajectories), trajectories)
    for row in (0, 7, 29):
        one = trajectories.rows(np.array([row]))
        alone = taken(action_log_probs(sighted, one), one)
        np.testing.assert_allclose(found[row, : alone.shape[1]], alone[0], atol=1e-5)
    sample = Sample(trajectories, uniform_floor(trajectories))
    assert compare_with_floor(sighted, sample).score("bayes").nll.value == pytest.approx(np.log(3))


def test_training_curve_is_the_log(smoke_run: Run) -> None:
    curve = training_curve(smoke_run.stage("base"))
    assert curve.steps[-1] == smoke_run.preset.pretrain.steps
    assert list(curve.to_dataframe()["nll"]) == list(curve.nll)
    assert len(curve.figure().to_dict()["data"]) == 1
