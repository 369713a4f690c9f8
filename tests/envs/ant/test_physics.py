"""Bodies: the same bits however they are batched, symmetric, and never put back unasked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from irl_lens.envs.ant.physics import JOINTS, Physics, make_model
from irl_lens.envs.ant.spec import PhysicsOptions

ROWS = np.arange(6)


def begun(rows: int, threads: int = 1, options: PhysicsOptions | None = None) -> Physics:
    physics = Physics(options or PhysicsOptions(), rows, threads)
    qpos, qvel = physics.standing(rows)
    physics.reset(np.arange(rows), qpos, qvel)
    return physics


def torques(steps: int, rows: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, rows, JOINTS))


def walked(physics: Physics, given: np.ndarray) -> np.ndarray:
    for now in given:
        assert not physics.step(now).any()
    return np.hstack([physics.qpos, physics.qvel])


@pytest.mark.parametrize("threads", [2, 4])
def test_any_number_of_threads_and_rows_gives_the_same_bits(threads: int) -> None:
    given = torques(40, 6)
    expected = walked(begun(6), given)
    np.testing.assert_array_equal(walked(begun(6, threads), given), expected)
    for row in (0, 5):
        alone = walked(begun(1), given[:, row : row + 1])
        np.testing.assert_array_equal(alone[0], expected[row])


def test_rows_that_are_not_stepped_stay_and_saved_ones_go_on_elsewhere() -> None:
    given = torques(30, 6)
    physics = begun(6)
    walked(physics, given[:10])
    saved, before = physics.save(ROWS), physics.qpos.copy()
    expected = walked(physics, given[10:])
    other = begun(3)
    other.load(np.array([0, 2]), saved[[4, 1]])
    for now in given[10:]:
        other.step(now[[4, 1]], np.array([0, 2]))
    np.testing.assert_array_equal(other.qpos[[0, 2]], expected[[4, 1], :15])
    np.testing.assert_array_equal(other.qpos[1], begun(1).qpos[0])
    assert not np.array_equal(before, physics.qpos)


def test_a_reset_leaves_nothing_of_what_was_before() -> None:
    given, physics = torques(20, 6), begun(6)
    expected = walked(physics, given)
    physics.reset(ROWS, *physics.standing(6))
    np.testing.assert_array_equal(walked(physics, given), expected)


def test_a_quarter_turn_of_body_and_torques_is_a_quarter_turn_of_the_walk() -> None:
    given, physics = torques(5, 1), begun(2)
    qpos, _ = physics.standing(1)
    qpos[0, 3], qpos[0, 6] = np.cos(-np.pi / 4), np.sin(-np.pi / 4)  # turned back by one leg
    physics.reset(np.array([1]), qpos, np.zeros((1, 14)))
    for now in given:
        turned = np.roll(now.reshape(1, 4, 2), 1, axis=1).reshape(1, 8)
        physics.step(np.vstack([now, turned]))
    np.testing.assert_allclose(physics.qpos[1, :3], physics.qpos[0, :3], atol=1e-9)
    legs = physics.qpos[:, 7:].reshape(2, 4, 2)
    np.testing.assert_allclose(np.roll(legs[1], -1, axis=0), legs[0], atol=1e-9)


def test_what_diverges_is_told_and_stays_out_of_the_arena_s_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    physics = begun(6, threads=2)
    qpos, qvel = physics.standing(6)
    qpos[:, :2], qvel[1, 0], qvel[2], qvel[3, 7] = 2, 5e9, np.nan, 1e6
    physics.reset(ROWS, qpos, qvel)
    diverged = physics.step(np.zeros((6, JOINTS)))
    assert diverged.tolist() == [False, True, True, True, False, False]
    np.testing.assert_allclose(physics.qpos[[0, 4, 5], :2], 2, atol=0.01)
    with np.errstate(invalid="ignore"):
        assert not (np.abs(physics.qpos[1:4, :2]).max(axis=1) < 0.1).any()
    assert os.listdir(tmp_path) == [] and capfd.readouterr().err == ""


def test_options_are_those_of_the_simulation() -> None:
    model = make_model(PhysicsOptions("rk4", 0.02, 2, 75.0))
    assert model.opt.timestep == 0.02 and (model.actuator_gear[:, 0] == 75).all()
    assert model.opt.integrator == 1  # MuJoCo's number for RK4
    walks = [
        walked(begun(1, 1, PhysicsOptions(integrator)), torques(20, 1))[0]
        for integrator in ("euler", "implicitfast", "rk4")
    ]
    assert not np.allclose(walks[0], walks[2], atol=1e-6)
