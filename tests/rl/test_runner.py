"""Roll-outs: what is written down is what happened, and rows that are over cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import irl_lens.rl.runner as rollout_module
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention, LowRankController, Mask, VectorController
from irl_lens.hooks import Sequence as HookSequence
from irl_lens.models.policy import LatentPolicy
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner

if TYPE_CHECKING:
    from tests.rl.conftest import Parts


def play(parts: Parts, hook=None, n: int = 24, seed: int = 5) -> Rollout:
    return RolloutRunner(parts.fast, parts.world.horizon, hook).play(
        parts.world.vector_env(n), seed
    )


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
    assert rollout.require("reached").max() > 0
    assert (rollout.reached == rollout.visited).all()


def test_any_intervention_can_be_rolled_out(parts: Parts) -> None:
    zero = LowRankController(torch.zeros(2, 16), torch.zeros(16, 2), parts.meta.hook_name)
    assert (play(parts, zero).actions == play(parts).actions).all()


def test_nothing_stays_on_the_model(parts: Parts) -> None:
    play(parts, parts.policy())
    assert not any(p.fwd_hooks for p in parts.fast.model.hooked.hook_dict.values())


class Stopped:
    """Stops the roll-out in the environment's step of a number, counted from 0."""

    def __init__(self, env, step: int, error: type[BaseException]) -> None:
        self.env, self.left, self.error = env, step, error
        self.num_envs = env.num_envs
        self.observation, self.actions = env.observation, env.actions

    def reset(self, *, seed: int):
        return self.env.reset(seed=seed)

    def step(self, actions):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.env.step(actions)


def acts(parts: Parts) -> dict[str, Intervention]:
    """Interventions whose effect depends on the step."""
    vector = VectorController(torch.linspace(-3, 3, 16), parts.meta.hook_name)
    policy = parts.policy()
    policy.generator = torch.Generator().manual_seed(3)
    return {
        "mask": Mask(vector, steps=[3]),
        "step": HookSequence(vector, -vector, until=5),
        "predicate": HookSequence(vector, -vector, until=lambda x: x[..., 0] > 1),
        "policy": policy,
    }


@pytest.mark.parametrize("name", ["mask", "step", "predicate", "policy"])
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_a_hook_is_as_before_play_whatever_happens_in_it(
    parts: Parts, name: str, error: type[BaseException] | None
) -> None:
    observations = torch.from_numpy(parts.world.demonstrate(8, seed=0).observations[:, :9])
    fresh, played = (acts(parts)[name] for _ in range(2))
    generator = getattr(played, "generator", None)
    env = parts.world.vector_env(8)
    runner = RolloutRunner(parts.fast, parts.world.horizon, played)
    if error is None:
        runner.play(env, 5)
    else:
        with pytest.raises(error):
            runner.play(Stopped(env, 7, error), 5)  # type: ignore[arg-type]
    assert getattr(played, "generator", None) is generator
    assert not any(p._forward_hooks for p in parts.fast.model.hooked.hook_dict.values())
    found = []
    for hook in (fresh, played):
        with hook.attached(parts.fast.model):
            found.append((parts.fast.logits(observations), parts.fast.model(observations)))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    plain = parts.fast.logits(observations)
    assert not torch.allclose(found[1][0], plain, atol=1e-3)


@pytest.mark.parametrize("name", ["mask", "step", "predicate", "policy"])
@pytest.mark.parametrize("sizes", [[1] * 9, [4, 1, 1, 3]], ids=str)
def test_the_fast_path_announces_its_cache(parts: Parts, name: str, sizes: list[int]) -> None:
    observations = torch.from_numpy(parts.world.demonstrate(8, seed=0).observations[:, :9])
    whole, hook = acts(parts)[name], acts(parts)[name]
    with whole.attached(parts.fast.model):
        expected = parts.fast.logits(observations)
    cache = parts.fast.cache(8, 9)
    with hook.attached(parts.fast.model):
        found = [parts.fast.logits(x, cache=cache) for x in observations.split(sizes, 1)]
    torch.testing.assert_close(torch.cat(found, 1), expected, atol=1e-4, rtol=1e-4)
    if isinstance(hook, LatentPolicy) and isinstance(whole, LatentPolicy):
        decided, once = hook.record(), whole.record()
        assert torch.equal(decided.rows, once.rows) and torch.equal(decided.steps, once.steps)
        torch.testing.assert_close(decided.codes, once.codes)


def test_rows_select_episodes_with_their_decisions(parts: Parts) -> None:
    rollout = play(parts, parts.policy())
    some = rollout.rows(np.array([7, 2]))
    assert (some.lengths == rollout.lengths[[7, 2]]).all()
    assert (some.switches == rollout.switches[[7, 2], : some.mask.shape[1]]).all()


def test_temperature_must_not_be_below_0(parts: Parts) -> None:
    with pytest.raises(ValueError, match=r"temperature -0\.1"):
        RolloutRunner(parts.fast, 5, temperature=-0.1)


def test_at_temperature_0_the_likeliest_action_is_taken(parts: Parts) -> None:
    runner = RolloutRunner(parts.fast, parts.world.horizon, temperature=0)
    played = runner.play(parts.world.vector_env(24), 5)
    likeliest = parts.fast.model(torch.from_numpy(played.observations)).argmax(-1).numpy()
    assert (played.actions == likeliest)[played.mask].all()
    assert np.isnan(played.log_probs[played.mask]).all()
    assert (played.actions[:, 0] != play(parts).actions[:, 0]).any()
    given = torch.from_numpy((played.actions[:, :2] + 1) % 4)
    forked = runner.play(parts.world.vector_env(24), 5, given)
    assert (forked.actions[:, :2] == given.numpy())[forked.mask[:, :2]].all()


def test_a_fork_takes_the_given_actions_and_then_its_own(parts: Parts) -> None:
    whole, steps = play(parts, parts.policy()), 6
    given = torch.from_numpy(whole.actions[:, :steps])
    runner = RolloutRunner(parts.fast, parts.world.horizon, parts.policy())
    forked = runner.play(parts.world.vector_env(24), 5, given)
    assert (forked.actions == whole.actions).all()
    assert (forked.log_probs == whole.log_probs).all()
    opposite = (given + 2) % 4
    turned = runner.play(parts.world.vector_env(24), 5, opposite)
    kept = turned.mask[:, :steps]
    assert (turned.actions[:, :steps] == opposite.numpy())[kept].all()
