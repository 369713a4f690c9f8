"""The Gaussian over codes, where it starts, and what of it is trained and kept."""

from __future__ import annotations

import numpy as np
import torch

from irl_lens.models.trace import MetaTrace
from irl_lens.rl.internal import start_at_codes
from irl_lens.rl.policy import GaussianNetwork
from irl_lens.rl.trainer import parameters


def _network() -> GaussianNetwork:
    torch.manual_seed(0)
    return GaussianNetwork(d_model=16, n_z=3, width=8, initial_std=0.5)


def _trace() -> MetaTrace:
    """Codes of mean (5, 0, -1) and deviation (2, 1, 0.1) at switches, and nonsense elsewhere."""
    rng = np.random.default_rng(0)
    codes = rng.normal((5, 0, -1), (2, 1, 0.1), size=(400, 4, 3)).astype(np.float32)
    codes[:, 2] = 100
    beta = np.tile(np.array([1, 0.7, 0.2, 0.9], np.float32), (400, 1))
    mask = np.ones((400, 4), bool)
    mask[:, 3] = False
    codes[:, 3] = -100
    return MetaTrace(codes, beta, codes, codes, codes, mask)


def test_the_density_is_that_of_the_gaussian_it_draws_from() -> None:
    network = _network()
    start_at_codes(network, _trace())
    mean, codes = torch.randn(2, 5, 3)
    normal = torch.distributions.Normal(mean, network.std)
    torch.testing.assert_close(network.log_prob(codes, mean), normal.log_prob(codes).sum(-1))
    torch.testing.assert_close(network.entropy(), normal.entropy()[0].sum())


def test_it_starts_at_the_codes_at_switches() -> None:
    network = _network()
    start_at_codes(network, _trace())
    residuals = torch.randn(7, 1, 16)
    mean, _ = network(residuals, network.layer.initial(7))
    expected = torch.tensor([5.0, 0.0, -1.0])
    torch.testing.assert_close(mean[:, 0], expected.expand(7, 3), atol=0.25, rtol=0)
    torch.testing.assert_close(network.std, torch.tensor([1.0, 0.5, 0.05]), atol=0.1, rtol=0.1)


def test_where_it_started_is_kept_but_not_trained() -> None:
    network = _network()
    start_at_codes(network, _trace())
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {"centre", "scale"} == parameters(network).keys() - trained
    again = _network()
    again.load_state_dict(parameters(network))
    assert torch.equal(again.centre, network.centre) and torch.equal(again.std, network.std)


def test_without_codes_it_starts_at_the_prior() -> None:
    network = _network()
    mean, _ = network(torch.randn(4, 1, 16), network.layer.initial(4))
    assert mean.abs().max() < 0.1 and torch.equal(network.std, torch.full((3,), 0.5))
