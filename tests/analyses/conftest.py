"""Planted cases: demonstrations whose observations say, or do not say, what is looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from irl_lens.config import BaseConfig
from irl_lens.envs.protocol import Floor, ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

SUBGOALS, ACTIONS = 4, 3
Planter = Callable[[int, int, bool], Trajectories]


def _planted(n: int, seed: int, told: bool = True) -> Trajectories:
    """Random subgoals in runs of 4 steps; ``told`` puts them in the observation."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 16, size=n)
    mask = np.arange(16) < lengths[:, None]
    subgoals = np.repeat(rng.integers(SUBGOALS, size=(n, 4)), 4, axis=1)
    seen = subgoals if told else rng.integers(SUBGOALS, size=subgoals.shape)
    blank: dict[str, Any] = {"progress": np.zeros_like(subgoals), "layouts": _NoLayouts()}
    return Trajectories(
        observations=np.where(mask, seen, 0)[..., None].astype(np.int32),
        actions=np.where(mask, rng.integers(ACTIONS, size=subgoals.shape), 0),
        policy=np.full((*mask.shape, ACTIONS), 1 / ACTIONS, np.float32),
        mask=mask,
        subgoals=np.where(mask, subgoals, -1),
        visits=np.where(mask, subgoals, -1),
        tasks=np.zeros(n, np.int64),
        **blank,
    )


class _NoLayouts:
    def rows(self, index: object) -> _NoLayouts:
        return self


def _uniform_floor(trajectories: Trajectories) -> Floor:
    """A filter that knows the subgoal and nothing of the action."""
    actions = np.full((*trajectories.mask.shape, ACTIONS), 1 / ACTIONS)
    certain = np.eye(SUBGOALS)[trajectories.subgoals] * trajectories.mask[..., None]
    return Floor(actions, actions, certain, certain, certain)


@pytest.fixture(scope="session")
def sighted() -> FastPath:
    """An untrained base that sees one of four signs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16)
        spec = ObservationSpec(("sign",), (SUBGOALS,), (0,))
        return FastPath(TrajectoryModel(config, spec, ACTIONS).frozen())


@pytest.fixture(scope="session")
def plant() -> Planter:
    """Random subgoals in runs of 4 steps; with ``told`` they are in the observation."""
    return _planted


@pytest.fixture(scope="session")
def uniform_floor() -> Callable[[Trajectories], Floor]:
    """Makes a filter that knows the subgoal and nothing of the action."""
    return _uniform_floor
