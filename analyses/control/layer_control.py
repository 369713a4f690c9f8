"""What the controllers of one layer do: the measures that every figure of controllers draws."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.stats.estimates import Estimate


@dataclass(frozen=True)
class LayerControl:
    """What the controllers of one layer do.

    Attributes:
        layer: At its output; counted from 1.
        nll: Action NLL with them [nats].
        gap_closed: See :mod:`irl_lens.analyses.control.by_layer`; NaN where the world has no
            filter, and so no known gap.
        random_gap_closed: The same with the control.
        outcome: Held-out task, true subgoals in order.
        random: The same with the control.
        p: p-value of the subgoals reached against the control's on the same solvable boards, by
            exchanging the two; among several layers adjusted for all.
    """

    layer: int
    nll: Estimate
    gap_closed: Estimate
    random_gap_closed: Estimate
    outcome: Outcome
    random: Outcome
    p: float

    @property
    def gap_known(self) -> bool:
        """Whether the world has a filter."""
        return isfinite(self.gap_closed.value)

    @property
    def steers(self) -> bool:
        """Whether some of the gap is closed, and more than by the control."""
        return self.gap_closed.low > max(0.0, self.random_gap_closed.high)

    def columns(self) -> dict[str, float]:
        """Returns all numbers as columns of a table."""
        return (
            self.nll.columns("nll")
            | self.gap_closed.columns("gap_closed")
            | self.random_gap_closed.columns("random_gap_closed")
            | self.outcome.columns()
            | self.random.columns("random_")
            | {"p": self.p}
        )
