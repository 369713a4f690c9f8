"""Codes of segments: where they end, what they depend on, the gate in steps and at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from irl_lens.config.schema import CodesConfig
from irl_lens.models.segments import SegmentMetacontroller, rested, segment_ends

ROWS, STEPS, D_MODEL = 3, 9, 12
CONFIG = CodesConfig(layer=1, history=4, hidden=6, latent=2, log_sigma=-1.0)


def _made(refractory: int = 0) -> SegmentMetacontroller:
    torch.manual_seed(0)
    meta = SegmentMetacontroller(replace(CONFIG, refractory=refractory), D_MODEL)
    for parameter in meta.switch.parameters():  # so that the gate opens now and then
        torch.nn.init.normal_(parameter)
    return meta


@pytest.fixture
def meta() -> SegmentMetacontroller:
    return _made()


def _mask(*lengths: int) -> Tensor:
    return torch.arange(STEPS) < torch.tensor(lengths).unsqueeze(1)


def _marks(*steps: int) -> Tensor:
    return torch.zeros(1, STEPS, dtype=torch.bool).index_fill_(1, torch.tensor(steps), True)


def test_a_segment_ends_where_the_next_begins() -> None:
    ends = segment_ends(_marks(0, 3, 4), _mask(7))
    assert ends[0].tolist() == [3, 3, 3, 4, 6, 6, 6, 6, 6]


def test_the_first_step_need_not_be_marked_and_padding_counts_for_nothing() -> None:
    assert torch.equal(
        segment_ends(_marks(3, 7, 8), _mask(7)), segment_ends(_marks(0, 3), _mask(7))
    )
    assert segment_ends(_marks(5), _mask(1)).tolist() == [[0] * STEPS]


def test_codes_are_constant_over_segments_and_read_their_ends_alone(
    meta: SegmentMetacontroller,
) -> None:
    stream, noise = torch.randn(1, STEPS, D_MODEL), torch.randn(1, STEPS, 2)
    args = _mask(8), _marks(3), torch.zeros(1, STEPS)
    before = meta.segments(stream, *args, noise).codes
    assert torch.equal(before[:, :3], before[:, :1].expand(-1, 3, -1))
    assert torch.equal(before[:, 3:8], before[:, 3:4].expand(-1, 5, -1))
    changed = stream.clone()
    changed[:, [0, 1, 2, 4, 5, 6, 8]] *= -1
    assert torch.equal(meta.segments(changed, *args, noise).codes[:, :8], before[:, :8])
    for end, steps in ((3, slice(0, 3)), (7, slice(3, 8))):
        moved = stream.clone()
        moved[:, end] = torch.randn(D_MODEL)
        codes = meta.segments(moved, *args, noise).codes
        assert (codes[:, steps] != before[:, steps]).any(-1).all()


def test_noise_is_one_draw_a_segment(meta: SegmentMetacontroller) -> None:
    stream, noise = torch.randn(1, STEPS, D_MODEL), torch.randn(1, STEPS, 2)
    args = stream, _mask(STEPS), _marks(4), torch.zeros(1, STEPS)
    mean, drawn = meta.segments(*args), meta.segments(*args, noise)
    spread = (drawn.codes - mean.mu) * torch.exp(-drawn.log_sigma)
    torch.testing.assert_close(spread[0, 0], noise[0, 4])
    torch.testing.assert_close(spread[0, 4], noise[0, STEPS - 1])
    torch.testing.assert_close(drawn.log_sigma, torch.full_like(mean.mu, -1.0))


def test_the_gate_is_causal_and_forced_at_the_first_step(meta: SegmentMetacontroller) -> None:
    stream, mask = torch.randn(ROWS, STEPS, D_MODEL), _mask(9, 9, 9)
    before = meta(stream, mask)
    assert torch.equal(before.beta[:, 0], torch.ones(ROWS))
    stream[:, 5:] = torch.randn(ROWS, STEPS - 5, D_MODEL)
    after = meta(stream, mask)
    assert torch.equal(after.beta[:, :5], before.beta[:, :5])
    assert not torch.equal(after.beta[:, 5:], before.beta[:, 5:])


def test_whole_sequences_are_cut_by_its_own_gate(meta: SegmentMetacontroller) -> None:
    stream, mask = torch.randn(ROWS, STEPS, D_MODEL), _mask(9, 6, 3)
    whole = meta(stream, mask)
    opened = whole.beta >= 0.5
    assert 0 < (opened & mask)[:, 1:].sum() < mask[:, 1:].sum()
    torch.testing.assert_close(whole.codes, meta.segments(stream, mask, opened, whole.beta).codes)


@pytest.mark.parametrize("refractory", [0, 2])
def test_stepping_gives_the_gates_of_the_whole_sequence(refractory: int) -> None:
    meta, stream = _made(refractory), torch.randn(ROWS, STEPS, D_MODEL)
    whole, state = meta(stream, _mask(9, 9, 9)), meta.start(ROWS)
    kept = torch.tensor([2, 0])
    for t in range(STEPS):
        torch.testing.assert_close(meta.gate(stream[:, t], state), whole.beta[:, t])
        torch.testing.assert_close(
            meta.gate(stream[kept, t], state.keep(kept)), whole.beta[kept, t]
        )
        code = torch.randn(ROWS, 2)  # whatever a policy puts in: the gate does not read it
        state = meta.advance(stream[:, t], state, code)
        assert torch.equal(state.code, code)
    opened = (whole.beta >= 0.5)[:, 1:]
    assert opened.any() and (whole.beta == 0).any() == bool(refractory)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 4))
def test_a_gate_rests_after_it_opened(wants: list[bool], refractory: int) -> None:
    logits = torch.where(torch.tensor([wants]), 1.5, -1.5)
    found, last = rested(logits, refractory)[0], 0
    assert found[0] == logits[0, 0]
    for t in range(1, len(wants)):
        rests = t - last <= refractory
        assert found[t] == (-torch.inf if rests else logits[0, t])
        last = t if wants[t] and not rests else last


def test_it_opens_from_another_level(meta: SegmentMetacontroller) -> None:
    stream, mask = torch.randn(ROWS, STEPS, D_MODEL), _mask(9, 9, 9)
    logits, before = meta.switch_logits(stream), meta(stream, mask).beta[:, 1:]
    meta.open_from(0.2)
    opened = meta(stream, mask).beta[:, 1:] >= 0.5
    assert torch.equal(opened, before >= 0.2) and not torch.equal(opened, before >= 0.5)
    torch.testing.assert_close(meta.switch_logits(stream), logits - torch.tensor(0.2).logit())
