"""Paths of agents that nothing is asked of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from irl_lens.analyses.rollouts.patched_actor import HeldCode
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import PinpadConfig
from irl_lens.errors import UserError
from irl_lens.rl.runner import RolloutRunner

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered


def test_the_world_calls_success_what_roaming_calls_reached_first() -> None:
    """Colours 0 then 1 are subgoal A of the paper's grid: random walks agree on both."""
    world = PinpadWorld(PinpadConfig(size=4, walls=1))
    free, asked = world.roaming(400), world.vector_env(400, task=(0,), solvable=False)
    free.reset(seed=0)
    asked.reset(seed=0)
    state = asked.get_state()
    layouts = free._layouts
    state["episodes"].objects, state["episodes"].start = layouts.objects, layouts.start
    state["episodes"].cell = layouts.start.copy()
    asked.set_state(state)
    rng, won = np.random.default_rng(1), np.zeros(400, bool)
    for _ in range(world.horizon):
        actions = rng.integers(4, size=400)
        free.step(actions)
        won |= asked.step(actions)[1] > 0
    course = Course.of(free)
    assert 0 < won.sum() < 200
    np.testing.assert_array_equal(course.reached[:, 0] == 0, won)
    assert set(course.reached[:, 0].tolist()) == {-1, 0, 1, 2, 3}
    found = course.reached[:, 0] >= 0
    np.testing.assert_array_equal(course.at[found, 0], course.lengths[found])
    assert (course.at[~found] == -1).all()
    np.testing.assert_array_equal((course.path >= 0).sum(axis=1), course.lengths + 1)


def test_occupancy_is_a_share_of_later_steps(steered: Steered) -> None:
    course = steered.field.roam()
    since = np.full(300, 3)
    shares, over = course.occupancy(since), course.lengths <= 3
    assert 0 < over.sum() < 300 and np.isnan(shares[over]).all()
    np.testing.assert_allclose(shares[~over].sum(axis=1), 1)
    row = int(np.flatnonzero(~over)[0])
    seen = course.path[row, 4 : course.lengths[row] + 1]
    assert set(np.flatnonzero(shares[row])) == set(seen.tolist())


def test_held_codes_lead_where_they_are_known_to_and_only_from_their_step(
    steered: Steered,
) -> None:
    codes = torch.eye(4)[torch.arange(300) % 4]
    course = steered.field.roam(HeldCode(steered.meta, codes, torch.zeros(300, dtype=torch.long)))
    assert (course.reached[:, 0] == np.arange(300) % 4).mean() > 0.6
    alone = steered.field.roam()
    assert (alone.reached[:, 0] == np.arange(300) % 4).mean() < 0.4
    late = steered.field.roam(HeldCode(steered.meta, codes, torch.full((300,), 5)))
    np.testing.assert_array_equal(late.path[:, :6], alone.path[:, :6])
    never = steered.field.roam(HeldCode(steered.meta, codes, torch.full((300,), 99)))
    np.testing.assert_array_equal(never.path, alone.path)


def test_two_subgoals_go_on_after_the_first(steered: Steered) -> None:
    once, twice = steered.field.roam(), steered.field.roam(subgoals=2)
    np.testing.assert_array_equal(once.reached[:, 0], twice.reached[:, 0])
    both = twice.reached[:, 1] >= 0
    assert both.any() and (twice.at[both, 1] > twice.at[both, 0]).all()


def test_a_world_in_which_nobody_roams_is_refused(steered: Steered) -> None:
    names = [name for name in dir(World) if not name.startswith("_")]
    other = SimpleNamespace(**{name: getattr(steered.field.world, name) for name in names})
    with pytest.raises(UserError, match="SimpleNamespace does not offer rows without a task"):
        Field(steered.field.base, other, 3, 0).roam()  # type: ignore[arg-type]


def test_a_runner_that_keeps_rows_whole_computes_all_to_the_end(
    steered: Steered, monkeypatch
) -> None:
    """Elsewhere the others' ends change in which order a row's numbers are added up."""
    base, world, sizes = steered.field.base, steered.field.world, []
    logits = base.logits
    monkeypatch.setattr(
        base, "logits", lambda x, **kw: sizes.append(len(x)) or logits(x, **kw), raising=False
    )
    ends = []
    for whole in (False, True):
        env = world.roaming(60)  # type: ignore[attr-defined]
        RolloutRunner(base, world.horizon, whole=whole).play(env, 0)
        ends.append((set(sizes), env.lengths))
        sizes.clear()
    assert len(ends[0][0]) > 1 and ends[1][0] == {60}
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
