"""Episodes in progress, any number of them: what both environments are made of.

Each row draws its episodes from a generator of its own, one call of ``random`` a draw, so
that row ``i`` of a batch sees what an environment of its own would see with that seed. A
row that is over stays put, with reward 0, until it is reset.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.error import ResetNeeded
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.drawing import BoardDraw
from irl_lens.envs.pinpad.dynamics import terrain, transition
from irl_lens.envs.pinpad.episode_state import EpisodeState
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.snapshots import checked_state


class Episodes:
    """A fixed number of episodes, reset and stepped together.

    Args:
        n: Number of rows.
        options: World, tasks and observation.

    Attributes:
        goals: Colours of every visit of every task, ``[tasks, visits + 1]``, -1 after the last.
        boards: Where episodes begin.
        begun: Whether every row was reset at least once.
    """

    def __init__(self, n: int, options: PinpadOptions) -> None:
        self.options = options
        self.world = options.spec()
        self.goals, self._stages = options.tables(self.world)
        self.boards = BoardDraw(self.board, self.goals, options.horizon, options.solvable)
        self.state = EpisodeState.empty(n, self.board.objects)

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

    @property
    def ends(self) -> tuple[Bool[NDArray[np.bool_], " n"], Bool[NDArray[np.bool_], " n"]]:
        """Marks the rows that are terminated, and those that are truncated."""
        return self._state.terminated.copy(), self._state.truncated.copy()

    def snapshot(self) -> EpisodeState:
        """Returns a copy of the episodes."""
        return self._state.copy()

    def checked(self, snapshot: object) -> EpisodeState:
        """Returns a copy of a snapshot.

        Raises:
            ValueError: It is none of such episodes.
        """
        horizon = self.options.horizon
        return checked_state(snapshot, self._state, self.board, self.goals, horizon)

    def restore(self, snapshot: EpisodeState) -> None:
        """Goes back to a snapshot that was checked."""
        self.state = snapshot

    def reset(
        self, rows: Int[NDArray[np.intp], " k"], generators: Sequence[np.random.Generator]
    ) -> None:
        """Begins new episodes in ``rows``, each drawn from its own generator.

        Raises:
            ValueError: Next to no board can be solved.
        """
        state, (layouts, task, solvable) = self._state, self.boards.draw(generators)
        state.objects[rows], state.start[rows] = layouts.objects, layouts.start
        state.task[rows], state.solvable[rows] = task, solvable
        self._begin(rows)

    def _begin(self, rows: Int[NDArray[np.intp], " k"]) -> None:
        state = self._state
        state.cell[rows] = state.start[rows]
        for counter in (state.displacement, state.progress, state.steps):
            counter[rows] = 0
        state.terminated[rows] = state.truncated[rows] = False
        self._survey(rows)
        self.begun = self.begun or bool((state.start >= 0).all())

    def move(
        self,
        rows: Int[NDArray[np.intp], " k"],
        objects: Int[NDArray[np.int64], " k"],
        cells: Int[NDArray[np.int64], " k"],
    ) -> None:
        """Moves one colour or wall of each row, in mid-episode, to a cell that is free."""
        self._state.objects[rows, objects] = cells
        self._survey(rows)

    def _survey(self, rows: Int[NDArray[np.intp], " k"]) -> None:
        """Takes up what the rules need to know of boards."""
        state = self._state
        fresh = terrain(self.board, Layouts(state.objects[rows], state.start[rows]))
        self._terrain.reach[rows], self._terrain.colours[rows] = fresh.reach, fresh.colours

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
