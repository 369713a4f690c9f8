"""Combinators against their equations."""

from __future__ import annotations

import pytest
import torch

from irl_lens.hooks import (
    Compose,
    FullController,
    Interpolate,
    Mask,
    ReplacePatch,
    Scale,
    Sequence,
    Sum,
    VectorController,
    first_switch,
)

D, ROWS, STEPS = 16, 3, 6
HOOK = "blocks.1.hook_resid_post"


@pytest.fixture
def x():
    return torch.randn(ROWS, STEPS, D)


@pytest.fixture
def a():
    return FullController(torch.randn(D, D), HOOK)


@pytest.fixture
def b():
    return VectorController(torch.randn(D), HOOK)


def test_scale(x, a):
    assert torch.equal(Scale(a, 0.0)(x), x)
    assert torch.equal(Scale(a, 1.0)(x), a(x))
    torch.testing.assert_close(Scale(a, -2.0)(x), x - 2 * a.delta(x))
    half = Scale(ReplacePatch(torch.zeros(1, 1, D), HOOK), 0.5)
    assert torch.equal(half(x), x / 2)


def test_sum_shows_each_part_the_same_stream(x, a, b):
    torch.testing.assert_close(Sum(a, b)(x), x + a.delta(x) + b.delta(x))
    torch.testing.assert_close(Sum(a, b)(x), Sum(b, a)(x))
    assert torch.equal(Sum(a)(x), a(x))


def test_interpolation_trains_both_ends_even_where_they_agree(x):
    a, b = (VectorController.zeros(D, HOOK) for _ in range(2))
    Interpolate(a, b, 0.25)(x).sum().backward()
    assert a.v.grad is not None and b.v.grad is not None
    torch.testing.assert_close(a.v.grad, torch.full((D,), 0.75 * ROWS * STEPS))
    torch.testing.assert_close(b.v.grad, torch.full((D,), 0.25 * ROWS * STEPS))
    both = Compose(a, b)  # a change that is none yet is trained too
    a.v.grad = None
    (2 * both)(x).sum().backward()
    torch.testing.assert_close(a.v.grad, torch.full((D,), 2.0 * ROWS * STEPS))


def test_sequence(x, a, b):
    y = Sequence(a, b, 2)(x)
    assert torch.equal(y[:, :2], a(x)[:, :2]) and torch.equal(y[:, 2:], b(x)[:, 2:])
    y = Sequence(a, b, torch.tensor([0, 4, STEPS]))(x)
    assert torch.equal(y[0], b(x)[0]) and torch.equal(y[2], a(x)[2])
    assert torch.equal(y[1, :4], a(x)[1, :4]) and torch.equal(y[1, 4:], b(x)[1, 4:])


def test_sequence_until_the_gate_fires(x, a, b):
    beta = torch.zeros(ROWS, STEPS)
    beta[:, 0], beta[1, 3] = 1, 0.8
    y = Sequence(a, b, first_switch(beta))(x)
    assert torch.equal(y[1, 3:], b(x)[1, 3:]) and torch.equal(y[1, :3], a(x)[1, :3])
    assert torch.equal(y[[0, 2]], a(x)[[0, 2]])


def test_mask(x, b):
    where = torch.zeros(ROWS, STEPS, dtype=torch.bool)
    where[1, 2] = where[0, 5] = True
    for mask, acts in (
        (Mask(b, where=where), where),
        (Mask(b, rows=[0], where=where), where & torch.tensor([[True], [False], [False]])),
        (Mask(b, where=where[:1]), where[:1].expand(ROWS, STEPS)),
    ):
        y = mask(x)
        assert torch.equal(y[acts], b(x)[acts]) and torch.equal(y[~acts], x[~acts])


@pytest.mark.parametrize(
    "where", [torch.ones(ROWS, STEPS), torch.ones(ROWS, STEPS).long(), torch.ones(STEPS).bool()]
)
def test_masks_that_are_none_are_refused(b, where):
    with pytest.raises(ValueError, match=r"where is torch\..*; give torch\.bool \[rows, steps\]"):
        Mask(b, where=where)


def test_mask_of_a_head_axis():
    z = torch.randn(ROWS, STEPS, 2, 8)
    patch = ReplacePatch(torch.zeros(1, 1, 1, 1), "blocks.0.attn.hook_z", heads=[1])
    where = torch.zeros(ROWS, STEPS, dtype=torch.bool)
    where[1, 2] = True
    y = Mask(patch, where=where)(z)
    assert not y[1, 2, 1].any() and (y != z).sum() == 8


def test_refusals(x, a, b):
    elsewhere = VectorController(torch.zeros(D), "blocks.0.hook_resid_post")
    with pytest.raises(ValueError, match=r"blocks\.1.*blocks\.0.*only those at one hook point"):
        Sum(a, elsewhere)
    with pytest.raises(ValueError, match="no hook point"):
        Sum()
    for until in (-1, STEPS + 1):
        with pytest.raises(ValueError, match=rf"step {until}, in a sequence of 6 steps"):
            Sequence(a, b, until)(x)
    with pytest.raises(ValueError, match="row 3 at"):
        Mask(b, rows=[3])(x)
    with pytest.raises(ValueError, match="step 6 at"):
        Mask(b, steps=[6])(x)
