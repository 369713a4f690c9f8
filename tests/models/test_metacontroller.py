from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from irl_lens.config.schema import DiscoveryConfig
from irl_lens.models.metacontroller import LookAhead, Metacontroller

D_MODEL, ROWS, STEPS = 8, 5, 9
CONFIG = DiscoveryConfig(
    layer=1, history=4, sequence=3, hidden=6, latent=2, decoder_hidden=5, rank=2
)


@pytest.fixture
def meta() -> Metacontroller:
    torch.manual_seed(0)
    return Metacontroller(CONFIG, D_MODEL)


def _stream(seed: int = 1) -> Tensor:
    return torch.randn(ROWS, STEPS, D_MODEL, generator=torch.Generator().manual_seed(seed))


def _mask(*lengths: int) -> Tensor:
    return torch.arange(STEPS) < torch.tensor(lengths or (STEPS,) * ROWS).unsqueeze(1)


def _with_embedding(meta: Metacontroller, values: Tensor):
    """Replaces the sequence embedding: what is left is the causal half and the encoder."""
    return meta.embedder.register_forward_hook(lambda *_: values)


def test_the_first_step_switches_onto_its_proposal(meta: Metacontroller) -> None:
    codes = meta(_stream(), _mask(), torch.randn(ROWS, STEPS, CONFIG.latent))
    assert (codes.beta[:, 0] == 1).all()
    assert torch.equal(codes.codes[:, 0], codes.proposals[:, 0])


def test_codes_are_the_integral_of_proposals_by_beta(meta: Metacontroller) -> None:
    codes = meta(_stream(), _mask(), torch.randn(ROWS, STEPS, CONFIG.latent))
    z = torch.zeros(ROWS, CONFIG.latent)
    for t in range(STEPS):
        beta = codes.beta[:, t, None]
        z = beta * codes.proposals[:, t] + (1 - beta) * z
        torch.testing.assert_close(codes.codes[:, t], z)


def test_the_future_enters_through_the_sequence_embedding_only(meta: Metacontroller) -> None:
    cut = 4
    changed = _stream()
    changed[:, cut:] *= -1.0  # adding a constant would be normalised away
    free = meta(_stream(), _mask()), meta(changed, _mask())
    assert not torch.equal(free[0].mu[:, :cut], free[1].mu[:, :cut])
    with _with_embedding(meta, torch.zeros(ROWS, CONFIG.sequence)):
        one, other = meta(_stream(), _mask()), meta(changed, _mask())
    for name in ("mu", "log_sigma", "codes", "beta"):
        past = getattr(one, name)[:, :cut], getattr(other, name)[:, :cut]
        torch.testing.assert_close(*past, rtol=0, atol=0)
        assert not torch.equal(getattr(one, name)[:, cut:], getattr(other, name)[:, cut:]) or (
            name == "log_sigma"  # constant at initialisation
        )


def test_the_embedding_is_one_narrow_vector_a_sequence(meta: Metacontroller) -> None:
    time_major = _stream().transpose(0, 1)
    embedding = meta.embedder(time_major, torch.full((ROWS,), STEPS))
    assert embedding.shape == (ROWS, CONFIG.sequence)
    assert not torch.equal(embedding[0], embedding[1])


def test_the_gate_is_causal(meta: Metacontroller) -> None:
    # beta_t may know of the future only what the codes before t hold of it: with the codes'
    # proposals fixed, the observations from t + 1 on cannot move beta_t.
    e, changed = _stream(), _stream()
    changed[:, 5:] *= -1.0
    proposals = torch.randn(STEPS, ROWS, CONFIG.latent)
    history = torch.randn(STEPS, ROWS, CONFIG.history)
    gates = [meta.switch.integrate(x.transpose(0, 1), history, proposals)[1] for x in (e, changed)]
    assert torch.equal(gates[0][:5], gates[1][:5])
    assert not torch.equal(gates[0][5:], gates[1][5:])


def test_encoder_and_gate_read_the_history_before_the_step(meta: Metacontroller) -> None:
    seen: dict[str, Tensor] = {}
    meta.encoder.register_forward_hook(lambda _, inputs, __: seen.update(history=inputs[1]))
    meta(_stream(), _mask())
    before = seen["history"]
    assert (before[0] == 0).all()
    changed = _stream()
    changed[:, 3] *= -1.0  # e_4 enters h_4, which the step after is the first to read
    meta(changed, _mask())
    assert torch.equal(seen["history"][:4], before[:4])
    assert not torch.equal(seen["history"][4], before[4])


def test_padding_changes_nothing(meta: Metacontroller) -> None:
    stream, noise = _stream(), torch.randn(ROWS, STEPS, CONFIG.latent)
    mask = _mask(4, 6, 5, 6, 2)
    rubbish = torch.where(mask.unsqueeze(-1), stream, torch.full_like(stream, 7.0))
    short = meta(stream[:, :6], mask[:, :6], noise[:, :6])
    long = meta(rubbish, mask, noise)
    for name in ("mu", "codes", "beta", "log_sigma"):
        one, other = getattr(short, name)[mask[:, :6]], getattr(long, name)[mask]
        torch.testing.assert_close(one, other)


