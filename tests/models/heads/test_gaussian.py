"""Distributions over real actions, against torch's own, samples and finite differences."""

from __future__ import annotations

import math

import pytest
import torch

from irl_lens.config.value_types import Deviation
from irl_lens.models.heads.gaussian import LOG_DEVIATION, Gaussian

LOW, HIGH = -1.0, 5.0
DEVIATIONS: tuple[Deviation, ...] = ("constant", "state")


def head_of(deviation: Deviation) -> Gaussian:
    head = Gaussian(3, deviation, LOW, HIGH)
    if head.log_deviation is not None:
        head.log_deviation.data = torch.tensor([0.2, -0.5, -1.0])
    return head


def drawn(head: Gaussian, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and actions of three rows of four steps."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 0.7 * torch.randn(3, 4, head.outputs, generator=generator)
    return outputs, 3 * torch.randn(3, 4, 3, generator=generator)


def theirs(head: Gaussian, outputs: torch.Tensor, temperature: float = 1.0):
    """The same in torch, from the equations in the module's first lines."""
    if head.log_deviation is None:
        mean, log = outputs.tensor_split(2, dim=-1)
    else:
        mean, log = outputs, head.log_deviation
    centre, scale = 2.0, 3.0
    normal = torch.distributions.Normal(centre + scale * mean, scale * log.exp() * temperature**0.5)
    return torch.distributions.Independent(normal, 1)


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_agrees_with_torch(deviation: Deviation, temperature: float) -> None:
    head = head_of(deviation)
    outputs, actions = drawn(head)
    expected, close = theirs(head, outputs, temperature), torch.testing.assert_close
    close(head.log_prob(outputs, actions, temperature), expected.log_prob(actions))
    close(head.entropy(outputs, temperature), expected.entropy())
    close(head.policy(outputs, temperature), torch.cat([expected.mean, expected.stddev], -1))
    close(head.mode(outputs), expected.mean)


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_divergence_agrees_with_torch(deviation: Deviation) -> None:
    head = head_of(deviation)
    outputs, others = drawn(head, 0)[0], drawn(head, 1)[0]
    expected = torch.distributions.kl_divergence(theirs(head, outputs), theirs(head, others))
    torch.testing.assert_close(head.kl(outputs, others), expected)


def test_temperature_is_a_power_of_the_density() -> None:
    head = Gaussian(1, "constant")
    grid = torch.linspace(-30, 30, 20_001)[:, None]
    outputs = torch.full((len(grid), 1), 0.4)
    tempered = head.log_prob(outputs, grid) / 3
    volume = torch.logsumexp(tempered, 0) + math.log(float(grid[1] - grid[0]))
    torch.testing.assert_close(
        head.log_prob(outputs, grid, 3.0), tempered - volume, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_expected_loss_is_the_mean_over_actions_of_the_expert(deviation: Deviation) -> None:
    head, draws = head_of(deviation), 200_000
    outputs = drawn(head)[0][0, :1]
    policy = torch.tensor([[0.3, 4.0, -1.0, 0.5, 2.0, 0.1]])
    noise = head.noise(draws, torch.Generator().manual_seed(1))
    actions = policy[:, :3] + policy[:, 3:] * noise
    losses = head.nll(outputs.expand(draws, -1), actions).detach()
    spread = float(losses.std()) / draws**0.5
    assert float(head.expected_nll(outputs, policy).detach()) == pytest.approx(
        float(losses.mean()), abs=4 * spread
    )


def test_expected_loss_of_a_certain_expert_is_that_of_its_action() -> None:
    head = head_of("state")
    outputs, actions = drawn(head)
    policy = torch.cat([actions, torch.zeros_like(actions)], -1)
    torch.testing.assert_close(head.expected_nll(outputs, policy), head.nll(outputs, actions))


def test_the_expected_loss_of_the_expert_itself_is_its_entropy() -> None:
    head = head_of("state")
    outputs, _ = drawn(head)
    found = head.expected_nll(outputs, head.policy(outputs))
    torch.testing.assert_close(found, head.entropy(outputs))


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_gradients_are_those_of_finite_differences(deviation: Deviation) -> None:
    head = head_of(deviation)
    outputs, actions = drawn(head)
    trained = [outputs.requires_grad_(), *head.parameters()]
    head.nll(outputs, actions, "sum").backward()
    for parameter in trained:
        assert parameter.grad is not None
        for i in (0, parameter.numel() - 1):
            found, flat, step = [], parameter.data.view(-1), 1e-2
            for sign in (1, -1):
                flat[i] += sign * step
                found.append(float(head.nll(outputs, actions).detach().double().sum()))
                flat[i] -= sign * step
            slope = (found[0] - found[1]) / (2 * step)
            assert float(parameter.grad.view(-1)[i]) == pytest.approx(slope, rel=2e-2, abs=1e-2)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_sampling_follows_the_distribution(temperature: float) -> None:
    head, draws = head_of("state"), 100_000
    outputs = drawn(head)[0][0, :1].expand(draws, -1)
    noise = head.noise(draws, torch.Generator().manual_seed(0))
    actions, log_probs = head.sample(outputs, noise, temperature)
    mean, deviation = head.distribution(outputs[:1], temperature)
    torch.testing.assert_close(
        (actions - mean).mean(0) / deviation[0], torch.zeros(3), atol=0.02, rtol=0
    )
    torch.testing.assert_close(actions.std(0), deviation[0], rtol=0.02, atol=0)
    assert torch.equal(log_probs, head.log_prob(outputs, actions, temperature))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_losses_of_many_steps_are_reduced(reduction: str) -> None:
    head = head_of("state")
    outputs, actions = drawn(head)
    expected = getattr(head.nll(outputs, actions), reduction)()
    torch.testing.assert_close(head.nll(outputs, actions, reduction), expected)  # type: ignore[arg-type]


def test_a_deviation_stays_within_its_limits() -> None:
    head = Gaussian(1, "state")
    for output, limit in zip((-1e3, 1e3), LOG_DEVIATION, strict=True):
        deviation = head.distribution(torch.tensor([0.0, output]))[1]
        assert float(deviation) == pytest.approx(math.exp(limit))
    loss = head.nll(torch.tensor([[0.0, -1e3]]), torch.zeros(1, 1))
    assert torch.isfinite(loss).all()


def test_only_a_constant_deviation_is_a_weight() -> None:
    assert [name for name, _ in head_of("constant").named_parameters()] == ["log_deviation"]
    assert not head_of("state").state_dict()
