"""Roll-outs: what is written down is what happened, and rows that are over cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import irl_lens.rl.rollout as rollout_module
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention, LowRankController
from irl_lens.rl.rollout import Player, sample
from irl_lens.rl.tape import Rollout

if TYPE_CHECKING:
    from tests.rl.conftest import Parts


def play(parts: Parts, hook=None, n: int = 24, seed: int = 5) -> Rollout:
    return Player(parts.fast, parts.world.horizon, hook).play(parts.world.vector_env(n), seed)


def test_replaying_the_actions_gives_the_same_episodes(parts: Parts) -> None:
    rollout, env = play(parts), parts.world.vector_env(24)
    observation, info = env.reset(seed=5)
    rewards, over = np.zeros(24), np.zeros(24, bool)
    for t in range(rollout.mask.shape[1]):
        live = rollout.mask[:, t]
        assert (live == ~over).all()
        assert (rollout.observations[live, t] == observation[live]).all()
        for name in ("subgoal", "visit", "progress"):
            kept = getattr(rollout, name if name == "progress" else f"{name}s")
            assert (kept[live, t] == info[name][live]).all()
            assert (kept[~live, t] == -1).all()
        observation, reward, terminated, truncated, info = env.step(rollout.actions[:, t])
        rewards, over = rewards + reward, terminated | truncated
    assert over.all()
    assert (rollout.rewards == rewards).all()
    assert (rollout.visited == info["progress"]).all()


class WritesWeights(Intervention):
    """Leaves the stream alone, and at its third call turns a weight of the base round."""

    def __init__(self, weight: torch.Tensor, hook_name: str) -> None:
        super().__init__(hook_name)
        self.weight, self.calls = weight, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 3:
            self.weight.data.neg_()
        return x


def test_weights_written_during_a_roll_out_are_refused_and_in_the_next_one(parts: Parts) -> None:
    hook = WritesWeights(parts.fast.model.hooked.blocks[0].attn.W_V, parts.meta.hook_name)
    with pytest.raises(UserError, match=r"qkv of blocks\.0 was changed"):
        play(parts, hook)
    test_log_probs_are_those_of_the_full_forward(parts)


def test_log_probs_are_those_of_the_full_forward(parts: Parts) -> None:
    rollout = play(parts)
    log_probs = parts.fast.model(torch.from_numpy(rollout.observations)).log_softmax(-1)
    expected = log_probs.gather(-1, torch.from_numpy(rollout.actions)[..., None])[..., 0].numpy()
    assert abs(expected - rollout.log_probs)[rollout.mask].max() < 1e-4


@pytest.mark.parametrize("hooked", [False, True])
def test_cutting_rows_out_changes_nothing(
    parts: Parts, hooked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for share in (0.0, 1.1):
        monkeypatch.setattr(rollout_module, "CROWDED", share)
        found.append(play(parts, parts.policy() if hooked else None))
    never, always = found
    assert len(set(never.lengths.tolist())) > 3
    for name in ("actions", "observations", "mask", "rewards", "reached", "switches"):
        assert (getattr(never, name) == getattr(always, name)).all(), name
    if never.decisions is not None and always.decisions is not None:
        torch.testing.assert_close(never.decisions.codes, always.decisions.codes)


def test_no_step_is_computed_for_rows_that_are_over(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "CROWDED", 1.1)
    computed, logits = [], parts.fast.logits
    monkeypatch.setattr(
        parts.fast, "logits", lambda x, **kw: computed.append(len(x)) or logits(x, **kw)
    )
    rollout = play(parts)
    assert sum(computed) == rollout.mask.sum()


def test_deterministic_in_the_seed(parts: Parts) -> None:
    first, again, other = (play(parts, parts.policy(), seed=s) for s in (5, 5, 6))
    assert (first.actions == again.actions).all()
    assert first.decisions is not None and again.decisions is not None
    assert torch.equal(first.decisions.codes, again.decisions.codes)
    assert first.actions.shape != other.actions.shape or (first.actions != other.actions).any()


def test_reached_counts_abstract_subgoals(parts: Parts) -> None:
    # In this grammar an abstract subgoal is one visit.
    rollout = play(parts, n=200)
    assert rollout.reached.max() > 0
    assert (rollout.reached == rollout.visited).all()


def test_any_intervention_can_be_rolled_out(parts: Parts) -> None:
    zero = LowRankController(torch.zeros(2, 16), torch.zeros(16, 2), parts.meta.hook_name)
    assert (play(parts, zero).actions == play(parts).actions).all()


def test_nothing_stays_on_the_model(parts: Parts) -> None:
    play(parts, parts.policy())
    assert not any(p.fwd_hooks for p in parts.fast.model.hooked.hook_dict.values())


def test_rows_select_episodes_with_their_decisions(parts: Parts) -> None:
    rollout = play(parts, parts.policy())
    some = rollout.rows(np.array([7, 2]))
    assert (some.lengths == rollout.lengths[[7, 2]]).all()
    assert (some.switches == rollout.switches[[7, 2], : some.mask.shape[1]]).all()


def test_sampling_follows_the_distribution() -> None:
    logits = torch.tensor([0.3, -1.0, 1.2]).expand(60_000, 3)
    uniform = torch.rand(60_000, generator=torch.Generator().manual_seed(0))
    actions, log_probs = sample(logits, uniform)
    shares = actions.bincount(minlength=3) / 60_000
    torch.testing.assert_close(shares, logits[0].softmax(-1), atol=0.01, rtol=0)
    torch.testing.assert_close(log_probs, logits[0].log_softmax(-1)[actions])


def test_temperature_must_be_positive(parts: Parts) -> None:
    with pytest.raises(ValueError, match=r"temperature 0\.0"):
        Player(parts.fast, 5, temperature=0.0)


def test_a_fork_takes_the_given_actions_and_then_its_own(parts: Parts) -> None:
    whole, steps = play(parts, parts.policy()), 6
    given = torch.from_numpy(whole.actions[:, :steps])
    player = Player(parts.fast, parts.world.horizon, parts.policy())
    forked = player.play(parts.world.vector_env(24), 5, given)
    assert (forked.actions == whole.actions).all()
    assert (forked.log_probs == whole.log_probs).all()
    opposite = (given + 2) % 4
    turned = player.play(parts.world.vector_env(24), 5, opposite)
    kept = turned.mask[:, :steps]
    assert (turned.actions[:, :steps] == opposite.numpy())[kept].all()
