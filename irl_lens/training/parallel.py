"""Gradients of a loss that is a sum over pieces of a batch, the pieces at the same time.

    grad of sum_i L_i  =  sum_i grad of L_i

The products of a small model are too short to keep several processor cores busy, but pieces
of a batch are independent of each other: each runs in a thread of its own, on one core. The
gradients are added in the order of the pieces, so the result has the same bits for any
number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

Figures = dict[str, float]


def backward(
    parameters: Iterable[nn.Parameter], losses: Sequence[Callable[[], tuple[Tensor, Figures]]]
) -> list[Figures]:
    """Sets the gradient of a sum of losses, as many at once as torch has threads.

    Args:
        parameters: What is trained; their gradients are replaced.
        losses: Each computes one term of the loss, and figures about it.

    Returns:
        The figures of every loss.
    """
    trained, threads = list(parameters), torch.get_num_threads()

    def run(loss: Callable[[], tuple[Tensor, Figures]]) -> tuple[list[Tensor], Figures]:
        value, figures = loss()
        return list(torch.autograd.grad(value, trained)), figures

    alone = {"initializer": torch.set_num_threads, "initargs": (1,)}
    try:
        with ThreadPoolExecutor(threads, **alone) as pool:
            gradients, figures = zip(*pool.map(run, losses), strict=True)
    finally:
        # torch gives the last number set in any thread to threads that start later.
        torch.set_num_threads(threads)
    for parameter, *terms in zip(trained, *gradients, strict=True):
        parameter.grad = sum(terms[1:], start=terms[0])
    return list(figures)
