"""Episodes in progress, any number of them: what both environments are made of.

Each row draws its episodes from a generator of its own, one call of ``random`` a draw, so
that row ``i`` of a batch sees what an environment of its own would see with that seed. A
row that is over stays put, with reward 0, until it is reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from gymnasium.error import ResetNeeded
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.dynamics import terrain, transition
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts
from irl_lens.envs.pinpad.limits import too_rare
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.planner import distances, move_table, optimal_length


@dataclass
class EpisodeState:
    """Everything that tells one episode from another, one entry a row.

    Attributes:
        objects: Cell of each colour, then of each wall, ``[n, colours + walls]``.
        start: Cell the agent started on.
        task: Index of the task among the environment's tasks.
        cell: Cell the agent is on.
        displacement: Last move, 0 if the agent stayed where it was, else action + 1.
        progress: Visits completed.
        steps: Steps taken.
        terminated: The task is done, or a wrong colour was visited.
        truncated: The horizon was reached first.
        solvable: The task can be done within the horizon.
    """

    objects: Int[NDArray[np.int64], "n objects"]
    start: Int[NDArray[np.int64], " n"]
    task: Int[NDArray[np.int64], " n"]
    cell: Int[NDArray[np.int64], " n"]
    displacement: Int[NDArray[np.int64], " n"]
    progress: Int[NDArray[np.int64], " n"]
    steps: Int[NDArray[np.int64], " n"]
    terminated: Bool[NDArray[np.bool_], " n"]
    truncated: Bool[NDArray[np.bool_], " n"]
    solvable: Bool[NDArray[np.bool_], " n"]

    @classmethod
    def empty(cls, n: int, objects: int) -> EpisodeState:
        """Returns ``n`` rows that are over, without a start, to be reset before use."""
        numbers = ("task", "cell", "displacement", "progress", "steps")
        return cls(
            objects=np.zeros((n, objects), np.int64),
            start=np.full(n, -1),
            terminated=np.ones(n, bool),
            truncated=np.zeros(n, bool),
            solvable=np.zeros(n, bool),
            **{name: np.zeros(n, np.int64) for name in numbers},
        )

    def copy(self) -> EpisodeState:
        """Returns a copy that shares no memory."""
        return EpisodeState(**{f.name: getattr(self, f.name).copy() for f in fields(self)})


class Episodes:
    """A fixed number of episodes, reset and stepped together.

    Args:
        n: Number of rows.
        options: World, tasks and observation.

    Attributes:
        goals: Colours of every visit of every task, ``[tasks, visits + 1]``, -1 after the last.
        begun: Whether every row was reset at least once.
    """

    def __init__(self, n: int, options: PinpadOptions) -> None:
        self.options = options
        self.world = options.spec()
        self.goals, self._stages = options.tables(self.world)
        self._moves = move_table(options.size)
        self.state = EpisodeState.empty(n, self.board.objects)
        self.given: Layouts | None = None
        """One board that every episode begins on, in place of fresh ones."""

    @property
    def board(self) -> BoardSpec:
        """Size and objects of the boards."""
        return self.world.board

    @property
    def state(self) -> EpisodeState:
        """The episodes; reading gives the live arrays, setting takes them over."""
        return self._state

    @state.setter
    def state(self, state: EpisodeState) -> None:
        self._state = state
        self._terrain = terrain(self.board, Layouts(state.objects, state.start))
        self.begun = bool((state.start >= 0).all())

    @property
    def done(self) -> Bool[NDArray[np.bool_], " n"]:
        """Marks the rows whose episode is over."""
        return self._state.terminated | self._state.truncated

    def reset(
        self, rows: Int[NDArray[np.intp], " k"], generators: Sequence[np.random.Generator]
    ) -> None:
        """Begins new episodes in ``rows``, each drawn from its own generator."""
        state, missing = self._state, np.arange(len(rows))
        drawn = 0
        while not too_rare(len(rows) - len(missing), drawn):
            drawn += len(missing)
            layouts, task, solvable = self._draw([generators[int(i)] for i in missing])
            keep = solvable | (not self.options.solvable)
            at = rows[missing[keep]]
            state.objects[at], state.start[at] = layouts.objects[keep], layouts.start[keep]
            state.task[at], state.solvable[at] = task[keep], solvable[keep]
            missing = missing[~keep]
            if not len(missing):
                return self._begin(rows)
        raise ValueError(
            f"on {len(rows) - len(missing)} of {drawn} boards drawn the task can be done within "
            f"horizon {self.options.horizon}; take a longer horizon, fewer walls or solvable=False"
        )

    def _draw(
        self, generators: Sequence[np.random.Generator]
    ) -> tuple[Layouts, Int[NDArray[np.int64], " k"], Bool[NDArray[np.bool_], " k"]]:
        """Draws one board and task a generator, uniformly and without overlap."""
        uniform = np.stack([g.random(self.board.cells + 1) for g in generators])
        cells = uniform[:, :-1].argsort(axis=1)[:, : self.board.objects + 1]
        layouts = Layouts(cells[:, :-1], cells[:, -1])
        if self.given is not None:
            layouts = self.given.rows(np.zeros(len(generators), np.intp))
        task = (uniform[:, -1] * len(self.goals)).astype(np.int64)
        distance = distances(self.board, layouts)
        length = optimal_length(distance, layouts, self.goals[task], self._moves)
        return layouts, task, length <= self.options.horizon

    def _begin(self, rows: Int[NDArray[np.intp], " k"]) -> None:
        state = self._state
        state.cell[rows] = state.start[rows]
        for counter in (state.displacement, state.progress, state.steps):
            counter[rows] = 0
        state.terminated[rows] = state.truncated[rows] = False
        fresh = terrain(self.board, Layouts(state.objects[rows], state.start[rows]))
        self._terrain.reach[rows], self._terrain.colours[rows] = fresh.reach, fresh.colours
        self.begun = self.begun or bool((state.start >= 0).all())

    def step(self, actions: Int[NDArray[np.int64], " n"]) -> Float[NDArray[np.float64], " n"]:
        """Plays one step in every row that is not over; returns the rewards.

        Raises:
            ResetNeeded: A row was never reset.
        """
        self.check_begun()
        state, live = self._state, ~self.done
        goals = self.goals[state.task]
        new = transition(self._terrain, goals, state.cell, state.progress, actions)
        state.cell = np.where(live, new.cell, state.cell)
        state.displacement = np.where(live, new.displacement, state.displacement)
        state.progress = np.where(live, new.progress, state.progress)
        state.steps = state.steps + live
        state.terminated = state.terminated | live & (new.success | new.failure)
        out_of_time = live & (state.steps >= self.options.horizon)
        state.truncated = state.truncated | out_of_time & ~state.terminated
        return (live & new.success).astype(np.float64)

    def check_begun(self) -> None:
        """Raises ``ResetNeeded`` if a row was never reset: there is no board in it."""
        if not self.begun:
            rows = np.flatnonzero(self._state.start < 0).tolist()
            raise ResetNeeded(f"rows {rows} have no board yet; call reset() first")

    def observe(self) -> NDArray[np.int32] | NDArray[np.float32]:
        """Returns fresh observations: ``[n, columns]`` if sparse, else ``[n, size]``."""
        state = self._state
        sparse = self.world.observer.encode(state.objects, state.cell, state.displacement)
        return sparse if self.options.sparse else self.world.observation.dense(sparse)

    def info(self) -> dict[str, NDArray[np.int64] | NDArray[np.bool_]]:
        """Returns the labels only an experimenter sees, ``[n]`` each.

        ``subgoal`` and ``visit``: the abstract and the finest subgoal pursued, -1 after
        success; ``progress``: visits completed; ``solvable``; ``success``.
        """
        state = self._state
        visit = self.goals[state.task, state.progress]
        return {
            "subgoal": self._stages[state.task, state.progress],
            "visit": visit,
            "progress": state.progress.copy(),
            "solvable": state.solvable.copy(),
            "success": visit < 0,
        }
