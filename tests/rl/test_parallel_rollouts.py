"""Shares of a batch, played side by side: as if each had been played alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from irl_lens.rl.parallel_rollouts import ParallelRollouts
from irl_lens.rl.recorder import EPISODIC, STEPWISE, Rollout
from irl_lens.rl.runner import RolloutRunner

if TYPE_CHECKING:
    from tests.rl.conftest import Parts

SEEDS = (5, 600, 70)
EPISODES = 24


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leaves the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def parallel(parts: Parts, runner: RolloutRunner) -> ParallelRollouts:
    """Shares of 10, 10 and 4 episodes."""
    return ParallelRollouts(runner, parts.world.vector_env, EPISODES, share=10)


def runner(parts: Parts, hooked: bool = True) -> RolloutRunner:
    return RolloutRunner(parts.fast, parts.world.horizon, parts.policy() if hooked else None)


def codes(rollout: Rollout) -> torch.Tensor:
    """The code in force at every step of the rows that a hook decided in."""
    assert rollout.decisions is not None
    return rollout.decisions.held(*rollout.mask.shape)


@pytest.mark.parametrize("hooked", [False, True])
def test_episodes_are_those_that_the_runners_play_alone(parts: Parts, hooked: bool) -> None:
    one = runner(parts, hooked)
    whole, first = parallel(parts, one).play(SEEDS), 0
    assert len(whole) == EPISODES
    for seed, rows in zip(SEEDS, (10, 10, 4), strict=True):
        alone = one.play(parts.world.vector_env(rows), seed)
        share = whole.rows(np.arange(first, first + rows))
        for name in (*STEPWISE, *EPISODIC):
            assert np.allclose(getattr(share, name), getattr(alone, name), atol=1e-5), name
        if hooked:
            assert (share.switches == alone.switches).all()
            mask = torch.from_numpy(alone.mask)
            torch.testing.assert_close(codes(share)[mask], codes(alone)[mask])
        first += rows


def test_padding_is_as_in_a_single_batch(parts: Parts) -> None:
    whole = parallel(parts, runner(parts)).play(SEEDS)
    assert whole.mask.shape[1] == whole.lengths.max()
    subgoals = whole.require("subgoals")
    assert (subgoals[~whole.mask] == -1).all()
    assert (subgoals[whole.mask] >= 0).all()
    assert not whole.actions[~whole.mask].any()


def test_decisions_are_ordered_by_step_and_then_by_episode(parts: Parts) -> None:
    decisions = parallel(parts, runner(parts)).play(SEEDS).decisions
    assert decisions is not None
    order = (decisions.steps * EPISODES + decisions.rows).diff()
    assert len(order) > EPISODES and (order > 0).all()


def test_same_bits_for_any_number_of_threads(parts: Parts) -> None:
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(parallel(parts, runner(parts)).play(SEEDS))
    assert (found[0].log_probs == found[1].log_probs).all()
    assert torch.equal(codes(found[0]), codes(found[1]))


def test_players_follow_the_weights_that_are_trained(parts: Parts) -> None:
    policy = parts.policy()
    one = RolloutRunner(parts.fast, parts.world.horizon, policy)
    together = parallel(parts, one)
    before = together.play(SEEDS)
    with torch.no_grad():
        policy.network.mean.bias.add_(3)
        parts.fast.model.hooked.unembed.b_U[0].add_(3)
    after, fresh = together.play(SEEDS), parallel(parts, one).play(SEEDS)
    assert torch.equal(codes(after), codes(fresh))
    assert (after.log_probs == fresh.log_probs).all()
    assert (after.actions == 0).sum() > (before.actions == 0).sum()


def test_nothing_is_hooked_on_the_model_itself(parts: Parts) -> None:
    together, seen = parallel(parts, runner(parts)), []
    for point in parts.fast.model.hooked.hook_dict.values():
        point.register_forward_hook(lambda *call: seen.append(call))
    together.play(SEEDS)
    assert seen == []
