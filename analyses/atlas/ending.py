"""How long a code would be held, and what ends it: the gate's next opening against arrival.

A code is taken up at the first step and again whenever the gate opens, so nothing changes but
that it is known when the gate would have let go of it. Arrival is the step at which the agent
first stands where its first subgoal is completed. By chance means: the openings dealt anew
among the episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.analyses.rollouts.taskless import Course
from irl_lens.analyses.stats.estimates import Estimate, mean, proportion
from irl_lens.arrays import NDArray

Steps = Int[NDArray[np.int64], " n"]


@dataclass(frozen=True)
class Ending:
    """When the gate opens, of agents that arrive somewhere.

    Attributes:
        dwell: Steps until the gate opens, where it does.
        arrival: Share of agents whose gate first opens on arrival.
        early: The same, before.
        late: The same, later.
        chance: Share that would open on arrival by chance.
        p: p-value of the share on arrival, one-sided, against openings dealt anew.
        delays: Steps from arrival to the opening, of each agent whose gate opens.
    """

    dwell: Estimate
    arrival: Estimate
    early: Estimate
    late: Estimate
    chance: float
    p: float
    delays: Int[NDArray[np.int64], " openings"]

    def __str__(self) -> str:
        if not np.isfinite(self.arrival.value):
            return "No agent arrives anywhere, so nothing is known of when the gate ends it."
        return (
            f"The gate next opens after {self.dwell.value:.1f} steps, on arrival in "
            f"{self.arrival.value:.3f} of episodes (by chance {self.chance:.3f}, p {self.p:.3f}), "
            f"earlier in {self.early.value:.3f}, later in {self.late.value:.3f}."
        )


def ending(
    gate: Bool[NDArray[np.bool_], "n steps"], course: Course, seed: int = 0, draws: int = 999
) -> Ending:
    """Compares openings with arrivals.

    Args:
        gate: Where it opens.
        course: Where the agents went, beyond their first subgoal.
        seed: Seed of the dealing.
        draws: How often openings are dealt anew.
    """
    steps = np.arange(gate.shape[1])
    opens = gate & (steps > 0) & (steps < course.lengths[:, None])
    counted = (course.reached[:, 0] >= 0) & (course.at[:, 0] < course.lengths)
    first = np.where(opens.any(axis=1), opens.argmax(axis=1), -1)[counted]
    arrived, found = course.at[counted, 0], first >= 0
    chance, p = _dealt(first, arrived, seed, draws)
    return Ending(
        mean(first[found]),
        proportion(first == arrived),
        proportion(found & (first < arrived)),
        proportion(first > arrived),
        chance,
        p,
        (first - arrived)[found],
    )


def _dealt(first: Steps, arrived: Steps, seed: int, draws: int) -> tuple[float, float]:
    """Share of openings on arrival when they are dealt anew, and how often it is as large."""
    if not len(first):
        return nan, nan
    rng = np.random.default_rng(seed)
    shares = [(rng.permutation(first) == arrived).mean() for _ in range(draws)]
    as_large = 1 + int((np.array(shares) >= (first == arrived).mean()).sum())
    return float(np.mean(shares)), as_large / (1 + draws)
