"""The decoder: its two forms agree, its initial size, its gradients."""

from __future__ import annotations

import pytest
import torch

from irl_lens.hooks import CodeController, HypernetworkDecoder

D = 64
HOOK = "blocks.1.hook_resid_post"


@pytest.fixture
def decoder() -> HypernetworkDecoder:
    return HypernetworkDecoder(8, 32, D, 16, generator=torch.Generator().manual_seed(0))


def trained(decoder: HypernetworkDecoder) -> HypernetworkDecoder:
    """Biases away from zero, as after training."""
    for layer in (decoder.hidden, decoder.read, decoder.write):
        torch.nn.init.normal_(layer.bias, std=0.1)
    return decoder


@pytest.mark.parametrize("lead", [(), (3,), (3, 5)])
def test_delta_is_the_factors_product(decoder, lead):
    z, e = torch.randn(*lead, 8), torch.randn(*lead, D)
    A, B = trained(decoder)(z)
    assert A.shape == B.shape == (*lead, 16, D)
    expected = torch.einsum("...rd,...rf,...f->...d", B, A, e)
    torch.testing.assert_close(decoder.delta(z, e), expected, atol=1e-4, rtol=1e-4)


def test_initial_size(decoder):
    z, e = torch.randn(2000, 8), 5 * torch.randn(2000, D)
    ratio = decoder.delta(z, e).norm(dim=-1) / e.norm(dim=-1)
    assert 0.1 < ratio.square().mean().sqrt() < 0.3


def test_gradients_reach_codes_and_decoder(decoder):
    z = torch.randn(2, 3, 8, requires_grad=True)
    CodeController(decoder, z, HOOK)(torch.randn(2, 3, D)).square().sum().backward()
    assert z.grad is not None and (z.grad != 0).any(-1).all()
    assert all(p.grad is not None and p.grad.any() for p in decoder.parameters())


def test_widths_are_checked(decoder):
    with pytest.raises(ValueError, match="code is 7 wide; this decoder takes 8"):
        decoder(torch.zeros(2, 7))
    with pytest.raises(ValueError, match=r"is 64 wide, the stream at .* is 65 wide"):
        CodeController(decoder, torch.zeros(2, 3, 8), HOOK)(torch.zeros(2, 3, D + 1))
