"""Where ants go that are put down anywhere, and what a controller adds to their torques."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from irl_lens.analyses.figures.board_traces import needles, threads
from irl_lens.analyses.rollouts.velocity_field import action_changes, lattice, velocity_field
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.hooks import VectorController
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

HOOK = "blocks.1.hook_resid_post"


@pytest.fixture(scope="module")
def world() -> AntWorld:
    return AntWorld(AntConfig(size=3, horizon=300))


@pytest.fixture(scope="module")
def shown(world: AntWorld):
    return world.demonstrate(1, seed=2)


@pytest.fixture(scope="module")
def situation(world: AntWorld, shown):
    return world.situations(shown)[0]


@pytest.fixture(scope="module")
def base(world: AntWorld) -> FastPath:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16)
        return FastPath(TrajectoryModel(config, world.observation, world.actions).frozen())


def vector(size: float) -> VectorController:
    return VectorController(size * torch.linspace(-1, 1, 16), HOOK)


def test_points_are_evenly_apart_and_nothing_lies_there(situation) -> None:
    scene = situation.scene()
    points = lattice(scene)
    free = scene.places - len(scene.things)
    assert len(points) == 4 * free == len({tuple(point) for point in points.tolist()})
    assert set(np.unique(points * 4).tolist()) <= {-1.0, 1.0, 3.0, 5.0, 7.0, 9.0}
    places = np.round(points).astype(int) @ [1, scene.width]
    assert not {thing.place for thing in scene.things} & set(places.tolist())


def test_velocities_are_those_of_ants_put_down_there(base, situation) -> None:
    points = lattice(situation.scene())[:2]
    found = velocity_field(base, situation, points, steps=6, seed=3)
    assert found.shape == (2, 2) and 0 < np.abs(found).max() < 0.2
    np.testing.assert_array_equal(found, velocity_field(base, situation, points, None, 6, seed=3))
    np.testing.assert_array_equal(
        found, velocity_field(base, situation, points, vector(0.0), 6, seed=3)
    )
    other = velocity_field(base, situation, points, vector(4.0), 6, seed=3)
    assert (np.abs(other - found) > 1e-5).any()


def test_changes_of_actions_are_those_of_the_means(base, shown) -> None:
    assert not action_changes(base, shown, vector(0.0)).any()
    found = action_changes(base, shown, vector(2.0))
    seen = torch.from_numpy(shown.observations[:, :5])
    with torch.no_grad():
        without = base.action_head.mode(base.logits(seen))
        with vector(2.0).attached(base.model):
            with_it = base.action_head.mode(base.logits(seen))
    early = shown.mask & (np.arange(shown.mask.shape[1]) < 5)
    five = action_changes(base, replace(shown, mask=early), vector(2.0))
    wanted = (with_it - without).square().mean(dim=(0, 1)).sqrt()
    np.testing.assert_allclose(five, wanted, rtol=1e-4)
    assert found.shape == (8,) and (found > 0).all()


def test_arrows_are_as_long_as_velocities_and_paths_end_in_dots() -> None:
    points, vectors = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[0.3, 0.4], [0.0, 0.0]])
    arrows: Any = needles(points, vectors, 2.0)
    x, y = np.array(arrows.x), np.array(arrows.y)
    assert len(x) == 10 and np.isnan(x[[4, 9]]).all()
    assert (x[1], y[1]) == pytest.approx((0.6, 0.8)) and (x[6], y[6]) == (1.0, 1.0)
    assert np.hypot(x[0], y[0]) == pytest.approx(np.hypot(x[2], y[2]))
    trails = np.array([[[0, 0], [1, 0], [np.nan] * 2], [[2, 2], [2, 1], [2, 0]]])
    lines: Any = threads(trails)
    np.testing.assert_array_equal(lines.x, [0, 1, np.nan, 2, 2, 2, np.nan])
    assert np.flatnonzero(lines.marker.size).tolist() == [1, 5]
    none: Any = threads(np.zeros((0, 3, 2)))
    assert len(none.x) == 0
