"""The Gaussian over codes, where it starts, and what of it is trained and kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from irl_lens.errors import UserError
from irl_lens.models.policy import GaussianNetwork
from irl_lens.models.trace import MetaTrace
from irl_lens.rl.internal import start_at_codes
from irl_lens.rl.trainer import parameters

COVARIANCE = np.array([[4.0, 1.8, 0.0], [1.8, 1.0, 0.0], [0.0, 0.0, 0.01]])


def _network() -> GaussianNetwork:
    torch.manual_seed(0)
    return GaussianNetwork(d_model=16, n_z=3, width=8, initial_std=0.5)


def _codes() -> torch.Tensor:
    return torch.from_numpy(_trace().switched)


def _trace() -> MetaTrace:
    """Codes of mean (5, 0, -1) and ``COVARIANCE`` at switches, and nonsense elsewhere."""
    rng = np.random.default_rng(0)
    codes = rng.multivariate_normal((5, 0, -1), COVARIANCE, size=(400, 4)).astype(np.float32)
    codes[:, 2] = 100
    beta = np.tile(np.array([1, 0.7, 0.2, 0.9], np.float32), (400, 1))
    mask = np.ones((400, 4), bool)
    mask[:, 3] = False
    codes[:, 3] = -100
    return MetaTrace(codes, beta, codes, codes, codes, mask)


def test_the_density_is_that_of_the_gaussian_it_draws_from() -> None:
    network = _network()
    start_at_codes(network, _codes())
    mean, codes = torch.randn(2, 5, 3)
    spread = network.scale * network.log_std.exp()
    normal = torch.distributions.MultivariateNormal(
        network.codes(mean, torch.zeros(5, 3)), scale_tril=spread
    )
    torch.testing.assert_close(network.log_prob(codes, mean), normal.log_prob(codes))
    torch.testing.assert_close(
        network.log_prob(codes[:, None], mean[:, None])[:, 0], normal.log_prob(codes)
    )
    torch.testing.assert_close(network.entropy(), normal.entropy()[0])


def test_codes_that_have_no_covariance_are_refused() -> None:
    codes = _codes()
    for z in (codes * 1e30, codes * float("nan"), codes[:, :1].expand_as(codes) * 1e9):
        with pytest.raises(UserError, match=r"no covariance.*compile_rl\.start=prior"):
            start_at_codes(_network(), z, "compile_rl")


def test_it_starts_at_the_codes_at_switches() -> None:
    network = _network()
    start_at_codes(network, _codes())
    residuals = torch.randn(7, 1, 16)
    mean, _ = network(residuals, network.layer.initial(7))
    expected = torch.tensor([5.0, 0.0, -1.0])
    silent = network.codes(mean[:, 0], torch.zeros(7, 3))
    torch.testing.assert_close(silent, expected.expand(7, 3), atol=0.25, rtol=0)
    drawn = network.codes(torch.zeros(20_000, 3), torch.randn(20_000, 3))
    # The initial standard deviation is half that of the codes.
    wanted = torch.from_numpy(COVARIANCE).float() / 4
    torch.testing.assert_close(drawn.T.cov(), wanted, atol=0.05, rtol=0.1)


def test_where_it_started_is_kept_but_not_trained() -> None:
    network = _network()
    start_at_codes(network, _codes())
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {"centre", "scale"} == parameters(network).keys() - trained
    again = _network()
    again.load_state_dict(parameters(network))
    assert torch.equal(again.centre, network.centre) and torch.equal(again.scale, network.scale)


def test_without_codes_it_starts_at_the_prior() -> None:
    network = _network()
    mean, _ = network(torch.randn(4, 1, 16), network.layer.initial(4))
    noise = torch.randn(4, 3)
    codes = network.codes(mean[:, 0], noise)
    assert mean.abs().max() < 0.1
    torch.testing.assert_close(codes, mean[:, 0] + 0.5 * noise)
