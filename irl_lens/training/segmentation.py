"""Cuts demonstrations into segments whose ends explain them, without labels and without a gate.

    cost(a, b) = sum over a <= t < b of  -ln p(a_t | o_1..t, z(e_b))  +  price

A segment from step a to step b is coded by what the stream e_b tells where it ends
(:mod:`irl_lens.models.segments`). Among the candidates for a switch, those are taken whose
segments cost least in all, by dynamic programming: a segment more is worth its price in nats. As
codes of ends become better, ends that codes can name explain more, and others are given up. That
is a hard expectation step, as where hidden Markov models are trained by their best path; the
paper's gate (arXiv 2512.20605, App. D) is soft, and trained by gradients.

Candidates are the peaks of what a gate expects. What it is to expect at first is surprise: a
model that follows what a trajectory is after does not know what comes next where that changes
(boundaries of events as errors of prediction: Zacks et al., Psychological Bulletin 133, 2007).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray

Marks = Bool[NDArray[np.bool_], "rows steps"]
Values = Float[NDArray[np.floating[Any]], "rows steps"]


def peaks(values: Values, mask: Marks, reach: int, least: float) -> Marks:
    """Marks the first step, and steps with the largest value of all at most ``reach`` away.

    Args:
        values: One a step; the first step's does not count.
        mask: True on steps that happened; each row's come first.
        reach: Steps.
        least: Value that a peak has at least.
    """
    steps = mask.shape[1]
    held = np.pad(
        np.where(mask, values, -np.inf)[:, 1:], ((0, 0), (reach, reach)), constant_values=-np.inf
    )
    windows = np.lib.stride_tricks.sliding_window_view(held, 2 * reach + 1, axis=1)
    found = np.zeros_like(mask)
    found[:, 0] = mask[:, 0]
    inner = held[:, reach : reach + steps - 1]
    found[:, 1:] = (inner >= least) & (inner == windows.max(axis=2)) & mask[:, 1:]
    return found


def around(values: Values, reach: int) -> Values:
    """Sums the values of all steps at most ``reach`` away."""
    held = np.pad(values, ((0, 0), (reach, reach)))
    return np.lib.stride_tricks.sliding_window_view(held, 2 * reach + 1, axis=1).sum(axis=2)


def following(marks: Marks, mask: Marks, ahead: int) -> Int[NDArray[np.int64], "rows steps ahead"]:
    """Returns the next ``ahead`` marked steps after each; the last step where there are no more."""
    rows, steps = marks.shape
    last = np.maximum(mask.sum(axis=1) - 1, 0)
    found = np.empty((rows, steps, ahead), np.int64)
    for row in range(rows):
        at = np.flatnonzero(marks[row] & mask[row])
        ends = np.append(at, np.full(ahead, last[row]))
        first = np.searchsorted(at, np.arange(steps), side="right")
        found[row] = ends[first[:, None] + np.arange(ahead)]
    return found


def cheapest(
    costs: Float[NDArray[np.floating[Any]], "intervals ahead"],
    prices: Float[NDArray[np.floating[Any]], " intervals"],
) -> Bool[NDArray[np.bool_], " intervals"]:
    """Chooses where segments begin.

    Args:
        costs: Of each interval between one candidate and the next, the first of them, coded by the
            first, second, .. candidate after it; the end counts as one.
        prices: Of a segment that begins with the interval [nats].

    Returns:
        Which intervals begin a segment: the first, and others so that the sum is least.
    """
    n, ahead = costs.shape
    best, begins = np.full(n + 1, np.inf), np.zeros(n + 1, np.int64)
    best[0] = 0.0
    for end in range(1, n + 1):
        spent = 0.0
        for k in range(min(ahead, end)):
            begin = end - 1 - k
            spent += costs[begin, k]
            whole = best[begin] + prices[begin] + spent
            if whole < best[end]:
                best[end], begins[end] = whole, begin
    chosen, end = np.zeros(n, bool), n
    while end > 0:
        end = begins[end]
        chosen[end] = True
    return chosen


def segmented(
    candidates: Marks,
    mask: Marks,
    costs: Float[NDArray[np.floating[Any]], "rows steps ahead"],
    prices: Values,
) -> Marks:
    """Chooses among candidates; see :func:`cheapest`.

    Args:
        candidates: Where segments may begin; the first step is one.
        mask: True on steps that happened; each row's come first.
        costs: Of each step, coded by the first, second, .. candidate after it [nats].
        prices: Of a segment that begins at a step [nats].
    """
    chosen = np.zeros_like(candidates)
    for row, length in enumerate(mask.sum(axis=1)):
        at = np.flatnonzero(candidates[row, :length])
        if len(at):
            intervals = np.add.reduceat(costs[row, :length], at, axis=0)
            chosen[row, at[cheapest(intervals, prices[row, at])]] = True
    return chosen
