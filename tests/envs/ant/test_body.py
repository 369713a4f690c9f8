"""A body read back from an observation is the body that was observed."""

from __future__ import annotations

import numpy as np

from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.body import body_of
from irl_lens.envs.ant.columns import observe

ARENA = Arena(4, 1.5)


def test_observing_and_reading_back_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    n = 500
    qpos, qvel = rng.normal(size=(n, 15)), 5 * rng.normal(size=(n, 14))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    upright = 1 - 2 * (qpos[:, 4] ** 2 + qpos[:, 5] ** 2) > 0.05
    qpos, qvel = qpos[upright], qvel[upright]
    seen = observe(ARENA, np.tile(np.arange(5), (len(qpos), 1)), qpos, qvel)
    again, moving = body_of(ARENA, 5, seen)
    same = np.sign((qpos[:, 3:7] * again[:, 3:7]).sum(axis=1))  # q and -q are one rotation
    again[:, 3:7] *= same[:, None]
    np.testing.assert_allclose(again, qpos, atol=2e-5)
    np.testing.assert_allclose(moving, qvel, atol=2e-5)
    assert len(qpos) > 100
