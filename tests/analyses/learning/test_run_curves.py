"""Learning curves, and how long a prefix is learned."""

from __future__ import annotations

from math import nan

import pytest

from irl_lens.analyses.learning.run_curves import LearningCurve, LearningResult, learning_curves
from irl_lens.envs.registry import make_world
from irl_lens.runs.run import Run


@pytest.mark.parametrize(
    ("final", "longest"),
    [
        ({}, 0),
        ({2: 0.4, 6: 0.1}, 0),
        ({2: 0.9, 3: 0.5, 4: 0.2, 6: 0.0}, 3),
        ({2: 0.9, 3: 0.8, 4: 0.7, 5: 0.6, 6: 0.5}, 6),
    ],
)
def test_longest_half_is_the_longest_prefix_done_half_the_time(
    final: dict[int, float], longest: int
) -> None:
    assert LearningResult((), final, 6).longest_half == longest


def test_curves_are_the_logs(smoke_run: Run) -> None:
    subgoals = len(make_world(smoke_run.preset.world).heldout_subgoals)
    result = learning_curves(smoke_run, subgoals)
    names = [curve.name for curve in result.curves]
    assert names[0] == "internal RL" and names[-1] == "raw-action RL"
    assert names[1] == "internal RL, first 2 subgoals"
    assert result.curves[0].episodes == (32, 64, 96)
    assert set(result.final) == set(range(2, subgoals + 1))
    assert len(result.to_dataframe()) == 3 * len(names)
    assert len(result.figure().to_dict()["data"]) == 2 * len(names)


def test_checks_by_mean_codes_are_points_beside_the_curve() -> None:
    curve = LearningCurve(
        "internal RL", None, (8, 16, 24), (0.1, 0.2, 0.3), (1, 2, 3), (nan, 0.5, nan)
    )
    result = LearningResult((curve,), {}, 6)
    points = result.figure().to_dict()["data"][-1]
    assert points["name"] == "internal RL, mean codes" and points["mode"] == "markers"
    assert (*points["x"], *points["y"]) == (16, 0.5)
    assert result.to_dataframe()["mean"].dropna().tolist() == [0.5]
