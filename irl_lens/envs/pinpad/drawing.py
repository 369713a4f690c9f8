"""Boards and tasks for episodes, each drawn from its row's own generator.

One call of ``random`` a draw, so that row ``i`` of a batch gets what an environment of its own
would get with that seed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts
from irl_lens.envs.pinpad.limits import too_rare
from irl_lens.envs.pinpad.planner import UNREACHABLE, distances, move_table, optimal_length

Drawn = tuple[Layouts, Int[NDArray[np.int64], " k"], Bool[NDArray[np.bool_], " k"]]
"""Boards, the task of each, and whether it can be done there."""


class BoardDraw:
    """Draws boards.

    Args:
        board: Size and objects.
        goals: Colours of every visit of every task, ``[tasks, visits + 1]``, -1 after the last.
        longest: Moves within which a task must be done for it to count as one that can be;
            None if any path will do.
        solvable: Draw until it can.

    Attributes:
        given: Boards to give out in place of fresh ones, over and over; often one.
    """

    def __init__(
        self, board: BoardSpec, goals: NDArray[np.int64], longest: int | None, solvable: bool
    ) -> None:
        self.board, self.goals, self.longest, self.solvable = board, goals, longest, solvable
        self.given: Layouts | None = None
        self._moves = move_table(board.size)

    def draw(self, generators: Sequence[np.random.Generator]) -> Drawn:
        """Returns one board and task a generator.

        Raises:
            ValueError: Next to none can be solved.
        """
        n, drawn = len(generators), 0
        objects, start = np.zeros((n, self.board.objects), np.int64), np.zeros(n, np.int64)
        task, solvable, missing = start.copy(), np.zeros(n, bool), np.arange(n)
        while not too_rare(n - len(missing), drawn):
            drawn += len(missing)
            layouts, tasks, can = self._once([generators[int(i)] for i in missing])
            keep = can | (not self.solvable)
            at = missing[keep]
            objects[at], start[at] = layouts.objects[keep], layouts.start[keep]
            task[at], solvable[at] = tasks[keep], can[keep]
            missing = missing[~keep]
            if not len(missing):
                return Layouts(objects, start), task, solvable
        within, longer = "", ""
        if self.longest is not None:
            within, longer = f" within horizon {self.longest}", "a longer horizon, "
        raise ValueError(
            f"on {n - len(missing)} of {drawn} boards drawn the task can be done{within}; take "
            f"{longer}fewer walls or solvable=False"
        )

    def _once(self, generators: Sequence[np.random.Generator]) -> Drawn:
        """Draws one board and task a generator, uniformly and without overlap."""
        uniform = np.stack([g.random(self.board.cells + 1) for g in generators])
        cells = uniform[:, :-1].argsort(axis=1)[:, : self.board.objects + 1]
        layouts = Layouts(cells[:, :-1], cells[:, -1])
        if self.given is not None:
            layouts = self.given.rows(np.arange(len(generators)) % len(self.given))
        task = (uniform[:, -1] * len(self.goals)).astype(np.int64)
        distance = distances(self.board, layouts)
        length = optimal_length(distance, layouts, self.goals[task], self._moves)
        longest = UNREACHABLE - 1 if self.longest is None else self.longest
        return layouts, task, length <= longest
