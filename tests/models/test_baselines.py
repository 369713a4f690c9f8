"""Decoders and a gate to compare with: of the same size, of one controller, told when to open."""

from __future__ import annotations

import pytest
import torch

from irl_lens.config.overrides import changed
from irl_lens.config.presets import preset
from irl_lens.config.validation import check_preset
from irl_lens.errors import NotOffered, UserError
from irl_lens.hooks import ControllerBank, LinearDecoder, LowRankController
from irl_lens.models.baselines import PickedController, RotatedDecoder, TrueSwitching
from irl_lens.models.causal import MetaCodes
from irl_lens.models.metacontroller import Metacontroller

D_MODEL, N_Z = 8, 3


@pytest.fixture
def decoder() -> LinearDecoder:
    torch.manual_seed(0)
    decoder = LinearDecoder(N_Z, D_MODEL)
    torch.nn.init.normal_(decoder.matrices)
    return decoder


def test_random_controllers_change_the_stream_by_as_much(decoder: LinearDecoder) -> None:
    random = RotatedDecoder(decoder, seed=1)
    z, e = torch.randn(50, N_Z), torch.randn(50, D_MODEL)
    found, own = random.delta(z, e), decoder.delta(z, e)
    torch.testing.assert_close(found.norm(dim=1), own.norm(dim=1))
    assert torch.cosine_similarity(found, own).abs().mean() < 0.6
    assert torch.equal(RotatedDecoder(decoder, seed=1).delta(z, e), found)
    assert not torch.equal(RotatedDecoder(decoder, seed=2).delta(z, e), found)


def test_the_largest_entry_of_a_code_picks_its_controller() -> None:
    torch.manual_seed(0)
    bank = ControllerBank.trainable(LowRankController, "abc", D_MODEL, "hook", rank=2)
    z, e = torch.randn(20, 3), torch.randn(20, D_MODEL)
    decoder = PickedController(bank)
    assert (decoder.n_z, decoder.d_model) == (3, D_MODEL)
    expected = bank.labelled(z.argmax(1)[:, None]).delta(e[:, None])[:, 0]
    torch.testing.assert_close(decoder.delta(z, e), expected)
    torch.testing.assert_close(decoder.delta(5 * z, e), expected)


def test_true_switching_opens_where_the_subgoal_changes(decoder: LinearDecoder) -> None:
    gate, stream, code = (
        TrueSwitching(decoder, "hook", torch.device("cpu")),
        torch.randn(3, D_MODEL),
        torch.randn(3, N_Z),
    )
    state, opened = gate.start(3), []
    for told in ([2, 0, 1], [2, 1, 1], [0, 1, 1]):
        gate.observe({"subgoal": torch.tensor(told)})
        opened.append(gate.gate(stream, state).tolist())
        state = gate.advance(stream, state, code)
    assert opened == [[1, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert torch.equal(state.code, code) and state.steps == 3
    with pytest.raises(NotOffered, match=r"internal_rl\.switching=gate"):
        gate.observe({"visit": torch.tensor([0, 0, 0])})
    with pytest.raises(ValueError, match="not told"):
        gate.gate(stream[:2], state.keep(torch.tensor([0, 1])))


def test_an_open_gate_has_each_steps_proposal_in_force() -> None:
    torch.manual_seed(0)
    config = changed(preset("smoke"), ["discovery.gate=open", "codes.steps=0"]).discovery
    meta, mask = Metacontroller(config, D_MODEL), torch.ones(2, 6, dtype=torch.bool)
    codes = meta(torch.randn(2, 6, D_MODEL), mask, torch.randn(2, 6, config.latent))
    assert isinstance(codes, MetaCodes)
    assert torch.equal(codes.codes, codes.proposals) and (codes.beta == 1).all()
    state = meta.advance(torch.randn(2, D_MODEL), meta.start(2), codes.codes[:, 0])
    assert torch.equal(meta.gate(torch.randn(2, D_MODEL), state), torch.ones(2))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("discovery.gate=open",), r"take codes\.steps=0"),
        (("internal_rl.decoder=controllers",), r"internal_rl\.switching=true"),
        (
            (
                *("internal_rl.decoder=controllers", "internal_rl.switching=true"),
                *("internal_rl.start=prior", "controllers.layers=2"),
            ),
            "codes act at layer 1",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_preset(changed(preset("smoke"), settings))
