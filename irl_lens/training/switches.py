"""How well switches fall on the boundaries between true abstract subgoals.

At the exact step unless labels are less exact than that; the first step of an episode never
counts, as its switch is forced. A switch hits a boundary at most ``tolerance`` steps away. Each is
used once: pairs at the same step first, then those one step apart, and so on, of equals the late
switch first.

The paper shows this by example traces only (arXiv 2512.20605, Fig. 6); here it is scored.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.processes import totals

Marks = Bool[NDArray[np.bool_], "rows steps"]
SURE = 1e-6
"""Probabilities nearer to 0 or 1 count as this near, so that all have log odds."""


@dataclass(frozen=True)
class SwitchCounts:
    """Switches as detections of boundaries, as counts, so that batches add up.

    Attributes:
        steps: Steps that happened, first steps excluded.
        fired: Those at which the hard gate opens.
        true: Those at which a new abstract subgoal begins.
        hits: Those at which both happen, or nearly.
    """

    steps: int = 0
    fired: int = 0
    true: int = 0
    hits: int = 0

    @classmethod
    def of(
        cls, switches: Marks, boundaries: Marks, mask: Marks, tolerance: int = 0
    ) -> SwitchCounts:
        """Counts in one batch; ``mask`` is True on steps that happened."""
        counted = mask.copy()
        counted[:, :1] = False
        fired, true = switches & counted, boundaries & counted
        found = hits(fired, true, tolerance)
        return cls(*(int(marks.sum()) for marks in (counted, fired, true, found)))

    def __add__(self, other: SwitchCounts) -> SwitchCounts:
        return SwitchCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def of_all_processes(self) -> SwitchCounts:
        """The counts of all processes that train together, added up."""
        return SwitchCounts(**{name: int(count) for name, count in totals(asdict(self)).items()})

    def scores(self) -> dict[str, float]:
        """Returns ``switch_rate`` (a step), ``precision``, ``recall`` and ``f1``.

        A ratio without any case, as precision without a switch, is 0.
        """
        return {
            "switch_rate": _ratio(self.fired, self.steps),
            "precision": _ratio(self.hits, self.fired),
            "recall": _ratio(self.hits, self.true),
            "f1": _ratio(2 * self.hits, self.fired + self.true),
        }


def hits(switches: Marks, boundaries: Marks, tolerance: int) -> Int[NDArray[np.int64], " rows"]:
    """Counts each episode's hits.

    Args:
        switches: Where the hard gate opens, but on first steps.
        boundaries: Where a new subgoal begins, likewise.
        tolerance: Steps.
    """
    left, free, found = switches.copy(), boundaries.copy(), np.zeros(len(switches), np.int64)
    for distance in range(tolerance + 1):
        for offset in sorted({distance, -distance}, reverse=True):
            pairs = left & moved(free, offset)
            left &= ~pairs
            free &= ~moved(pairs, -offset)
            found += pairs.sum(axis=1)
    return found


def moved(marks: Marks, by: int) -> Marks:
    """Returns marks ``by`` steps later (earlier if negative); what leaves the episode is lost."""
    result = np.zeros_like(marks)
    steps = marks.shape[1]
    if abs(by) < steps:
        result[:, max(by, 0) : steps + min(by, 0)] = marks[:, max(-by, 0) : steps - max(by, 0)]
    return result


def two_levels(
    values: Float[NDArray[np.floating], " n"],
    limits: tuple[float, float] = (0.0, 1.0),
    bins: int = 200,
) -> float:
    """The threshold within limits that splits values into two groups of least variance within.

    Otsu's method (IEEE Transactions on Systems, Man and Cybernetics 9, 1979): equivalently the
    variance between the groups is largest.
    """
    counts, edges = np.histogram(values, bins, limits)
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum()[:-1], (counts * centres).cumsum()[:-1]
    above, rest = counts.sum() - below, (counts * centres).sum() - sums
    distance = sums / np.maximum(below, 1) - rest / np.maximum(above, 1)
    return float(edges[1:-1][(below * above * distance**2).argmax()])


def two_levels_of_odds(probabilities: Float[NDArray[np.floating], " n"]) -> float:
    """The probability that splits probabilities into two groups by their log odds.

    What is rare, and not sure to happen where it may, is at a few in a hundred or at a few in ten;
    halfway between those on the scale of probabilities, much of the upper group is below.
    """
    kept = np.clip(probabilities.astype(np.float64), SURE, 1 - SURE)
    odds = np.log(kept / (1 - kept))
    limits = float(odds.min()), float(odds.max())
    return float(1 / (1 + np.exp(-two_levels(odds, limits))))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def peaks(
    values: Float[NDArray[np.floating[Any]], "rows steps"], mask: Marks, reach: int, least: float
) -> Marks:
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
