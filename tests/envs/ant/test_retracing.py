"""A walk taken again is the walk, to the bit; in another arena only what is seen of it differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_lens.envs.ant.retracing import bodies
from irl_lens.envs.ant.situation import AntSituation
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.envs.contracts import Retraceable
from irl_lens.envs.scenes import Traceable
from irl_lens.envs.trajectories import Trajectories


@pytest.fixture(scope="module")
def world() -> AntWorld:
    return AntWorld(AntConfig())


@pytest.fixture(scope="module")
def situation(world: AntWorld) -> AntSituation:
    return world.situation(seed=0)


@pytest.fixture(scope="module")
def shown(situation: AntSituation) -> Trajectories:
    return situation.demonstrate(seed=0)


def again(world: AntWorld, situation: AntSituation, shown: Trajectories) -> Trajectories:
    return situation.retraced(world.places(shown.observations[0]), shown.actions[0])


def test_the_expert_s_walk_is_retraced_to_the_bit(world, situation, shown) -> None:
    assert all(isinstance(x, c) for x, c in ((world, Retraceable), (situation, Traceable)))
    found = again(world, situation, shown)
    assert (found.observations == shown.observations).all()
    assert (found.actions == shown.actions).all()
    assert (found.require("progress") == shown.require("progress")).all()
    made = found.require("progress") < found.require("progress").max()
    assert (found.require("visits")[made] == shown.require("visits")[made]).all()
    assert (found.require("visits")[~made] == -1).all()


def test_the_filter_believes_of_it_what_it_does_of_the_walk(world, situation, shown) -> None:
    one, other = world.floor(shown), world.floor(again(world, situation, shown))
    np.testing.assert_array_equal(one.require("subgoals"), other.require("subgoals"))


def test_the_body_is_the_same_wherever_things_lie(world, situation, shown) -> None:
    moved = situation.swapped("colour0", "wall0")
    both = [again(world, s, shown).observations[0] for s in (situation, moved)]
    names = world.observation.column_names
    differs = {names[i] for i in np.flatnonzero((both[0] != both[1]).any(axis=0))}
    placed = {f"{name}_{part}" for name in ("0", "wall0") for part in ("x", "y", "cell")}
    assert {name for name in differs if not name.startswith(("way", "near", "on"))} == placed
    assert {"way0_x", "way0_y", "near0"} <= differs  # and of others, where it was in the way


def test_rows_that_roam_are_seen_in_another_arena(world, situation, shown) -> None:
    env, moved = situation.roaming(2), situation.swapped("colour1", "wall0")
    seen, _ = env.reset(seed=0)
    for step in range(20):
        assert (world.seen_in(situation, env) == seen).all()
        walk = moved.retraced(np.zeros(step + 1, int), shown.actions[0, : step + 1])
        assert (world.seen_in(moved, env) == walk.observations[0, -1]).all()
        seen, *_ = env.step(np.tile(shown.actions[0, step], (2, 1)))


def test_a_body_that_diverges_stays_where_it_was(world, situation) -> None:
    fast = replace(world.settings.physics, timestep=0.05, gear=1e4)
    torques = np.random.default_rng(0).uniform(-1, 1, (60, 8))
    qpos, qvel = bodies(fast, situation.body, torques)
    assert np.isfinite(qpos).all() and np.isfinite(qvel).all()
    assert (qpos[-1] == qpos[-2]).all() and (qvel[-1] == qvel[-2]).all()


def test_a_walk_off_the_map_is_retraced_too() -> None:
    world = AntWorld(AntConfig(edge="open", cell=1.0))
    situation = world.situation(seed=0)
    env, taken = situation.roaming(1, 16), []
    env.reset(seed=0)
    for _ in range(60):
        taken.append(world.gait.torques(*env.bodies, np.array([np.pi / 2]))[0])
        env.step(taken[-1][None])
    walk = env.path[0, :60]
    assert set(walk.tolist()) == {situation.cells[-1], -1}
    found = situation.retraced(walk, np.array(taken))
    assert (world.places(found.observations[0]) == walk).all()
    assert world.floor(found).require("subgoals")[0, -1].sum() == pytest.approx(1)
