"""Planted codes: the nearest centroid gives what was planted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.codes.identity import class_means, codes_at_switches, nearest
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.trace import MetaTrace
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter

SUBGOALS = LATENT = 4


def _trace(trajectories: Trajectories, separation: float, seed: int) -> MetaTrace:
    """Codes around one centre a subgoal, a gate that opens at every boundary."""
    rng = np.random.default_rng(seed)
    centres = separation * np.eye(SUBGOALS, LATENT)
    z = centres[trajectories.subgoals] + 0.1 * rng.normal(size=(*trajectories.mask.shape, LATENT))
    z = z.astype(np.float32)
    beta = trajectories.boundaries().astype(np.float32)
    beta[:, 0] = 1
    return MetaTrace(z, beta, z, z, z, trajectories.mask)


@pytest.mark.parametrize(("separation", "low", "high"), [(1.0, 0.99, 1.0), (0.0, 0.15, 0.35)])
def test_identity_is_what_was_planted(
    smoke_run: Run, plant: Planter, separation: float, low: float, high: float
) -> None:
    bench, meta = LoadedRun(smoke_run), smoke_run.metacontroller
    fit, test = (plant(200, seed, True) for seed in (0, 1))
    result = codes_at_switches(
        (_trace(fit, separation, 2), fit),
        (_trace(test, separation, 3), test),
        ("a", "b", "c", "d"),
        bench.base,
        meta,
        bench.trial,
    )
    assert low <= result.identity.value <= high
    assert low <= result.identity_later.value <= high
    assert 0.2 < result.chance < 0.35
    np.testing.assert_allclose(result.confusion.sum(axis=1), 1)
    if separation:
        np.testing.assert_allclose(result.centroids, np.eye(SUBGOALS, LATENT), atol=0.05)
    assert list(result.to_dataframe()["subgoal"]) == ["a", "b", "c", "d"]
    assert len(result.figure().to_dict()["data"]) == 2 * SUBGOALS


def test_a_class_without_members_is_never_guessed() -> None:
    codes = np.array([[0.0, 0], [1, 1], [1, 3]])
    means = class_means(codes, np.array([0, 2, 2]), 3)
    np.testing.assert_array_equal(means, [[0, 0], [np.nan, np.nan], [1, 2]])
    np.testing.assert_array_equal(nearest(codes, means), [0, 2, 2])
