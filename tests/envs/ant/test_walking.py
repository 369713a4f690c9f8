"""Practice is a function of its state and of what is drawn; its rewards are those written down."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.envs.ant.gait import COLUMNS, gait_observation, heading, turned_back
from irl_lens.envs.ant.physics import Physics
from irl_lens.envs.ant.practice import GaitPractice
from irl_lens.envs.ant.spec import AntConfig, AntSpec, PhysicsOptions
from irl_lens.envs.ant.walking import LONGEST, SCALE, Rewards, Walking
from irl_lens.envs.practice import Practice, PracticeRows

REWARDS = Rewards(fall=10, upright=0.5, fastest=2)


def walking(rows: int = 6) -> Walking:
    found = Walking(rows, REWARDS, PhysicsOptions(timestep=0.025, substeps=2))
    found.begin(np.random.default_rng(0))
    return found


def actions(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 8)).astype(np.float32)


def test_it_is_practice() -> None:
    practice = GaitPractice(AntSpec(AntConfig()))
    assert isinstance(walking(), PracticeRows) and isinstance(practice, Practice)
    coarse, _, fine = (practice.rows(lesson.name) for lesson in practice.lessons)
    assert coarse.physics.options == PhysicsOptions(timestep=0.025, substeps=2)
    assert fine.physics.options == PhysicsOptions()


def test_going_back_to_a_state_gives_the_same_again() -> None:
    one, other = walking(), walking()
    for step in range(5):
        one.observe()
        one.step(actions(6, step), np.random.default_rng(step))
    state = one.state()
    other.load(state)
    for step in range(5, 12):
        np.testing.assert_array_equal(one.observe(), other.observe())
        came, again = (
            rows.step(actions(6, step), np.random.default_rng(step)) for rows in (one, other)
        )
        np.testing.assert_array_equal(came.rewards, again.rewards)


def test_rewards_are_those_written_down() -> None:
    rows = walking(3)
    qpos, qvel = rows.physics.standing(3)
    qpos[2, 2] = 0.85
    qvel[:, :2] = [[1.0, 0.5], [3.0, 0.0], [0.0, 0.0]]
    qvel[1, 5] = 2.0
    rows.physics.reset(np.arange(3), qpos, qvel)
    rows.command = np.zeros(3)
    torques = np.zeros((3, 8))
    torques[0, :2] = [0.5, 2.0]
    found, figures = rows._rewards(torques, np.zeros(3, bool))
    expected = [1 - 0.25 + 0.2 - 0.05 * 4.25 - 0.02, 2 + 0.2 - 0.05 * 4, 0.2 - 0.4]
    np.testing.assert_allclose(found, SCALE * np.array(expected))
    np.testing.assert_allclose(figures["speed"], [1, 3, 0])
    fell, _ = rows._rewards(torques, np.ones(3, bool))
    np.testing.assert_allclose(fell, -SCALE * REWARDS.fall)


def test_fallen_and_old_rows_begin_anew() -> None:
    rows = walking(3)
    qpos, qvel = rows.physics.standing(3)
    qpos[0, 3:7] = [0, 1, 0, 0]  # on its back
    rows.physics.reset(np.arange(3), qpos, qvel)
    rows.age[:] = [5, LONGEST - 1, 7]
    rows.observe()
    came = rows.step(np.zeros((3, 8), np.float32), np.random.default_rng(0))
    np.testing.assert_array_equal(came.ended, [True, False, False])
    np.testing.assert_array_equal(came.cut, [False, True, False])
    assert came.last.shape == (1, 2, 1 + COLUMNS) and rows.age.tolist() == [0, 0, 8]
    assert came.rewards[0] == -REWARDS.fall * SCALE
    upright = rows.observe()[:, :, 4]
    np.testing.assert_allclose(upright, 1, atol=0.05)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_body_moves_alike_whichever_leg_is_called_the_first(k: int) -> None:
    """The symmetry that the gait relies on is one of the body and its physics."""
    physics = Physics(PhysicsOptions(), 2, threads=1)
    qpos, qvel = physics.standing(2)
    rng = np.random.default_rng(k)
    qpos[:, 7:] += 0.1 * rng.uniform(size=8)
    half = k * np.pi / 4
    qpos[1, 3], qpos[1, 6] = np.cos(half), np.sin(half)
    qpos[1, 7:] = np.roll(qpos[0, 7:].reshape(4, 2), -k, axis=0).ravel()
    physics.reset(np.arange(2), qpos, qvel)
    for _ in range(20):
        seen, turns = gait_observation(physics.qpos, physics.qvel, np.full(2, 0.1))
        np.testing.assert_allclose(seen[0], seen[1], atol=1e-5)
        meant = np.repeat(rng.normal(size=(1, 8)), 2, axis=0)
        physics.step(turned_back(meant, turns))
    np.testing.assert_allclose(physics.qpos[0, :3], physics.qpos[1, :3], atol=1e-6)
    assert np.abs(physics.qvel).max() > 0.1
    turn = np.mod(heading(physics.qpos)[1] - heading(physics.qpos)[0], 2 * np.pi)
    np.testing.assert_allclose(turn, k * np.pi / 2, atol=1e-5)
