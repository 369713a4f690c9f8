"""A loss that is a sum over pieces of a batch, and its gradient, the pieces at the same time.

    grad of sum_i L_i  =  sum_i grad of L_i

The products of a small model are too short to keep several processor cores busy, but pieces
of a batch are independent of each other: each runs in a thread of its own, on one core. Terms
are added in the order of the pieces, so the result has the same bits for any number of
threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens import processes
from irl_lens.models.weights import set_gradient

Figures = dict[str, float]
Piece = tuple[int, int, int]
"""First row, end row and steps of a slice of a batch."""
ResidualStream = Float[Tensor, "rows steps d_model"]
T = TypeVar("T")


def in_threads(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Makes all calls, as many at once as torch has threads, each in a thread of torch's own one.

    Returns:
        What they returned, in their order.
    """
    threads = torch.get_num_threads()
    alone = {"initializer": torch.set_num_threads, "initargs": (1,)}
    try:
        with ThreadPoolExecutor(threads, **alone) as pool:
            return list(pool.map(lambda call: call(), calls))
    finally:
        # torch gives the last number set in any thread to threads that start later.
        torch.set_num_threads(threads)


def backward(
    parameters: Iterable[Tensor], losses: Sequence[Callable[[], tuple[Tensor, Figures]]]
) -> list[Figures]:
    """Sets the gradient of a sum of losses, over all processes that train together.

    Args:
        parameters: What is trained, leaf tensors of any type; their gradients are replaced, by
            sums made in float32.
        losses: Each computes one term of the loss, and figures about it.

    Returns:
        The figures of every loss.
    """
    trained = list(parameters)

    def run(loss: Callable[[], tuple[Tensor, Figures]]) -> tuple[list[Tensor], Figures]:
        value, figures = loss()
        return list(torch.autograd.grad(value, trained)), figures

    gradients, figures = zip(*in_threads([partial(run, loss) for loss in losses]), strict=True)
    sums = in_threads([partial(_sum, *terms) for terms in zip(*gradients, strict=True)])
    for parameter, total in zip(trained, processes.summed(sums), strict=True):
        set_gradient(parameter, total)
    return list(figures)


def _sum(first: Tensor, *others: Tensor) -> Tensor:
    return sum(others, start=first.float())


def summed(
    stream: ResidualStream, pieces: Sequence[Piece], loss: Callable[[ResidualStream, Piece], Tensor]
) -> Float[Tensor, ""]:
    """Sums a loss over slices of the stream; differentiable in the stream, and in it alone.

    Args:
        stream: What the slices are cut from.
        pieces: The slices.
        loss: The loss of one, given its part of the stream.
    """
    return _Sum.apply(stream, pieces, loss)  # type: ignore[return-value]


class _Sum(torch.autograd.Function):
    """Makes each piece's gradient with its loss, in the same thread."""

    @staticmethod
    def forward(ctx: Any, stream: Tensor, pieces: Sequence[Piece], loss: Any) -> Tensor:
        """Sums the losses and keeps their gradients."""
        wanted = ctx.needs_input_grad[0]

        gradient = torch.zeros_like(stream)

        def run(piece: Piece) -> Tensor:
            first, end, steps = piece
            part = stream[first:end, :steps].detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                value = loss(part, piece)
            if wanted:
                (gradient[first:end, :steps],) = torch.autograd.grad(value, part)
            return value.detach()

        values = in_threads([lambda piece=piece: run(piece) for piece in pieces])
        ctx.save_for_backward(gradient)
        return torch.stack(values).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Scales the gradient that was made."""
        return grad * ctx.saved_tensors[0], None, None
