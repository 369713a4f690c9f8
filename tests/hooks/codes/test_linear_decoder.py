"""The linear decoder: its two forms agree, it starts and ends where nothing is controlled."""

from __future__ import annotations

import pytest
import torch

from irl_lens.hooks import CodeController, FullController, LinearDecoder, load, save

D = 16
HOOK = "blocks.1.hook_resid_post"


@pytest.fixture
def decoder() -> LinearDecoder:
    """As after training."""
    decoder = LinearDecoder(3, D)
    torch.nn.init.normal_(decoder.matrices, std=0.2, generator=torch.Generator().manual_seed(0))
    return decoder


@pytest.mark.parametrize("lead", [(), (4,), (4, 5)])
def test_delta_is_the_sum_of_the_codes_matrices(decoder, lead):
    z, e = torch.randn(*lead, 3), torch.randn(*lead, D)
    matrices = decoder.matrices.unbind(1)
    expected = sum(z[..., k, None] * (e @ matrix) for k, matrix in enumerate(matrices))
    torch.testing.assert_close(decoder.delta(z, e), expected)
    torch.testing.assert_close(torch.einsum("...fd,...d->...f", decoder(z), e), expected)


def test_it_is_linear_in_the_code(decoder):
    a, b = torch.randn(2, 3)
    torch.testing.assert_close(decoder(2 * a - b), 2 * decoder(a) - decoder(b))
    assert not decoder(torch.zeros(3)).any()


def test_untrained_it_does_nothing_and_has_a_gradient_already():
    decoder, z, x = LinearDecoder(3, D), torch.randn(2, 5, 3), torch.randn(2, 5, D)
    steered = CodeController(decoder, z, HOOK)(x)
    assert torch.equal(steered, x)
    steered.square().sum().backward()
    assert decoder.matrices.grad is not None and decoder.matrices.grad.all()


def test_its_controllers_are_full_ones(decoder):
    z, x = torch.randn(4, 3), torch.randn(4, 1, D)
    controllers = FullController.from_latent(decoder, z[:, None], HOOK)
    torch.testing.assert_close(controllers(x), CodeController(decoder, z[:, None], HOOK)(x))


def test_codes_of_another_width_are_refused(decoder):
    for call in (lambda z: decoder(z), lambda z: decoder.delta(z, torch.zeros(2, D))):
        with pytest.raises(ValueError, match="code is 4 wide; this decoder takes 3"):
            call(torch.zeros(2, 4))


def test_it_is_saved_and_loaded(decoder, tmp_path):
    again = load(save(decoder, tmp_path / "decoder.safetensors"))
    assert isinstance(again, LinearDecoder) and again.config() == decoder.config()
    assert torch.equal(again.matrices, decoder.matrices)
