"""Ants' episodes: how they begin, what a fork carries along, and what ends them first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from irl_lens.envs.ant.env import AntPinpadEnv
from irl_lens.envs.ant.episodes import SHAKEN
from irl_lens.envs.ant.physics import Physics
from irl_lens.envs.ant.rules import End, content
from irl_lens.envs.ant.spec import AntConfig, PhysicsOptions
from irl_lens.envs.ant.vector_env import AntPinpadVectorEnv, rows_of
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.errors import UserError

ROWS = 400


def test_a_start_is_anywhere_near_its_cell_s_middle_in_any_direction_and_shaken() -> None:
    env = rows_of(AntConfig(), ROWS)
    seen, _ = env.reset(seed=0)
    state, physics, arena = env._episodes.state, env._episodes.physics, env._episodes.world.arena
    np.testing.assert_array_equal(env._episodes.cells, state.start)
    assert not (state.objects == state.start[:, None]).any()
    around = (physics.qpos[:, :2] - arena.centres[state.start]) / arena.side
    turns = 2 * np.arctan2(physics.qpos[:, 6], physics.qpos[:, 3])
    rest = physics.standing(ROWS)[0]
    for drawn, limit in (
        (around, AntConfig().spread),
        (turns[:, None], np.pi),
        (physics.qpos[:, 7:] - rest[:, 7:], SHAKEN),
        (physics.qvel, SHAKEN),
    ):  # uniform between -limit and limit, each column on its own
        assert (np.abs(drawn) <= limit + 1e-12).all()
        assert (np.abs(drawn).max(axis=0) > 0.97 * limit).all()
        assert (np.abs(drawn.mean(axis=0)) < 0.2 * limit).all()
        correlations = np.corrcoef(drawn.T).reshape(drawn.shape[1], -1) - np.eye(drawn.shape[1])
        assert (np.abs(correlations) < 0.25).all()
    np.testing.assert_array_equal(physics.qpos[:, 2], rest[:, 2])
    assert len(np.unique(seen, axis=0)) == ROWS


def test_a_fork_carries_the_arena_along() -> None:
    env, other = (AntPinpadVectorEnv(8, "Disabled", threads=1) for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=100)
    other.set_state(env.get_state())
    episodes, state = other._episodes, env._episodes.state
    expected = content(episodes.board, Layouts(state.objects, state.start))
    np.testing.assert_array_equal(episodes._there, expected)


def test_a_fork_goes_on_to_the_bit_with_rows_that_are_over_and_rows_that_are_not() -> None:
    rng = np.random.default_rng(2)
    given = 0.3 * rng.uniform(-1, 1, (60, 12, 8))
    env, other = (AntPinpadVectorEnv(12, "Disabled", threads=t) for t in (1, 2))
    env.reset(seed=4)
    env._episodes.physics.qpos[:4, 2] = 1.5  # these fall at the first step
    for now in given[:30]:
        env.step(now)
    assert env._episodes.done[:4].all() and not env._episodes.done[4:].all()
    state = env.get_state()
    other.reset(seed=0)
    other.set_state(state)
    for now in given[30:]:
        expected, own = env.step(now), other.step(now)
        for one, two in zip(expected[:4], own[:4], strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(expected[4]["end"], own[4]["end"])


def test_what_has_diverged_stays_where_it_was() -> None:
    env = AntPinpadVectorEnv(2, "Disabled", threads=1)
    env.reset(seed=0)
    env._episodes.physics.qvel[0, 0] = 5e9
    before, cell = env._episodes.physics.qpos.copy(), env._episodes.cells.copy()
    *_, info = env.step(np.zeros((2, 8)))
    assert info["end"].tolist() == [End.DIVERGED, End.NOT_YET] and info["progress"][0] == 0
    np.testing.assert_array_equal(env._episodes.physics.qpos[0], before[0])
    assert np.abs(before[0, :2]).max() > 0.1 and env._episodes.cells[0] == cell[0]
    assert env.step(np.zeros((2, 8)))[4]["end"][0] == End.DIVERGED and env.diverged == 1


@pytest.mark.parametrize("horizon", [1, 2])
def test_a_last_visit_on_the_last_step_is_in_time(horizon: int) -> None:
    options: dict[str, Any] = {"task": (0,), "prefix": 1, "horizon": horizon}
    env = AntPinpadVectorEnv(1, "Disabled", **options)
    env.reset(seed=3)
    episodes = env._episodes
    arena, goal = episodes.world.arena, episodes.state.objects[0, 0]
    inwards = -np.sign(arena.centres[goal][0])
    for _ in range(horizon - 1):
        env.step(np.zeros((1, 8)))
    episodes.physics.qpos[0, :2] = arena.centres[goal] + [inwards * (arena.side / 2 + 0.01), 0]
    episodes.physics.qvel[0] = 0
    episodes.physics.qvel[0, 0] = -2 * inwards
    _, reward, terminated, truncated, info = env.step(np.zeros((1, 8)))
    assert (reward[0], terminated[0], truncated[0]) == (1, True, False)
    assert info["end"][0] == End.SUCCESS


def test_outside_an_open_arena_there_is_nothing_to_visit() -> None:
    env = AntPinpadVectorEnv(1, "Disabled", edge="open")
    env.reset(seed=0)
    episodes = env._episodes
    corner = np.array([15, 0, 1, 2, 3])  # colour 0 on the last cell, which index -1 would be
    episodes.state.objects[0] = corner
    episodes._there = content(episodes.board, Layouts(corner[None], np.array([8])))
    episodes.physics.qpos[0, :2] = (-2.99, -0.75)
    episodes.physics.qvel[0] = 0
    episodes.physics.qvel[0, 0] = -2
    *_, info = env.step(np.zeros((1, 8)))
    assert episodes.cells[0] == -1
    assert info["end"][0] == End.NOT_YET and info["progress"][0] == 0


def test_a_reset_leaves_no_trace_in_contacts_either() -> None:
    given = np.random.default_rng(0).uniform(-1, 1, (60, 1, 8))
    fresh, used = (Physics(PhysicsOptions(), 1, 1) for _ in range(2))
    qpos, qvel = fresh.standing(1)
    used.reset(np.array([0]), qpos, qvel)
    for now in given:
        used.step(now)
    qpos[:, 2] = 0.5  # in contact from the start: the solver starts from what it last found
    for physics in (fresh, used):
        physics.reset(np.array([0]), qpos, qvel)
        for now in given[:20]:
            physics.step(now)
    np.testing.assert_array_equal(fresh.qpos, used.qpos)


def test_a_picture_shows_which_cell_has_which_colour() -> None:
    env = AntPinpadEnv(render_mode="rgb_array")
    env.reset(seed=0)
    try:
        before = env.render()
    except UserError as error:
        pytest.skip(f"no OpenGL here: {error}")
    objects = env._episodes.state.objects
    objects[0, :2] = objects[0, 1::-1].copy()  # two colours change places
    after = env.render()
    env.close()
    assert before is not None and after is not None
    changed = (before != after).any(axis=2).mean()
    assert 0.01 < changed < 2.5 / 16  # two cells of sixteen, and what is around the arena
