"""Ants' episodes in progress, any number of them: what both environments are made of.

As the grid's (:mod:`irl_lens.envs.pinpad.episodes`): each row draws from a generator of its own,
and one that is over stays put. An episode begins in the middle of a cell, give or take, in any
direction, with joint angles and all velocities uniform within 0.1 of standing at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.options import AntOptions
from irl_lens.envs.ant.physics import VELOCITIES, Physics
from irl_lens.envs.ant.rules import End, Judged, content, fallen, judge
from irl_lens.envs.ant.sights import Sights
from irl_lens.envs.ant.spec import JOINTS
from irl_lens.envs.ant.stance import Body
from irl_lens.envs.pinpad.drawing import BoardDraw
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, check_layouts
from irl_lens.envs.pinpad.snapshots import check_counters, check_range, checked_arrays

SHAKEN = 0.1
"""Joint angles [rad] and velocities [m/s, rad/s] at the start are within this of rest."""
DRAWS = 3 + JOINTS + VELOCITIES
"""Numbers drawn for a start: place, direction, joint angles, velocities."""


@dataclass
class AntState:
    """Everything that tells one episode from another, one entry a row.

    Attributes:
        objects: Cell of each colour, then of each wall.
        start: Cell that the ant started in, -1 before the first reset.
        task: Index of the task among the environment's tasks.
        progress: Visits completed.
        steps: Control steps taken.
        end: Why the episode is over, see :class:`irl_lens.envs.ant.rules.End`.
        solvable: There is a path for the task.
        physics: What the next steps of the body depend on; filled in snapshots alone.
    """

    objects: Int[NDArray[np.int64], "n objects"]
    start: Int[NDArray[np.int64], " n"]
    task: Int[NDArray[np.int64], " n"]
    progress: Int[NDArray[np.int64], " n"]
    steps: Int[NDArray[np.int64], " n"]
    end: Int[NDArray[np.int64], " n"]
    solvable: Bool[NDArray[np.bool_], " n"]
    physics: Float[NDArray[np.float64], "n state"]

    @classmethod
    def empty(cls, n: int, objects: int) -> AntState:
        """Returns ``n`` rows without a start, to be reset before use."""
        task, progress, steps = np.zeros((3, n), np.int64)
        end, start = np.full(n, int(End.TIME)), np.full(n, -1)
        solvable, physics = np.zeros(n, bool), np.zeros((n, 0))
        cells = np.zeros((n, objects), np.int64)
        return cls(cells, start, task, progress, steps, end, solvable, physics)


class AntEpisodes:
    """A fixed number of episodes, reset and stepped together.

    Args:
        n: Number of rows.
        options: World, tasks and physics.
        threads: How many threads step the bodies; 0 for one a processor.

    Attributes:
        world: Arena, grammar and observation.
        goals: Colours of every visit of every task, ``[tasks, visits + 1]``, -1 after the last.
        boards: Where episodes begin.
        body: How all bodies begin, in place of fresh ones.
        physics: The bodies.
        diverged: How many simulations have diverged so far.
    """

    def __init__(self, n: int, options: AntOptions, threads: int = 0) -> None:
        self.options, self.world = options, options.spec()
        self.goals, self._stages = options.tables(self.world)
        # Any path will do: how many steps an ant takes for a cell depends on its gait.
        self.boards = BoardDraw(self.board, self.goals, None, options.solvable)
        self.body: Body | None = None
        self.physics, self.diverged = Physics(options.physics, n, threads), 0
        self._state = AntState.empty(n, self.board.objects)
        self._lay(self._layouts)

    @property
    def board(self) -> BoardSpec:
        """Size and objects of the arena."""
        return self.world.board

    @property
    def state(self) -> AntState:
        """The episodes, live; the bodies are in ``physics``."""
        return self._state

    @property
    def done(self) -> Bool[NDArray[np.bool_], " n"]:
        """Marks the rows whose episode is over."""
        return self._state.end != End.NOT_YET

    @property
    def ends(self) -> tuple[Bool[NDArray[np.bool_], " n"], Bool[NDArray[np.bool_], " n"]]:
        """Marks the rows that are terminated, and those out of time or diverged: truncated."""
        truncated = np.isin(self._state.end, (End.TIME, End.DIVERGED))
        return self.done & ~truncated, truncated

    @property
    def cells(self) -> Int[NDArray[np.int64], " n"]:
        """The torso's cells, -1 outside the arena."""
        return self.world.arena.cells(self.physics.qpos[:, :2])

    def reset(
        self, rows: Int[NDArray[np.intp], " k"], generators: Sequence[np.random.Generator]
    ) -> None:
        """Begins new episodes in ``rows``, each drawn from its own generator.

        Raises:
            ValueError: In next to no arena there is a path for the task.
        """
        state, (layouts, task, solvable) = self._state, self.boards.draw(generators)
        state.objects[rows], state.start[rows] = layouts.objects, layouts.start
        state.task[rows], state.solvable[rows] = task, solvable
        state.progress[rows] = state.steps[rows] = 0
        state.end[rows] = End.NOT_YET
        self._there[rows] = content(self.board, layouts)
        self._sights.put(rows, Sights.of(self.world, layouts))
        self.physics.reset(rows, *self._begun(layouts, generators))

    def _begun(
        self, layouts: Layouts, generators: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and velocities to begin with."""
        if self.body is not None:
            qpos, qvel = (np.broadcast_to(x, (len(layouts), x.shape[-1])) for x in self.body)
            return qpos.copy(), qvel.copy()
        uniform = 2 * np.stack([g.random(DRAWS) for g in generators]) - 1
        qpos, qvel = self.physics.standing(len(generators))
        spread = self.options.spread * self.options.cell
        qpos[:, :2] = self.world.arena.centres[layouts.start] + spread * uniform[:, :2]
        half = np.pi / 2 * uniform[:, 2]
        qpos[:, 3], qpos[:, 6] = np.cos(half), np.sin(half)
        qpos[:, 7:] += SHAKEN * uniform[:, 3 : 3 + JOINTS]
        qvel[:] = SHAKEN * uniform[:, 3 + JOINTS :]
        return qpos, qvel

    def begin_at(self, layouts: Layouts, body: Body) -> None:
        """Makes every later episode begin in one arena, given as a batch of one, and alike.

        Or each row in its own, if there are as many: all rows have to be reset together then.

        Args:
            layouts: The arena.
            body: How the body begins.

        Raises:
            ValueError: It is no arena of this world, or the body is elsewhere than it says.
        """
        check_layouts(self.board, layouts)
        there = np.atleast_1d(self.world.arena.cells(body[0][..., :2]))
        if len(wrong := np.flatnonzero(there != layouts.start)):
            at = there[wrong[0]], layouts.start[wrong[0]]
            raise ValueError(f"a body in cell {at[0]}; the arena starts in {at[1]}")
        self.boards.given, self.body = layouts, body

    def step(self, actions: Float[NDArray[Any], "n 8"]) -> Float[NDArray[np.float64], " n"]:
        """Plays one control step in every row that is not over; returns the rewards.

        Raises:
            ResetNeeded: A row was never reset.
        """
        self.check_begun()
        state, rows = self._state, np.flatnonzero(~self.done)
        before = self.physics.qpos[rows].copy(), self.physics.qvel[rows].copy()
        diverged = self.physics.step(actions[rows], rows) if len(rows) else np.zeros(0, bool)
        if diverged.any():
            self._stop(rows, diverged, before)
        arena, qpos = self.world.arena, self.physics.qpos[rows]
        state.steps[rows] += 1
        cells = arena.cells(before[0][:, :2]), arena.cells(qpos[:, :2])
        judged = self._judged(rows, *cells, fallen(qpos, self.options.fall))
        late = (judged.end == End.NOT_YET) & (state.steps[rows] >= self.options.horizon)
        end = np.where(late, End.TIME, judged.end)
        state.end[rows] = np.where(diverged, End.DIVERGED, end)
        state.progress[rows] = judged.progress
        reward = np.zeros(len(state.end))
        reward[rows] = state.end[rows] == End.SUCCESS
        return reward

    @property
    def _layouts(self) -> Layouts:
        return Layouts(self._state.objects.copy(), self._state.start)

    def _lay(self, layouts: Layouts) -> None:
        """Works out what follows from the arenas of all rows."""
        self._there = content(self.board, layouts)
        self._sights = Sights.of(self.world, layouts)

    def _judged(
        self,
        rows: Int[NDArray[np.int64], " k"],
        before: Int[NDArray[np.int64], " k"],
        after: Int[NDArray[np.int64], " k"],
        fell: Bool[NDArray[np.bool_], " k"],
    ) -> Judged:
        """Judges a step that was taken in ``rows``; see :func:`irl_lens.envs.ant.rules.judge`."""
        state, there = self._state, self._there[rows]
        goals, progress = self.goals[state.task[rows]], state.progress[rows]
        return judge(self.options, there, goals, progress, before, after, fell)

    def _stop(
        self,
        rows: Int[NDArray[np.int64], " k"],
        diverged: Bool[NDArray[np.bool_], " k"],
        before: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        """Leaves bodies that diverged where they were before the step."""
        self.diverged += int(diverged.sum())
        self.physics.reset(rows[diverged], *(part[diverged] for part in before))

    def check_begun(self) -> None:
        """Raises ``ResetNeeded`` if a row was never reset: there is no arena in it."""
        if (self._state.start < 0).any():
            rows = np.flatnonzero(self._state.start < 0).tolist()
            raise ResetNeeded(f"rows {rows} have no arena yet; call reset() first")

    def observe(
        self, rows: Int[NDArray[np.intp], " k"] | slice = slice(None)
    ) -> Float[NDArray[np.float32], "n columns"]:
        """Returns fresh observations, of all rows or of some."""
        physics = self.physics
        return self._sights.rows(rows).observe(physics.qpos[rows], physics.qvel[rows])

    def info(self) -> dict[str, NDArray[np.int64] | NDArray[np.bool_]]:
        """Returns the labels only an experimenter sees, ``[n]`` each.

        ``subgoal`` and ``visit``: the abstract and the finest subgoal pursued, -1 after
        success; ``progress``: visits completed; ``solvable``; ``success``; ``end``: why the
        episode is over, see :class:`irl_lens.envs.ant.rules.End`.
        """
        state = self._state
        visit = self.goals[state.task, state.progress]
        return {
            "subgoal": self._stages[state.task, state.progress],
            "visit": visit,
            "progress": state.progress.copy(),
            "solvable": state.solvable.copy(),
            "success": state.end == End.SUCCESS,
            "end": state.end.copy(),
        }

    def snapshot(self) -> AntState:
        """Returns a copy of the episodes and of the bodies."""
        copies: dict[str, Any] = {
            f.name: getattr(self._state, f.name).copy() for f in fields(AntState)
        }
        copies["physics"] = self.physics.save(np.arange(len(self.done)))
        return AntState(**copies)

    def checked(self, snapshot: object) -> AntState:
        """Returns a copy of a snapshot.

        Raises:
            ValueError: It is none of such episodes.
        """
        if not isinstance(snapshot, AntState):
            raise ValueError(
                f"a snapshot whose episodes are a {type(snapshot).__name__}; give what get_state "
                "returned"
            )
        arrays: dict[str, Any] = {**checked_arrays(snapshot, self.snapshot())}
        copy = AntState(**arrays)
        check_layouts(self.board, Layouts(copy.objects, copy.start))
        check_counters(copy, self.goals, self.options.horizon)
        check_range("end", copy.end, len(End))
        if not np.isfinite(copy.physics).all():
            raise ValueError("a snapshot of bodies with numbers that are not finite")
        return copy

    def restore(self, snapshot: AntState) -> None:
        """Goes back to a snapshot that was checked."""
        self.physics.load(np.arange(len(self.done)), snapshot.physics)
        self._state = replace(snapshot, physics=np.zeros((len(self.done), 0)))
        self._lay(self._layouts)


def checked_torques(actions: Any, shape: tuple[int, ...]) -> Float[NDArray[np.float64], ...]:
    """Returns torques.

    Raises:
        ValueError: They are no finite numbers of that shape.
    """
    torques = np.asarray(actions)
    number = torques.dtype.kind in "fiu" and torques.shape == shape
    if not number or not np.isfinite(torques).all():
        raise ValueError(
            f"actions of {torques.dtype} and shape {torques.shape}; give finite numbers of shape "
            f"{shape}: torques from -1 to 1, beyond which they are cut"
        )
    return torques.astype(np.float64)
