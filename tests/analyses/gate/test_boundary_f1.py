"""The gate's scores in cases where they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.gate.boundary_f1 import gate_against_boundaries, score_gate
from irl_lens.analyses.gate.event_scores import circular_shift
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.trace import MetaTrace

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter


@pytest.fixture
def planted(plant: Planter) -> Trajectories:
    return plant(400, 0, True)


def test_switches_on_all_boundaries_and_nowhere_else_score_one(planted: Trajectories) -> None:
    mask, boundaries = planted.mask, planted.boundaries()
    switches = boundaries.copy()
    switches[:, 0] = True
    scores = score_gate(switches, boundaries, mask)
    assert scores.precision.value == scores.recall.value == scores.f1.value == 1
    assert scores.f1.low == scores.f1.high == 1
    assert scores.f1_null.high < 0.3
    assert scores.switch_rate == scores.boundary_rate


def test_random_switches_score_about_their_null(planted: Trajectories) -> None:
    mask, boundaries = planted.mask, planted.boundaries()
    rng = np.random.default_rng(0)
    scores = score_gate(rng.random(mask.shape) < 0.2, boundaries, mask)
    assert scores.f1.low < scores.f1_null.value < scores.f1.high
    assert scores.f1_null.low <= scores.f1_null.value <= scores.f1_null.high


def test_one_step_late_scores_nothing(planted: Trajectories) -> None:
    mask, boundaries = planted.mask, planted.boundaries()
    late = np.zeros_like(boundaries)
    late[:, 1:] = boundaries[:, :-1]
    assert score_gate(late, boundaries, mask).f1.value == 0


def test_a_silent_gate_scores_zero_and_has_no_precision(planted: Trajectories) -> None:
    mask, boundaries = planted.mask, planted.boundaries()
    scores = score_gate(np.zeros_like(mask), boundaries, mask)
    assert scores.f1.value == 0 and np.isnan(scores.precision.value)


def test_shift_keeps_number_and_first_step_and_moves_all_others(planted: Trajectories) -> None:
    mask = planted.mask
    rng = np.random.default_rng(0)
    marks = np.zeros_like(mask)
    marks[:, [0, 3]] = True
    moved = circular_shift(marks, mask, rng)
    assert moved[:, 0].all() and not moved[~mask].any() and not moved[:, 3].any()
    assert (moved.sum(axis=1) == 2).all()
    # Episodes have 6 to 15 steps: whatever the place, some episode's mark went there.
    reached = set((np.nonzero(moved[:, 1:])[1] + 1).tolist())
    assert reached >= {1, 2, 4, 5, 6, 7, 8} and max(reached) < 15


@pytest.mark.parametrize("length", [1, 2])
def test_shortest_episodes_are_no_trouble(length: int) -> None:
    mask = np.arange(4) < np.full((3, 1), length)
    moved = circular_shift(mask, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(moved, mask)


def test_raster_leaves_first_steps_out(planted: Trajectories) -> None:
    mask, boundaries = planted.mask, planted.boundaries()
    beta = np.where(boundaries, 0.9, 0.1).astype(np.float32)
    beta[:, 0] = 1
    blank = np.zeros((*mask.shape, 2), np.float32)
    trace = MetaTrace(blank, beta, blank, blank, blank, mask)
    result = gate_against_boundaries(trace, planted, ("a", "b", "c", "d"), episodes=5)
    assert result.scores.f1.value == 1
    np.testing.assert_array_equal(result.raster.switches, result.raster.boundaries)
    assert len(result.raster.beta) == 5
    assert set(result.to_dataframe()["score"]) == set(vars(result.scores))
    assert len(result.figure().to_dict()["data"]) == 1 + 4 + 3
