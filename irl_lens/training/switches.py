"""How well switches fall on the boundaries between true abstract subgoals.

Exact step, no tolerance; the first step of an episode never counts, as its switch is forced.
The paper shows this by example traces only (arXiv 2512.20605, Fig. 6); here it is scored.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from jaxtyping import Bool, Float

from irl_lens.arrays import NDArray

Marks = Bool[NDArray[np.bool_], "rows steps"]


@dataclass(frozen=True)
class SwitchCounts:
    """Switches as detections of boundaries, as counts, so that batches add up.

    Attributes:
        steps: Steps that happened, first steps excluded.
        fired: Those at which the hard gate opens.
        true: Those at which a new abstract subgoal begins.
        hits: Those at which both happen.
    """

    steps: int = 0
    fired: int = 0
    true: int = 0
    hits: int = 0

    @classmethod
    def of(cls, switches: Marks, boundaries: Marks, mask: Marks) -> SwitchCounts:
        """Counts in one batch; ``mask`` is True on steps that happened."""
        counted = mask.copy()
        counted[:, :1] = False
        fired, true = switches & counted, boundaries & counted
        return cls(*(int(marks.sum()) for marks in (counted, fired, true, fired & true)))

    def __add__(self, other: SwitchCounts) -> SwitchCounts:
        return SwitchCounts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

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


def two_levels(values: Float[NDArray[np.floating], " n"], bins: int = 200) -> float:
    """The threshold in [0, 1] that splits values into two groups of least variance within.

    Otsu's method (IEEE Transactions on Systems, Man and Cybernetics 9, 1979): equivalently the
    variance between the groups is largest.
    """
    counts, edges = np.histogram(values, bins, (0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    below, sums = counts.cumsum()[:-1], (counts * centres).cumsum()[:-1]
    above, rest = counts.sum() - below, (counts * centres).sum() - sums
    distance = sums / np.maximum(below, 1) - rest / np.maximum(above, 1)
    return float(edges[1:-1][(below * above * distance**2).argmax()])


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
