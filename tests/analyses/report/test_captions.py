"""Captions say what the numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.gate.boundary_f1 import GateResult, Raster, score_gate
from irl_lens.analyses.learning.run_curves import LearningResult
from irl_lens.analyses.learning.success import HeldOutSuccess
from irl_lens.analyses.stats.estimates import proportion


@pytest.mark.parametrize(
    ("final", "said"),
    [
        ({2: 0.4, 6: 0.1}, "No prefix of two or more"),
        ({2: 0.9, 3: 0.2, 6: 0.1}, "first 2 of the 6 subgoals are completed"),
        ({2: 0.9, 6: 0.5}, "completes all 6 subgoals"),
    ],
)
def test_how_far_internal_rl_came(final: dict[int, float], said: str) -> None:
    tenth = proportion(np.arange(100) < 10)
    outcome = Outcome(tenth, tenth, tenth, tenth)
    caption = LearningResult((), final, 6, HeldOutSuccess(outcome)).caption()
    assert said in caption and "success 10.0 %" in caption
    assert "raw-action" not in caption


@pytest.mark.parametrize(("rate", "said"), [(0.0, ": above the"), (1.0, "not above the")])
def test_a_gate_no_better_than_its_null_is_said_to_be(rate: float, said: str) -> None:
    rng = np.random.default_rng(0)
    boundaries, mask = rng.random((200, 20)) < 0.1, np.ones((200, 20), bool)
    # The true boundaries, or as many anywhere.
    switches = np.where(rng.random((200, 1)) < rate, rng.random((200, 20)) < 0.1, boundaries)
    none = np.zeros((0, 0))
    blank = Raster(none.astype(int), none.astype(np.float32), none > 0, none > 0)
    assert said in GateResult(score_gate(switches, boundaries, mask), blank, ()).caption()
