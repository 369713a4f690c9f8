"""Ants that go astray: states from which an expert would not be seen otherwise.

At each control step an ant that is on its way goes astray with a given probability: its gait then
walks in a direction drawn at random, and not in the one that the expert asks for, until it is on
its way again, with probability 1 / STEPS a step. It goes no farther than to where it would be over
within AHEAD: in a cell that it may not enter, whatever its goal, or outside.

What the expert asks for is recorded all the same. So actions are the expert's, drawn as ever from
its Gaussian for what is observed and for the goal, and what the ant does in their place does not
depend on the goal: the exact filter stays what it is. But where the ant is, how it moves and how
its legs stand no longer tell what the expert asks for. Where they do, they tell it better than
arena and goal, and who imitates learns to go on as before ("copycat": de Haan et al. 2019, causal
confusion in imitation learning). What ends up elsewhere and is asked to come back is the
dataset-aggregation idea (Ross et al. 2011) with random walks in place of the learner's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import OUTSIDE, Arena

STEPS = 12
"""Control steps that an ant is astray, on average: it takes about as many to turn round."""
AHEAD = 0.5
"""How far ahead in time nothing may be in its way [s]: it takes about 0.3 s to stop."""
FAST = 2.0
"""Speed at which an ant walks [m/s]."""

Places = Float[NDArray[np.floating[Any]], "k 2"]


class Straying:
    """The directions in which ants are led astray.

    Args:
        arena: The cells.
        objects: Cell of each colour, then of each wall, one row an ant.
        probability: That one on its way goes astray, a control step.
    """

    def __init__(
        self, arena: Arena, objects: Int[NDArray[np.int64], "n objects"], probability: float
    ) -> None:
        self._arena, self._objects, self._probability = arena, objects, probability
        self._directions = np.full(len(objects), np.nan)

    def commands(
        self,
        rows: Int[NDArray[np.int64], " k"],
        places: Places,
        velocities: Places,
        rng: np.random.Generator,
    ) -> tuple[Bool[NDArray[np.bool_], " k"], Float[NDArray[np.float64], " led"]]:
        """Marks the ants that are astray at this step, and says where they are led [rad].

        Args:
            rows: The ants.
            places: Where each is [m].
            velocities: How it moves [m/s].
            rng: Draws who goes astray, where, and for how long.
        """
        chance, drawn = rng.random(len(rows)), rng.uniform(-np.pi, np.pi, len(rows))
        before = self._directions[rows]
        begun = np.where(chance < self._probability, drawn, np.nan)
        kept = np.where(chance < 1 / STEPS, np.nan, before)
        now = np.where(np.isnan(before), begun, kept)
        now[~self._is_safe(rows, places, velocities, now)] = np.nan
        self._directions[rows] = now
        astray = ~np.isnan(now)
        return astray, now[astray]

    def _is_safe(
        self,
        rows: Int[NDArray[np.int64], " k"],
        places: Places,
        velocities: Places,
        directions: Float[NDArray[np.float64], " k"],
    ) -> Bool[NDArray[np.bool_], " k"]:
        """Whether nothing is in the way, be it going on as now or turning to the direction."""
        there = np.nan_to_num(directions)
        way = FAST * np.stack([np.cos(there), np.sin(there)], axis=1)
        half = AHEAD / 2
        ahead = np.stack([half * velocities, AHEAD * velocities, half * (velocities + way)], axis=1)
        cells = self._arena.cells(places[:, None] + ahead)
        blocked = (cells[:, :, None] == self._objects[rows][:, None]).any(axis=2)
        return ~(blocked | (cells == OUTSIDE)).any(axis=1)
