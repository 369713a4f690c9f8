"""Which abstract subgoals agents reach that nothing is asked of.

The first colours that an agent visits say which abstract subgoal it reached first: the one whose
colours they are, in order. Then it begins anew. An agent that visits what belongs to none has
strayed.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.limits import check_whole
from irl_lens.envs.pinpad.spec import PinpadSpec

Whole = Int[NDArray[np.int64], " n"]
Flags = Bool[NDArray[np.bool_], " n"]


class Reached:
    """What a number of agents have reached so far.

    Args:
        world: The world whose subgoals these are.
        n: Number of agents.
        subgoals: How many are taken note of.

    Attributes:
        reached: Abstract subgoals in the order they were reached, ``[n, subgoals]``; -1 where
            there is none.
        at: Steps taken when each was reached, -1 where there is none.
    """

    def __init__(self, world: PinpadSpec, n: int, subgoals: int) -> None:
        check_whole("subgoals", subgoals, 1, world.horizon)
        colours = world.grammar.subgoals
        self._table = np.full((len(colours), 1 + max(map(len, colours))), -1)
        for row, sequence in zip(self._table, colours, strict=True):
            row[: len(sequence)] = sequence
        self._possible = np.ones((n, len(self._table)), bool)
        self._position = np.zeros(n, np.int64)
        self.reached, self.at = np.full((2, n, subgoals), -1)

    @property
    def counts(self) -> Whole:
        """How many each agent has reached."""
        return np.sum(self.reached >= 0, axis=1)

    @property
    def complete(self) -> Flags:
        """Marks the agents that have reached as many as are taken note of."""
        return self.reached[:, -1] >= 0

    @property
    def strayed(self) -> Flags:
        """Marks the agents that visited what belongs to no subgoal."""
        return np.asarray(~self._possible.any(axis=1))

    def note(self, colours: Whole, steps: Whole) -> None:
        """Takes note of visits, of agents that have not yet reached all.

        Args:
            colours: The colour that each agent has just visited; -1 is none.
            steps: Steps that each has taken.
        """
        visits = colours >= 0
        fits = colours[:, None] == self._table[:, self._position].T
        self._possible &= fits | ~visits[:, None]
        self._position = self._position + visits
        complete = self._possible & (self._table[:, self._position].T < 0) & visits[:, None]
        ends, count = complete.any(axis=1), self.counts
        rows = np.flatnonzero(ends)
        self.reached[rows, count[rows]] = complete[rows].argmax(axis=1)
        self.at[rows, count[rows]] = steps[rows]
        self._possible[ends], self._position = True, np.where(ends, 0, self._position)
