"""Arenas in which nothing is asked for: where an ant goes by itself.

The world's own bodies, rules and starts, without a task. Which abstract subgoals are reached, and
when an ant has strayed, is told as on the grid (:mod:`irl_lens.envs.pinpad.reached`); all else that
ends an episode does so here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import OUTSIDE
from irl_lens.envs.ant.episodes import AntEpisodes, checked_torques
from irl_lens.envs.ant.options import AntOptions
from irl_lens.envs.ant.rules import EMPTY, End, Judged, mishaps, visits
from irl_lens.envs.ant.spec import JOINTS, AntSpec
from irl_lens.envs.ant.stance import Body, stance_of
from irl_lens.envs.pinpad.expert import visit_table
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.planner import doable
from irl_lens.envs.pinpad.reached import Reached
from irl_lens.envs.pinpad.spec import plain_values
from irl_lens.envs.spaces import ContinuousActions, ObservationSpec

Rows = Int[NDArray[np.int64], " k"]


class TasklessEpisodes(AntEpisodes):
    """Episodes that succeed once so many abstract subgoals were reached, whichever.

    Args:
        n: Number of rows.
        world: The world they are of.
        subgoals: How many.

    Attributes:
        visited: What was reached so far.
    """

    def __init__(self, n: int, world: AntSpec, subgoals: int) -> None:
        super().__init__(n, AntOptions(**asdict(world.settings), solvable=False))
        self.visited = Reached(world, n, subgoals)

    def _judged(
        self, rows: Rows, before: Rows, after: Rows, fell: Bool[NDArray[np.bool_], " k"]
    ) -> Judged:
        visited = visits(self._there[rows], before, after)
        end = mishaps(self.options, visited, after, fell)
        colours = np.full(len(self.done), EMPTY)
        colours[rows] = np.maximum(visited, EMPTY)
        self.visited.note(colours, self._state.steps)
        end[self.visited.strayed[rows]] = End.WRONG_COLOUR
        end[self.visited.complete[rows]] = End.SUCCESS
        return Judged(self.visited.counts[rows], end)

    def info(self) -> dict[str, NDArray[np.int64] | NDArray[np.bool_]]:
        """Returns labels: no subgoal is asked for, so they number those that were reached."""
        count, end = self.visited.counts, self.state.end.copy()
        labels = {name: count for name in ("subgoal", "visit", "progress")}
        solvable = np.ones(len(count), bool)
        return labels | {"solvable": solvable, "success": end == End.SUCCESS, "end": end}


class Roaming:
    """Ants without a task; an :class:`irl_lens.envs.protocol.VectorWorld`.

    Args:
        world: The world whose arenas, bodies and subgoals these are.
        n: Number of ants.
        subgoals: An episode ends once so many subgoals were reached.
        begun: One arena and body for all rows, or one each; drawn at each reset when not given.
    """

    def __init__(
        self,
        world: AntSpec,
        n: int,
        subgoals: int = 1,
        begun: tuple[Layouts, Body] | None = None,
    ) -> None:
        check_whole("n", n, 1, MAX_ROWS)
        self.world, self.num_envs, self.subgoals = world, n, subgoals
        self._episodes = TasklessEpisodes(n, world, subgoals)
        if begun is not None:
            self._episodes.begin_at(*begun)
        self._trail: list[NDArray[np.float64]] = []
        self._path: list[NDArray[np.int64]] = []

    def reset(self, *, seed: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Draws arenas and starts, uniformly."""
        n, episodes = self.num_envs, self._episodes
        episodes.visited = Reached(self.world, n, self.subgoals)
        episodes.reset(np.arange(n), np.random.default_rng(seed).spawn(n))
        self._begun = episodes.physics.qpos.copy(), episodes.physics.qvel.copy()
        self._trail, self._path = [], []
        self._record(np.ones(n, bool))
        return episodes.observe(), episodes.info()

    def step(
        self, actions: Float[NDArray[np.floating[Any]], "n 8"]
    ) -> tuple[NDArray[np.float32], Any, Any, Any, dict[str, Any]]:
        """Takes a step in every row whose episode is not over."""
        episodes, live = self._episodes, ~self._episodes.done
        reward = episodes.step(checked_torques(actions, (self.num_envs, JOINTS)))
        self._record(live)
        terminated = episodes.state.end == End.SUCCESS
        truncated = episodes.done & ~terminated
        return episodes.observe(), reward, terminated, truncated, episodes.info()

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self.world.observation

    @property
    def actions(self) -> ContinuousActions:
        """The torques."""
        return self.world.actions

    @property
    def reached(self) -> Int[NDArray[np.int64], "n subgoals"]:
        """Abstract subgoals in the order they were reached; -1 where there is none."""
        return self._episodes.visited.reached

    @property
    def at(self) -> Int[NDArray[np.int64], "n subgoals"]:
        """Steps taken when each was reached, -1 where there is none."""
        return self._episodes.visited.at

    @property
    def lengths(self) -> Int[NDArray[np.int64], " n"]:
        """Steps taken in all."""
        return self._episodes.state.steps.copy()

    @property
    def trail(self) -> Float[NDArray[np.float64], "n steps 2"]:
        """Column and row after each number of steps, the start first; NaN after the end."""
        return np.stack(self._trail, axis=1)

    @property
    def path(self) -> Int[NDArray[np.int64], "n steps"]:
        """Cell after each number of steps, the start first; -1 after the end, and outside."""
        return np.stack(self._path, axis=1)

    @property
    def bodies(
        self,
    ) -> tuple[Float[NDArray[np.float64], "n 15"], Float[NDArray[np.float64], "n 14"]]:
        """Positions and velocities now; see :class:`irl_lens.envs.ant.physics.Physics`."""
        physics = self._episodes.physics
        return physics.qpos.copy(), physics.qvel.copy()

    @property
    def cells(self) -> int:
        """Cells of an arena."""
        return self.world.board.cells

    def possible(self, tasks: Sequence[Sequence[int]]) -> Bool[NDArray[np.bool_], "n tasks"]:
        """Marks the tasks for which there is a path, from where each row began."""
        goals = visit_table([self.world.grammar.colours(tuple(task)) for task in tasks])
        state = self._episodes.state
        return doable(self.world.board, Layouts(state.objects, state.start), goals)

    def plain(self, row: int, task: Sequence[int]) -> dict[str, Any]:
        """Returns the arena of a row as it was last reset, with a task to be asked for there.

        They are the plain values that ``stage`` of the world makes a situation of.
        """
        state, (qpos, qvel) = self._episodes.state, self._begun
        cell = int(state.start[row])
        plain = plain_values(self.world, (*state.objects[row].tolist(), cell), tuple(task))
        stance = stance_of(self.world.arena, cell, (qpos[row], qvel[row]))
        return plain | {"stance": list(stance)}

    def _record(self, live: Bool[NDArray[np.bool_], " n"]) -> None:
        places = self._episodes.physics.qpos[:, :2]
        self._trail.append(np.where(live[:, None], self.world.arena.points(places), np.nan))
        self._path.append(np.where(live, self._episodes.cells, OUTSIDE))
