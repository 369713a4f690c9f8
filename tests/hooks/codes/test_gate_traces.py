"""Gates changed: interventions on a trace, and null models that keep its rate."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from irl_lens.hooks import circularly_shifted, forced, replayed, shifted, shuffled, silenced

BETA = torch.tensor([[1.0, 0.1, 0.7, 0.2, 0.5], [1.0, 0.0, 0.4, 0.4, 0.3]])


def test_interventions():
    before = BETA.clone()
    assert forced(BETA, [1])[:, 1].tolist() == [1, 1]
    assert torch.equal(forced(BETA, [1])[:, 2:], BETA[:, 2:])
    assert silenced(BETA, [2, 4]).gt(0.45).sum().item() == 2
    assert silenced(BETA, BETA < 1).sum() == 2
    assert torch.equal(replayed(BETA, BETA[1:]), BETA[[1, 1]])
    assert torch.equal(replayed(BETA, BETA.flip(0), [2])[:, 2], BETA.flip(0)[:, 2])
    assert torch.equal(BETA, before)


def test_switches_are_changed_as_gates_are():
    for change in (
        lambda trace: forced(trace, [1]),
        lambda trace: silenced(trace, [2]),
        lambda trace: shifted(trace, 1),
    ):
        assert torch.equal(change(BETA >= 0.5), change(BETA) >= 0.5)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (0, [1.0, 0.1, 0.7, 0.2, 0.5]),
        (1, [1.0, 0.0, 0.1, 0.7, 0.2]),
        (-1, [1.0, 0.7, 0.2, 0.5, 0.0]),
        (9, [1.0, 0.0, 0.0, 0.0, 0.0]),
        (-9, [1.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_shifted(by, expected):
    assert shifted(BETA, by)[0].tolist() == torch.tensor(expected).tolist()


def test_steps_outside_are_refused():
    for change in (forced, silenced):
        with pytest.raises(ValueError, match="step 5 is outside the sequence of 5"):
            change(BETA, [5])
        with pytest.raises(ValueError, match=r"mask is torch\.bool \(2, 4\); .* \(2, 5\)"):
            change(BETA, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="cut or pad the record"):
        replayed(BETA, BETA[:, :4])


@st.composite
def traces(draw) -> tuple[Tensor, Tensor, int]:
    """A gate of distinct values, or of switches, valid lengths, and a seed."""
    rows, steps = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    numbers = draw(st.permutations(range(rows * steps)))
    beta = torch.tensor(numbers, dtype=torch.float32).reshape(rows, steps) / (rows * steps)
    lengths = draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    return beta, torch.tensor(lengths), draw(st.integers(0, 2**32))


@settings(deadline=None)
@given(traces())
def test_null_models_keep_step_0_padding_and_every_value(case):
    beta, lengths, seed = case
    before = beta.clone()
    for null in (circularly_shifted, shuffled):
        moved = null(beta, lengths, generator=torch.Generator().manual_seed(seed))
        again = null(beta, lengths, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(moved, again) and torch.equal(beta, before)
        assert torch.equal(moved[:, 0], beta[:, 0])
        assert torch.equal(moved.sort(1).values, beta.sort(1).values)
        for row, length in enumerate(lengths.tolist()):
            assert torch.equal(moved[row, length:], beta[row, length:])
        switching = null(beta >= 0.5, lengths, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(switching, moved >= 0.5)


@settings(deadline=None)
@given(traces())
def test_a_circular_shift_is_a_rotation_and_moves_every_row_that_can(case):
    beta, lengths, seed = case
    moved = circularly_shifted(beta, lengths, generator=torch.Generator().manual_seed(seed))
    for row, length in enumerate(lengths.tolist()):
        inside, after = beta[row, 1:length], moved[row, 1:length]
        rotations = [by for by in range(len(inside)) if torch.equal(inside.roll(by), after)]
        assert len(inside) < 2 or (rotations and rotations != [0])
        if rotations:
            by = torch.full_like(lengths, rotations[0])
            assert torch.equal(circularly_shifted(beta, lengths, by)[row], moved[row])
            assert torch.equal(circularly_shifted(moved, lengths, -by)[row], beta[row])


@pytest.mark.parametrize(("null", "steps"), [(circularly_shifted, 4), (shuffled, 5)])
def test_every_step_is_as_likely(null, steps):
    beta = torch.zeros(20_000, 8)
    beta[:, [0, 2]] = 1
    lengths = torch.full((20_000,), 6)
    moved = null(beta, lengths, generator=torch.Generator().manual_seed(0))
    rate = moved[:, 1:].mean(0)
    assert moved[:, 0].all() and not moved[:, 6:].any()
    reached = rate[rate > 0]
    assert len(reached) == steps
    torch.testing.assert_close(reached, torch.full((steps,), 1 / steps), atol=0.015, rtol=0)
    assert (null is shuffled) == bool(rate[1])  # a shift by nothing is no shift


def test_lengths_that_do_not_fit_are_refused():
    for null in (circularly_shifted, shuffled):
        with pytest.raises(ValueError, match=r"\(3,\) lengths for 2 rows"):
            null(BETA, torch.tensor([5, 5, 5]))
        with pytest.raises(ValueError, match=r"lengths span 2\.\.6; .* 5 steps .* 0\.\.5"):
            null(BETA, torch.tensor([2, 6]))


def test_switches_replayed_are_those_of_the_record():
    soft = torch.tensor([[1.0, 0.2, 0.7]])
    assert replayed(soft < 0, soft).tolist() == [[True, False, True]]
    assert replayed(0 * soft, soft >= 0.5).tolist() == [[1.0, 0.0, 1.0]]
