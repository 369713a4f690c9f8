"""Boards on which nothing is asked for: where an agent goes by itself.

The world's own moves and visits, without a task (:mod:`irl_lens.envs.pinpad.reached`). The episode
of an agent that has strayed ends, as it does with a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.dynamics import checked_actions, terrain
from irl_lens.envs.pinpad.expert import visit_table
from irl_lens.envs.pinpad.layouts import Layouts, sample_layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.planner import doable
from irl_lens.envs.pinpad.reached import Reached
from irl_lens.envs.pinpad.spec import PinpadSpec, plain_values
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec


class Roaming:
    """Boards without a task; an :class:`irl_lens.envs.protocol.VectorWorld`.

    Args:
        world: The world whose boards, moves and subgoals these are.
        n: Number of boards.
        subgoals: An episode ends once so many subgoals were reached.
        layouts: One board for all rows; drawn at each reset when not given.

    Attributes:
        lengths: Steps taken in all, ``[n]``.
    """

    def __init__(
        self, world: PinpadSpec, n: int, subgoals: int = 1, layouts: Layouts | None = None
    ) -> None:
        check_whole("n", n, 1, MAX_ROWS)
        self._visits = Reached(world, n, subgoals)
        self.world, self.num_envs, self.subgoals = world, n, subgoals
        self._given = layouts

    def reset(self, *, seed: int) -> tuple[NDArray[np.int32], dict[str, Any]]:
        """Draws boards, uniformly and without overlap, unless one was given."""
        n = self.num_envs
        if self._given is None:
            drawn = sample_layouts(self.world.board, n, np.random.default_rng(seed))
        else:
            drawn = self._given.rows(np.zeros(n, np.intp))
        self._layouts = drawn
        self._terrain = terrain(self.world.board, self._layouts)
        self._cell, self._displacement = self._layouts.start.copy(), np.zeros(n, np.int64)
        self._path, self.lengths = [self._cell.copy()], np.zeros(n, np.int64)
        self._over = np.zeros(n, bool)
        self._visits = Reached(self.world, n, self.subgoals)
        return self._observe()

    def step(
        self, actions: Int[NDArray[np.int64], " n"]
    ) -> tuple[NDArray[np.int32], Any, Any, Any, dict[str, Any]]:
        """Moves all agents whose episode is not over; refuses what is no move."""
        actions = checked_actions(actions, self.num_envs)
        live, rows = ~self._over, np.arange(self.num_envs)
        there = np.where(live, self._terrain.reach[rows, self._cell, actions], self._cell)
        moved = there != self._cell
        self._displacement = np.where(moved, actions + 1, np.where(live, 0, self._displacement))
        self._cell, self.lengths = there, self.lengths + live
        self._path.append(np.where(live, there, -1))
        colour = np.where(moved, self._terrain.colours[rows, there].astype(np.int64), -1)
        self._visits.note(colour, self.lengths)
        done = self._visits.complete
        self._over |= self._visits.strayed | done | (self.lengths >= self.world.horizon)
        observation, info = self._observe()
        return observation, (live & done).astype(float), done, self._over & ~done, info

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self.world.observation

    @property
    def actions(self) -> DiscreteActions:
        """The primitive actions."""
        return self.world.actions

    @property
    def reached(self) -> Int[NDArray[np.int64], "n subgoals"]:
        """Abstract subgoals in the order they were reached; -1 where there is none."""
        return self._visits.reached

    @property
    def at(self) -> Int[NDArray[np.int64], "n subgoals"]:
        """Steps taken when each was reached, -1 where there is none."""
        return self._visits.at

    @property
    def trail(self) -> Float[NDArray[np.float64], "n steps 2"]:
        """Column and row after each number of steps, the start first; NaN after the end."""
        path = self.path
        y, x = np.divmod(path, self.world.board.size)
        return np.where(path[..., None] >= 0, np.stack([x, y], axis=-1), np.nan)

    @property
    def path(self) -> Int[NDArray[np.int64], "n steps"]:
        """Cell after each number of steps, the start first; -1 after the end."""
        return np.stack(self._path, axis=1)

    @property
    def cells(self) -> int:
        """Cells of a board."""
        return self.world.board.cells

    def possible(self, tasks: Sequence[Sequence[int]]) -> Bool[NDArray[np.bool_], "n tasks"]:
        """Marks the tasks that can be done within the horizon, from where each row began."""
        goals = visit_table([self.world.grammar.colours(tuple(task)) for task in tasks])
        return doable(self.world.board, self._layouts, goals, self.world.horizon)

    def plain(self, row: int, task: Sequence[int]) -> dict[str, Any]:
        """Returns the board of a row as it was last reset, with a task to be asked for there.

        They are the plain values that ``stage`` of the world makes a situation of.
        """
        cells = *self._layouts.objects[row].tolist(), int(self._layouts.start[row])
        return plain_values(self.world, cells, tuple(task))

    def _observe(self) -> tuple[NDArray[np.int32], dict[str, Any]]:
        observation = self.world.observer.encode(
            self._layouts.objects, self._cell, self._displacement
        )
        # No subgoal is asked for: the labels number those that the agent has reached.
        count = self._visits.counts
        labels: dict[str, Any] = {name: count for name in ("subgoal", "visit", "progress")}
        every: Bool[NDArray[np.bool_], " n"] = np.ones(self.num_envs, bool)
        return observation, labels | {"solvable": every}
