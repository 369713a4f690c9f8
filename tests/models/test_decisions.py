"""The flat record of decisions and its padded forms."""

from __future__ import annotations

import torch

from irl_lens.models.decisions import Decisions


def record() -> Decisions:
    """Row 0 decides at 0 and 3, row 1 at 0, row 2 at 0, 1 and 2; in order of steps."""
    steps = torch.tensor([0, 0, 0, 1, 2, 3])
    rows = torch.tensor([0, 1, 2, 2, 2, 0])
    codes = torch.arange(12.0).view(6, 2)
    return Decisions(rows, steps, torch.randn(6, 4), codes, torch.arange(6.0))


def test_codes_are_held_between_decisions() -> None:
    held = record().held(3, 5)[..., 0]
    expected = torch.tensor([[0, 0, 0, 10, 10], [2, 2, 2, 2, 2], [4, 6, 8, 8, 8]]).float()
    assert torch.equal(held, expected)


def test_switches_are_where_decisions_were_made() -> None:
    marks = record().switches(3, 4).int().tolist()
    assert marks == [[1, 0, 0, 1], [1, 0, 0, 0], [1, 1, 1, 0]]


def test_chunks_hold_every_decision_once_and_in_order() -> None:
    decisions, seen = record(), {}
    for part in decisions.chunks(4):
        for row, mask, log_probs in zip(part.rows, part.mask, part.log_probs, strict=True):
            seen[int(row)] = log_probs[mask].tolist()
    assert seen == {0: [0, 5], 1: [1], 2: [2, 3, 4]}


def test_chunks_are_as_long_as_their_longest_and_the_longest_come_first() -> None:
    assert [tuple(part.mask.shape) for part in record().chunks(4)] == [(1, 3), (2, 2)]


def test_an_episode_longer_than_a_chunk_is_one() -> None:
    assert [tuple(part.mask.shape) for part in record().chunks(1)] == [(1, 3), (1, 2), (1, 1)]


def test_where_and_select_leave_the_rest_out() -> None:
    mask = torch.ones(3, 5, dtype=torch.bool)
    mask[2, 2:] = False
    assert record().where(mask).log_probs.tolist() == [0, 1, 2, 3, 5]
    some = record().select(torch.tensor([2, 0]))
    assert some.rows.tolist() == [1, 0, 0, 0, 1]
    assert some.log_probs.tolist() == [0, 2, 3, 4, 5]
