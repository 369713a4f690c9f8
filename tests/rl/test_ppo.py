"""The clipped surrogate: advantages over the batch, no step without signal."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from irl_lens.config.rl import RLConfig
from irl_lens.rl.ppo import Chunk, advantages, drift, surrogate, update

CONFIG = RLConfig(lr=0.1)


class Bandit(nn.Module):
    """A categorical policy without a state."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))

    def score(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = self.logits.log_softmax(-1)
        return log_probs[actions], -(log_probs.exp() * log_probs).sum().expand(actions.shape)

    def chunk(self, actions: Tensor, rewards: Tensor, mask: Tensor | None = None) -> Chunk:
        old = self.score(actions)[0].detach()
        mask = torch.ones_like(actions, dtype=torch.bool) if mask is None else mask
        return Chunk(partial(self.score, actions), old, mask, advantages(rewards))


def test_advantages_are_normalised_over_the_batch() -> None:
    returns = torch.tensor([0.0, 0, 0, 1])
    found = advantages(returns)
    torch.testing.assert_close(found, (returns - 0.25) / (0.1875**0.5 + 1e-3))
    assert abs(float(found.sum())) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.7, 1 / 3, -1e8])
def test_equal_returns_give_exactly_zero(value: float, dtype: torch.dtype) -> None:
    for rows in (1, 2, 3, 10, 1000, 1024):
        found = advantages(torch.full((rows,), value, dtype=dtype))
        assert torch.equal(found, torch.zeros(rows, dtype=dtype))


@pytest.mark.parametrize("reward", [0.0, 0.7])
def test_no_update_without_signal_even_with_momentum(reward: float) -> None:
    policy = Bandit()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=0.1, weight_decay=0.0)
    actions = torch.tensor([[0], [1], [2]])
    update([policy.chunk(actions, torch.tensor([0.0, 0, 1]))], optimizer, CONFIG)
    before = policy.logits.detach().clone()
    figures = update([policy.chunk(actions, torch.full((3,), reward))], optimizer, CONFIG)
    assert torch.equal(policy.logits.detach(), before)
    assert figures["kl"] == figures["clipped"] == 0


def test_rewarded_actions_become_likelier_and_figures_say_how_much() -> None:
    policy = Bandit()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=0.5, weight_decay=0.0)
    actions = torch.tensor([[0, 0], [1, 2], [2, 1]])
    before = policy.logits.softmax(-1).detach()
    figures = update([policy.chunk(actions, torch.tensor([1.0, 0, 0]))], optimizer, CONFIG)
    assert policy.logits.softmax(-1)[0] > before[0]
    assert figures["kl"] > 0
    assert 0 < figures["clipped"] <= 1
    assert figures["entropy"] > 0


def test_chunks_give_the_gradient_of_the_whole_batch() -> None:
    actions, rewards = torch.tensor([[0, 1], [1, 2], [2, 1], [0, 0]]), torch.tensor([1.0, 0, 0, 1])
    grads = []
    for size in (4, 1):
        policy, shared = Bandit(), advantages(rewards)
        old = policy.score(actions)[0].detach()
        mask = torch.ones(4, 2, dtype=torch.bool)
        chunks = [
            Chunk(partial(policy.score, actions[s]), old[s], mask[s], shared[s])
            for s in torch.arange(4).split(size)
        ]
        update(chunks, torch.optim.SGD(policy.parameters(), lr=0.0), CONFIG)
        assert policy.logits.grad is not None
        grads.append(policy.logits.grad.clone())
    torch.testing.assert_close(grads[0], grads[1])


def test_gradient_is_that_of_the_policy_gradient_summed_over_decisions() -> None:
    policy, actions = Bandit(), torch.tensor([[0, 1], [2, 2]])
    rewards, mask = torch.tensor([1.0, 0.0]), torch.tensor([[True, True], [True, False]])
    chunk = policy.chunk(actions, rewards, mask)
    update([chunk], torch.optim.SGD(policy.parameters(), lr=0.0), CONFIG)
    found, policy.logits.grad = policy.logits.grad, None
    log_probs = policy.score(actions)[0].masked_fill(~mask, 0.0)
    (-(log_probs.sum(1) * chunk.advantages).sum() / 2).backward()
    torch.testing.assert_close(found, policy.logits.grad)


def test_no_gradient_beyond_the_clip_range() -> None:
    old, mask = torch.zeros(2, 1), torch.ones(2, 1, dtype=torch.bool)
    log_prob = torch.tensor([[0.5], [-0.5]], requires_grad=True)
    surrogate(log_prob, old, mask, torch.tensor([1.0, -1.0]), clip=0.2).backward()
    assert log_prob.grad is not None
    assert torch.equal(log_prob.grad, torch.zeros(2, 1))
    surrogate(log_prob, old, mask, torch.tensor([-1.0, 1.0]), clip=0.2).backward()
    assert torch.all(log_prob.grad != 0)


def test_several_epochs_move_further_than_one() -> None:
    kls = []
    for epochs in (1, 4):
        policy = Bandit()
        optimizer = torch.optim.AdamW(policy.parameters(), lr=0.02, weight_decay=0.0)
        chunk = policy.chunk(torch.tensor([[0], [1]]), torch.tensor([1.0, 0.0]))
        update([chunk], optimizer, RLConfig(epochs=epochs))
        kls.append(drift([chunk], 0.2)["kl"])
    assert kls[1] > kls[0] > 0
