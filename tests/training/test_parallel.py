"""Pieces in threads: the sum, its gradient, and the same bits for any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from irl_lens.training.parallel import Piece, in_threads, summed

PIECES = ((0, 2, 5), (2, 3, 4), (3, 6, 2))


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def _loss(part: Tensor, piece: Piece) -> Tensor:
    return (part**3).sum() * (1 + piece[0])


def test_results_come_in_order_and_threads_are_left_as_they_were(threads: int) -> None:
    found = in_threads([lambda i=i: (i, torch.get_num_threads()) for i in range(7)])
    assert found == [(i, 1) for i in range(7)]
    assert torch.get_num_threads() == threads


def test_an_error_in_a_piece_is_raised(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        in_threads([lambda: 1, lambda: 1 // 0])
    assert torch.get_num_threads() == threads


def test_the_sum_and_its_gradient_are_those_of_the_slices(threads: int) -> None:
    stream = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = summed(2 * stream, PIECES, _loss)
    (gradient,) = torch.autograd.grad(total * 7, stream)
    slices = [_loss(2 * stream[a:b, :steps], (a, b, steps)) for a, b, steps in PIECES]
    expected = torch.stack(slices).sum()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(7 * expected, stream)[0])
    assert not gradient[3:, 2:].any()


def test_the_bits_do_not_depend_on_the_threads() -> None:
    stream = torch.randn(6, 5, 3)
    results = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        leaf = stream.clone().requires_grad_()
        total = summed(leaf, PIECES, _loss)
        results.append((total.detach(), *torch.autograd.grad(total, leaf)))
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_without_gradients_none_are_made(threads: int) -> None:
    def loss(part: Tensor, piece: Piece) -> Tensor:
        assert not torch.is_grad_enabled() and not part.requires_grad
        return part.sum()

    stream = torch.randn(6, 5, 3)
    with torch.no_grad():
        total = summed(stream, PIECES, loss)
    torch.testing.assert_close(total, sum(stream[a:b, :steps].sum() for a, b, steps in PIECES))
