"""Where agents go under a controller, held from the first step, with a placebo and without.

Boards without a task (:mod:`irl_lens.analyses.roaming`), the same for all, with the same noise:
which abstract subgoal is reached first, after how many steps, and where time is spent. Boards
differ, so occupancy is of the board's cells and not of what lies on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from irl_lens.analyses.estimates import Estimate, mean, proportion
from irl_lens.analyses.roaming import Course, Field
from irl_lens.analyses.statistics import permutation_pvalue
from irl_lens.hooks import Intervention

SHOWN = 20
"""Failures listed."""


@dataclass(frozen=True)
class Way:
    """What agents did.

    Attributes:
        hits: Share that reached each subgoal first.
        steps: Steps until then, of those that reached one: how long a subgoal takes.
        occupancy: Share of time on each cell.
    """

    hits: tuple[Estimate, ...]
    steps: Estimate
    occupancy: Float[NDArray[np.float64], " cells"]


@dataclass(frozen=True)
class Behaviour:
    """A controller against a placebo and nothing.

    Attributes:
        steered: With the controller.
        placebo: With one of the same norm, in random directions.
        alone: Without any.
        p: Of its own subgoal's share, steered against placebo, paired by board.
        failures: Some boards on which its own subgoal was not the first.
        instead: The subgoal reached there, -1 for none.
    """

    steered: Way
    placebo: Way
    alone: Way
    p: float
    failures: Int[NDArray[np.int64], " failures"]
    instead: Int[NDArray[np.int64], " failures"]


def behave(
    field: Field,
    controller: Intervention,
    placebo: Intervention,
    alone: Course,
    own: int,
    subgoals: int,
) -> Behaviour:
    """Lets agents roam under a controller.

    Args:
        field: Boards and base.
        controller: Acts at every step.
        placebo: The same.
        alone: Where agents went without any, on the same boards.
        own: The subgoal that the controller is for.
        subgoals: How many there are.
    """
    courses = field.roam(controller), field.roam(placebo), alone
    steered, random, nothing = (_way(course, subgoals) for course in courses)
    first, against = (course.reached[:, 0] for course in courses[:2])
    failed = np.flatnonzero(first != own)[:SHOWN]
    p = permutation_pvalue(first == own, against == own)
    return Behaviour(steered, random, nothing, p, failed, first[failed])


def _way(course: Course, subgoals: int) -> Way:
    first, cells = course.reached[:, 0], course.occupancy(np.zeros(len(course.lengths), np.int64))
    moved = ~np.isnan(cells).any(axis=1)
    return Way(
        tuple(proportion(first == g) for g in range(subgoals)),
        mean(course.at[first >= 0, 0]),
        cells[moved].mean(axis=0) if moved.any() else np.zeros(course.cells),
    )
