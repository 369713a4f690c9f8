"""A field says at each place what one agent there would do, and what a code leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from irl_lens.analyses.core.label_controllers import decoded
from irl_lens.analyses.rollouts.action_field import action_field
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.registry import SMALL_GRID, make_world
from irl_lens.hooks import Mask
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered


def test_a_planted_code_leads_everywhere_nearer(steered: Steered) -> None:
    world: Any = steered.field.world
    situation = world.situation(seed=1)
    scene = situation.scene()
    alone = action_field(steered.field.base, situation)
    np.testing.assert_allclose(alone[list(scene.standing)], 0.25, atol=1e-6)
    for code, thing in enumerate(scene.things):
        hook = decoded(steered.meta, torch.eye(4)[code])
        field = action_field(steered.field.base, situation, hook=hook)
        x, y = scene.xy(np.array(scene.standing))
        goal = scene.xy(thing.place)
        for place, px, py in zip(scene.standing, x, y, strict=True):
            move = scene.moves[int(field[place].argmax())]
            gone = abs(px + move.dx - goal[0]) + abs(py + move.dy - goal[1])
            nearer = gone < abs(px - goal[0]) + abs(py - goal[1])
            assert nearer or place == thing.place


def test_a_place_s_row_is_what_the_model_says_there(steered: Steered) -> None:
    world: Any = steered.field.world
    situation, base = world.situation(seed=2), steered.field.base
    path = world.places(situation.demonstrate(seed=0).observations)[0]
    hook = decoded(steered.meta, torch.eye(4)[1])
    field = action_field(base, situation, path[:2], hook, temperature=2.0)
    seen = torch.from_numpy(situation.watch(path[None, :3]))
    with hook.attached(base.model):
        expected = (base.logits(seen)[0, -1] / 2).softmax(dim=-1)
    np.testing.assert_allclose(field[path[2]], expected, atol=1e-6)
    # Steps are those of the walk, and one more.
    now = action_field(base, situation, path[:2], Mask(hook, steps=[2]), temperature=2.0)
    past = action_field(base, situation, path[:2], Mask(hook, steps=[0, 1]))
    np.testing.assert_allclose(now, field, atol=1e-6)
    np.testing.assert_allclose(past, np.full_like(past, 0.25), atol=1e-6)


def test_there_is_nothing_where_nobody_stands() -> None:
    world: Any = make_world(SMALL_GRID)
    config = BaseConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16)
    base = FastPath(TrajectoryModel(config, world.observation, world.actions).frozen())
    situation = world.situation(seed=0)
    standing = list(situation.scene().standing)
    field = action_field(base, situation)
    assert np.isnan(field).any(axis=1).sum() == len(field) - len(standing) > 0
    np.testing.assert_allclose(field[standing].sum(axis=1), 1, atol=1e-5)
