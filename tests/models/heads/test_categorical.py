"""Distributions over discrete actions, against torch's own and the former cross-entropies."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from irl_lens.models.heads.categorical import Categorical

HEAD = Categorical(5)


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs, actions and an expert's probabilities, of three rows of four steps."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(3, 4, 5, generator=generator)
    actions = torch.randint(5, (3, 4), generator=generator)
    return outputs, actions, torch.rand(3, 4, 5, generator=generator).softmax(-1)


def theirs(outputs: torch.Tensor, temperature: float = 1.0) -> torch.distributions.Categorical:
    return torch.distributions.Categorical(logits=outputs / temperature)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_agrees_with_torch(temperature: float) -> None:
    outputs, actions, _ = drawn()
    expected = theirs(outputs, temperature)
    close = torch.testing.assert_close
    close(HEAD.log_prob(outputs, actions, temperature), expected.log_prob(actions))
    close(HEAD.entropy(outputs, temperature), expected.entropy())
    close(HEAD.policy(outputs, temperature), expected.probs)


def test_divergence_and_mode_agree_with_torch() -> None:
    outputs, others = drawn(0)[0], drawn(1)[0]
    expected = torch.distributions.kl_divergence(theirs(outputs), theirs(others))
    torch.testing.assert_close(HEAD.kl(outputs, others), expected)
    assert torch.equal(HEAD.mode(outputs), theirs(outputs).mode)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_losses_are_torchs_cross_entropies_to_the_bit(reduction: str) -> None:
    outputs, actions, policy = (x.flatten(0, 1) for x in drawn())
    for found, wanted in (
        (HEAD.nll(outputs, actions, reduction), actions),  # type: ignore[arg-type]
        (HEAD.expected_nll(outputs, policy, reduction), policy),  # type: ignore[arg-type]
    ):
        assert torch.equal(found, F.cross_entropy(outputs, wanted, reduction=reduction))


def test_the_loss_of_every_step_is_its_own() -> None:
    outputs, actions, policy = drawn()
    assert torch.equal(HEAD.nll(outputs, actions), -HEAD.log_prob(outputs, actions))
    each = torch.stack([HEAD.nll(outputs, torch.full_like(actions, a)) for a in range(5)], -1)
    torch.testing.assert_close(HEAD.expected_nll(outputs, policy), (policy * each).sum(-1))


def test_sampling_follows_the_distribution() -> None:
    outputs, temperature = torch.tensor([0.3, -1.0, 1.2]).expand(60_000, 3), 2.0
    head = Categorical(3)
    noise = head.noise(60_000, torch.Generator().manual_seed(0))
    actions, log_probs = head.sample(outputs, noise, temperature)
    shares = actions.bincount(minlength=3) / 60_000
    torch.testing.assert_close(shares, (outputs[0] / 2).softmax(-1), atol=0.01, rtol=0)
    assert torch.equal(log_probs, head.log_prob(outputs, actions, temperature))


def test_weights_of_a_base_are_no_part_of_it() -> None:
    assert not list(HEAD.parameters()) and not HEAD.state_dict()


def test_bfloat16_outputs_are_read_in_float32() -> None:
    outputs, actions, _ = drawn()
    assert HEAD.nll(outputs.bfloat16(), actions).dtype == torch.float32
