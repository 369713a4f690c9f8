"""Ants of which nothing is asked: what they reach, and what ends their episodes."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.envs.ant.arena import OUTSIDE
from irl_lens.envs.ant.expert import Expert
from irl_lens.envs.ant.rules import End
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.taskless import Roaming
from irl_lens.envs.ant.world import AntWorld
from irl_lens.envs.contracts import Roamable
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.protocol import VectorWorld

ROWS = 24


def walked(world: AntWorld, goals: np.ndarray, subgoals: int) -> Roaming:
    """Lets the expert walk to colours that nothing asks it for, as far as it gets."""
    roaming = world.roaming(len(goals), subgoals)
    seen, _ = roaming.reset(seed=3)
    state = roaming._episodes.state
    layouts = Layouts(state.objects, state.start)
    expert = Expert.of(world.arena, world.board, layouts, world.gait)
    over = np.zeros(len(goals), bool)
    while not over.all():
        count = np.minimum((roaming.reached >= 0).sum(axis=1), subgoals - 1)
        after = goals[np.arange(len(goals)), count]
        seen, _, terminated, truncated, _ = roaming.step(expert.means(seen, after))
        over = terminated | truncated
    return roaming


@pytest.fixture(scope="module")
def world() -> AntWorld:
    return AntWorld(AntConfig(size=3, horizon=160))


@pytest.fixture(scope="module")
def roaming(world: AntWorld) -> Roaming:
    goals = np.random.default_rng(0).permuted(np.tile(np.arange(4), (ROWS, 1)), axis=1)[:, :2]
    return walked(world, goals, 2)


def test_the_ant_s_world_is_one_to_roam_in(world: AntWorld, roaming: Roaming) -> None:
    assert isinstance(world, Roamable) and isinstance(roaming, VectorWorld)
    assert (0, 2) in world.transitions and (0, 1) not in world.transitions


def test_who_walks_to_colours_is_said_to_have_reached_them(roaming: Roaming) -> None:
    goals = np.random.default_rng(0).permuted(np.tile(np.arange(4), (ROWS, 1)), axis=1)[:, :2]
    found = roaming.reached[:, 0] >= 0
    assert found.mean() > 0.5
    # On the way to one colour another may be entered, which is then what was reached.
    assert (roaming.reached[found, 0] == goals[found, 0]).mean() > 0.7
    both = roaming.reached[:, 1] >= 0
    assert both.any() and (roaming.at[both, 1] > roaming.at[both, 0]).all()
    np.testing.assert_array_equal(roaming.at[both, 1], roaming.lengths[both])
    np.testing.assert_array_equal(both, roaming._episodes.state.end == End.SUCCESS)


def test_what_is_said_to_be_reached_is_what_the_path_enters(roaming: Roaming) -> None:
    colours = roaming._episodes.state.objects[:, :4]
    for row, (path, reached, at) in enumerate(
        zip(roaming.path, roaming.reached, roaming.at, strict=True)
    ):
        entered = np.append(False, path[1:] != path[:-1]) & np.isin(path, colours[row])
        steps = np.flatnonzero(entered)[:2]
        assert steps.tolist() == at[at >= 0].tolist()
        assert path[steps].tolist() == colours[row, reached[reached >= 0]].tolist()


def test_the_trail_is_where_the_path_says(roaming: Roaming) -> None:
    path, trail, lengths = roaming.path, roaming.trail, roaming.lengths
    assert path.shape == trail.shape[:2]
    there = np.isfinite(trail).all(axis=2)
    np.testing.assert_array_equal(there.sum(axis=1), lengths + 1)
    inside = path >= 0
    column, row = np.rint(trail[inside]).astype(int).T
    np.testing.assert_array_equal(row * 3 + column, path[inside])
    left = roaming._episodes.state.end == End.LEFT
    assert ((there & ~inside).sum(axis=1) == left).all()


def test_walls_falls_and_time_end_an_episode() -> None:
    """Ants that walk straight ahead, and some that do not walk at all."""
    world = AntWorld(AntConfig(size=3, walls=3, horizon=60))
    roaming = world.roaming(64)
    roaming.reset(seed=1)
    way, physics = np.random.default_rng(2).uniform(-3, 3, 64), roaming._episodes.physics
    for _ in range(world.horizon):
        torques = world.gait.torques(physics.qpos, physics.qvel, way)
        torques[:4] = 0
        _, _, terminated, truncated, info = roaming.step(torques)
    end = roaming._episodes.state.end
    assert {End.TIME, End.WALL, End.SUCCESS, End.LEFT} <= set(end.tolist())
    np.testing.assert_array_equal(terminated, end == End.SUCCESS)
    np.testing.assert_array_equal(truncated, end != End.SUCCESS)
    walled, walls = end == End.WALL, roaming._episodes.state.objects[:, 4:]
    last = roaming.path[np.arange(64), roaming.lengths]
    np.testing.assert_array_equal(walled, (last[:, None] == walls).any(axis=1))
    assert (info["subgoal"] == (roaming.reached >= 0).sum(axis=1)).all()
    assert (last[end != End.LEFT] != OUTSIDE).all()


def test_colours_of_no_subgoal_lead_astray() -> None:
    """The grid's grammar has subgoals of two colours each: not any two."""
    world = AntWorld(AntConfig(size=4, colours=8, grammar="paper-grid", horizon=160))
    first = np.array([colours[0] for colours in world.grammar.subgoals])
    goals = np.tile([first[0]], (8, 1))
    roaming = walked(world, goals, 1)
    assert End.WRONG_COLOUR in roaming._episodes.state.end.tolist()
    assert (roaming.reached == -1).mean() > 0.5
