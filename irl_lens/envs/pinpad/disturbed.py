"""Boards on which something happens that no demonstration of training shows.

    moving      once half of the visits are done, and a step on, the colour asked for moves to a
                free cell, drawn uniformly from those with which the task can still be done in time
    slipping    a ~ (1 - epsilon) the agent's action + epsilon uniform(harmless actions)

Where a colour is to move and no such cell is left, it stays. Harmless are the actions that the
expert's own noise draws from (:mod:`irl_lens.envs.pinpad.expert`). Both draw from each row's own
generator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episode_rows import Flags
from irl_lens.envs.pinpad.expert import harmless_actions, mix
from irl_lens.envs.pinpad.layouts import Layouts, wall_mask
from irl_lens.envs.pinpad.planner import distances, move_table, optimal_actions, optimal_length
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv

STEPS_ON = 1
"""Steps from the visit that is half of the task to the move: the agent is on its way by then."""

Rows = Int[NDArray[np.intp], " k"]


class MovingVectorEnv(GridPinpadVectorEnv):
    """Boards on which the colour asked for moves, once an episode.

    Snapshots do not hold whether it has.

    Attributes:
        moved: Marks the rows in which it has.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._left = np.zeros(self.num_envs, np.int64)
        self.moved: Bool[NDArray[np.bool_], " n"] = np.zeros(self.num_envs, bool)

    def step(self, actions: ArrayLike) -> Any:
        """Takes one step in every row, and moves what is to move."""
        self._left -= self._half_done()
        observations, *rest = super().step(actions)
        due = np.flatnonzero((self._left == 0) & ~self._episodes.done)
        if len(due):
            self._move(due)
            observations = self._episodes.observe()
        return observations, *rest

    def expert_policy(self) -> Float[NDArray[np.float64], "n actions"]:
        """The expert's action probabilities on the boards as they are now; zeros where none is."""
        episodes, board = self._episodes, self._episodes.board
        state = episodes.state
        distance = distances(board, Layouts(state.objects, state.start))
        goal = np.maximum(episodes.goals[state.task, state.progress], 0)
        optimal = optimal_actions(distance, goal, state.cell, move_table(board.size))
        return mix(optimal, optimal, 0.0)

    def _restart(self, mask: Flags) -> None:
        self._left[mask], self.moved[mask] = STEPS_ON, False
        super()._restart(mask)

    def _half_done(self) -> Bool[NDArray[np.bool_], " n"]:
        state = self._episodes.state
        visits = (self._episodes.goals[state.task] >= 0).sum(axis=1)
        return state.progress >= visits // 2

    def _move(self, rows: Rows) -> None:
        """Tries one cell after the other, each row in an order of its own."""
        cells = self._episodes.board.cells
        order = np.stack([self._generator(row).permutation(cells) for row in rows.tolist()])
        for tried in range(order.shape[1]):
            there = order[:, tried]
            can = self._possible(rows, there)
            self._episodes.move(rows[can], self._wanted(rows[can]), there[can])
            self.moved[rows[can]] = True
            rows, order = rows[~can], order[~can]
            if not len(rows):
                return

    def _wanted(self, rows: Rows) -> Int[NDArray[np.int64], " k"]:
        state = self._episodes.state
        return self._episodes.goals[state.task[rows], state.progress[rows]]

    def _possible(
        self, rows: Rows, cells: Int[NDArray[np.int64], " k"]
    ) -> Bool[NDArray[np.bool_], " k"]:
        """Whether the colour asked for can move to a cell, and the task be done with it there."""
        state, board = self._episodes.state, self._episodes.board
        objects, here = state.objects[rows].copy(), state.cell[rows]
        free = (objects != cells[:, None]).all(axis=1) & (here != cells)
        objects[np.arange(len(rows)), self._wanted(rows)] = cells
        there = Layouts(objects, here)
        ahead = _ahead(self._episodes.goals[state.task[rows]], state.progress[rows])
        length = optimal_length(distances(board, there), there, ahead, move_table(board.size))
        return free & (length <= self.options.horizon - state.steps[rows])


class SlippingVectorEnv(GridPinpadVectorEnv):
    """Boards on which something else is done at times than the agent wants.

    Args:
        *args: See :class:`GridPinpadVectorEnv`.
        epsilon: Probability a step of a random harmless action.
        **options: See :class:`GridPinpadVectorEnv`.
    """

    def __init__(self, *args: Any, epsilon: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self.epsilon = epsilon

    def _restart(self, mask: Flags) -> None:
        super()._restart(mask)
        board, state = self._episodes.board, self._episodes.state
        layouts = Layouts(state.objects, state.start)
        self._distance, self._walls = distances(board, layouts), wall_mask(board, layouts)

    def _checked(self, actions: ArrayLike) -> NDArray[Any]:
        wanted = super()._checked(actions)
        self._episodes.check_begun()
        uniform = np.stack([generator.random(2) for generator in self.np_random])
        harmless = self._harmless()
        slips = (uniform[:, 0] < self.epsilon) & harmless.any(axis=1)
        # The k-th of the harmless actions, k uniform.
        k = (uniform[:, 1] * harmless.sum(axis=1)).astype(np.int64)
        other = (harmless.cumsum(axis=1) > k[:, None]).argmax(axis=1)
        return np.where(slips, other, wanted)

    def _harmless(self) -> Bool[NDArray[np.bool_], "n actions"]:
        state, board = self._episodes.state, self._episodes.board
        goal = np.maximum(self._episodes.goals[state.task, state.progress], 0)
        moves = move_table(board.size)
        return harmless_actions(self._distance, self._walls, goal, state.cell, moves)


def _ahead(
    goals: Int[NDArray[np.int64], "k visits"], progress: Int[NDArray[np.int64], " k"]
) -> Int[NDArray[np.int64], "k visits"]:
    """The visits that are still to be done, -1 after the last."""
    index = progress[:, None] + np.arange(goals.shape[1])
    there = np.take_along_axis(goals, np.minimum(index, goals.shape[1] - 1), axis=1)
    return np.where(index < goals.shape[1], there, -1)