def test_kl_is_that_of_diagonal_gaussians_and_does_not_know_beta(meta: Metacontroller) -> None:
    codes = meta(_stream(), _mask(), torch.randn(ROWS, STEPS, CONFIG.latent))
    normal = torch.distributions.Normal(codes.mu, codes.log_sigma.exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(codes.kl(), expected.sum(-1))
    with torch.no_grad():
        meta.switch.out.bias.fill_(-30.0)
    shut = meta(_stream(), _mask(), torch.randn(ROWS, STEPS, CONFIG.latent))
    assert torch.equal(shut.kl(), codes.kl())
    gate = torch.autograd.grad(shut.kl().sum(), tuple(meta.switch.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in gate)


def test_proposals_are_samples_with_noise_and_means_without(meta: Metacontroller) -> None:
    noise = torch.randn(ROWS, STEPS, CONFIG.latent)
    codes, means = meta(_stream(), _mask(), noise), meta(_stream(), _mask())
    torch.testing.assert_close(codes.proposals, codes.mu + codes.log_sigma.exp() * noise)
    assert torch.equal(means.proposals, means.mu)


def test_the_configuration_sets_the_initial_sigma() -> None:
    meta = Metacontroller(DiscoveryConfig(layer=1, log_sigma=-2.0), D_MODEL)
    assert (meta(_stream(), _mask()).log_sigma == -2.0).all()


def test_stepping_gives_the_gates_of_the_whole_sequence(meta: Metacontroller) -> None:
    stream = _stream()
    whole = meta(stream, _mask(), torch.randn(ROWS, STEPS, CONFIG.latent))
    state = meta.start(ROWS)
    for t in range(STEPS):
        torch.testing.assert_close(meta.gate(stream[:, t], state), whole.beta[:, t])
        state = meta.advance(stream[:, t], state, whole.codes[:, t])
    assert state.steps == STEPS


def test_keeping_rows_of_a_state_keeps_their_future(meta: Metacontroller) -> None:
    stream, kept = _stream(), torch.tensor([3, 0])
    state = meta.start(ROWS)
    state = meta.advance(stream[:, 0], state, torch.randn(ROWS, CONFIG.latent))
    expected = meta.gate(stream[:, 1], state)[kept]
    torch.testing.assert_close(meta.gate(stream[kept, 1], state.keep(kept)), expected)


def test_it_acts_where_the_configuration_says(meta: Metacontroller) -> None:
    assert meta.hook_name == "blocks.0.hook_resid_post"


AHEAD = replace(CONFIG, lookahead=3, decoder="linear")


@pytest.mark.parametrize(
    ("steps", "stride", "read"), [(3, 1, (0, 1, 2, 3)), (5, 2, (0, 2, 4))], ids=["each", "strides"]
)
def test_looking_ahead_sees_the_steps_that_it_reads_and_no_others(
    steps: int, stride: int, read: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    ahead = LookAhead(D_MODEL, 4, steps, stride)
    stream, lengths = _stream().transpose(0, 1), torch.full((ROWS,), STEPS)
    before = ahead(stream, lengths)
    for moved in range(STEPS):
        changed = stream.clone()
        changed[moved] *= -1
        differs = (ahead(changed, lengths) != before).any(-1).any(-1)
        assert differs.tolist() == [moved - t in read for t in range(STEPS)]


def test_looking_ahead_is_the_same_gru_backwards() -> None:
    torch.manual_seed(0)
    ahead = LookAhead(D_MODEL, 4, steps=3)
    stream, lengths = _stream().transpose(0, 1), torch.full((ROWS,), STEPS)
    window = stream[[5, 4, 3, 2]]  # from three steps ahead of step 2 back to itself
    expected = ahead.gru(window.unsqueeze(0))[0, -1]
    torch.testing.assert_close(ahead(stream, lengths)[2], expected)


def test_looking_ahead_ends_with_the_episode() -> None:
    torch.manual_seed(0)
    meta, mask = Metacontroller(AHEAD, D_MODEL), _mask(9, 5, 4, 2, 1)
    changed = _stream() + ~mask.unsqueeze(-1)
    one, other = meta(_stream(), mask), meta(changed, mask)
    for name in ("mu", "codes", "beta"):
        torch.testing.assert_close(getattr(one, name)[mask], getattr(other, name)[mask])


def test_with_a_linear_decoder_an_untrained_one_does_nothing() -> None:
    meta = Metacontroller(AHEAD, D_MODEL)
    codes = meta(_stream(), _mask(), torch.randn(ROWS, STEPS, CONFIG.latent)).codes
    assert codes.any() and not meta.decoder.delta(codes, _stream()).any()
