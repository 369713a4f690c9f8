"""Mixtures against torch's own, samples, and what they are with one component or far apart."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from irl_lens.config.value_types import Deviation
from irl_lens.models.heads.gaussian import Gaussian
from irl_lens.models.heads.mixture import Mixture

LOW, HIGH = -1.0, 5.0
close = torch.testing.assert_close


def drawn(head: Mixture, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and actions of three rows of four steps."""
    generator = torch.Generator().manual_seed(seed)
    outputs = 0.7 * torch.randn(3, 4, head.outputs, generator=generator)
    return outputs, 3 * torch.randn(3, 4, 3, generator=generator)


def theirs(outputs: torch.Tensor, components: int) -> MixtureSameFamily:
    """The same in torch, from the equations in the module's first lines."""
    weights = Categorical(logits=outputs[..., :components])
    parts = outputs[..., components:].unflatten(-1, (components, 6))
    normal = Normal(2 + 3 * parts[..., :3], 3 * parts[..., 3:].exp())
    return MixtureSameFamily(weights, Independent(normal, 1))


def apart(head: Mixture) -> torch.Tensor:
    """Outputs whose components do not overlap."""
    outputs = drawn(head)[0]
    parts = outputs[..., 4:].view(3, 4, 4, 6)
    parts[..., :3] += 40 * torch.arange(4)[:, None]
    return outputs


def test_agrees_with_torch() -> None:
    head = Mixture(4, 3, "state", LOW, HIGH)
    outputs, actions = drawn(head)
    expected = theirs(outputs, 4)
    close(head.log_prob(outputs, actions), expected.log_prob(actions))
    close(head.nll(outputs, actions, "mean"), -expected.log_prob(actions).mean())
    close(head.policy(outputs), torch.cat([expected.mean, expected.stddev], dim=-1))
    heaviest = outputs[..., :4].argmax(dim=-1, keepdim=True)[..., None].expand(-1, -1, 1, 3)
    means = 2 + 3 * outputs[..., 4:].unflatten(-1, (4, 6))[..., :3]
    close(head.mode(outputs), means.gather(-2, heaviest)[..., 0, :])


@pytest.mark.parametrize("deviation", ["state", "constant"])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_one_component_is_the_normal_distribution(deviation: Deviation, temperature: float) -> None:
    head, plain = Mixture(1, 3, deviation, LOW, HIGH), Gaussian(3, deviation, LOW, HIGH)
    (outputs, actions), (others, _) = drawn(head, 0), drawn(head, 1)
    x, y = outputs[..., 1:], others[..., 1:]
    policy = torch.cat([actions, actions.abs() + 0.1], dim=-1)
    close(head.log_prob(outputs, actions, temperature), plain.log_prob(x, actions, temperature))
    close(head.expected_nll(outputs, policy), plain.expected_nll(x, policy))
    close(head.entropy(outputs, temperature), plain.entropy(x, temperature))
    close(head.policy(outputs, temperature), plain.policy(x, temperature))
    close(head.kl(outputs, others), plain.kl(x, y), atol=1e-5, rtol=1e-5)


def test_expected_loss_bounds_the_average_over_draws() -> None:
    head, draws = Mixture(4, 3, "state", LOW, HIGH), 20_000
    for outputs, near in ((drawn(head)[0], False), (apart(head), True)):
        mean, deviation = head.mode(outputs), torch.full((3, 4, 3), 0.5)
        generator = torch.Generator().manual_seed(0)
        actions = mean + 0.5 * torch.randn(draws, 3, 4, 3, generator=generator)
        average = head.nll(outputs.expand(draws, -1, -1, -1), actions).mean(dim=0)
        bound = head.expected_nll(outputs, torch.cat([mean, deviation], dim=-1))
        assert (bound > average - 0.1).all()
        if near:
            close(bound, average, atol=0.1, rtol=0)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_samples_are_of_the_components_that_are_chosen(temperature: float) -> None:
    head, rows = Mixture(4, 3, "state", LOW, HIGH), 40_000
    outputs = apart(head)[0, 0].expand(rows, -1)
    noise = head.noise(rows, torch.Generator().manual_seed(0))
    actions, log_prob = head.sample(outputs, noise, temperature)
    close(log_prob, head.log_prob(outputs, actions, temperature))
    weights = (outputs[0, :4] / temperature).softmax(dim=-1)
    which = ((actions[:, 0] - 2) / 3 / 40).round().long()
    close(which.bincount(minlength=4) / rows, weights, atol=0.01, rtol=0)
    policy = head.policy(outputs[:1], temperature)[0]
    close(actions.mean(dim=0), policy[:3], atol=1.5, rtol=0)
    close(actions.std(dim=0), policy[3:], rtol=0.02, atol=0)


def test_entropy_and_divergence_are_exact_where_components_are_apart() -> None:
    head, draws = Mixture(4, 3, "state", LOW, HIGH), 20_000
    outputs = apart(head)
    others = outputs.clone()
    others[..., :4] = drawn(head, 1)[0][..., :4]
    others[..., 4:] += 0.1
    p, q = theirs(outputs, 4), theirs(others, 4)
    torch.manual_seed(0)
    x = p.sample((draws,))
    close(head.entropy(outputs), -p.log_prob(x).mean(dim=0), atol=0.1, rtol=0)
    divergence = (p.log_prob(x) - q.log_prob(x)).mean(dim=0)
    close(head.kl(outputs, others), divergence, atol=0.1, rtol=0.02)
    close(head.kl(outputs, outputs), torch.zeros(3, 4))
