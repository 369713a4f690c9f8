"""A pinpad board with a task, as an :class:`irl_lens.envs.scenes.Situation`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.expert import Games, play, visit_table
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.planner import MOVES, distances, move_table, optimal_length
from irl_lens.envs.pinpad.render import WALL, palette, pixels
from irl_lens.envs.pinpad.spec import PinpadSpec, plain_values
from irl_lens.envs.pinpad.taskless import Roaming
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv, rows_of
from irl_lens.envs.pinpad.witnessed import witnessed
from irl_lens.envs.protocol import Seed
from irl_lens.envs.scenes import AGENT, Move, Scene, Thing
from irl_lens.envs.trajectories import Trajectories

DIRECTIONS = tuple(
    Move(name, int(dx), int(dy))
    for name, (dy, dx) in zip(("up", "right", "down", "left"), MOVES, strict=True)
)


@dataclass(frozen=True)
class PinpadSituation:
    """One board, the agent's start and a task.

    Attributes:
        world: The world it is of.
        cells: Cell of each colour, of each wall, then of the agent.
        task: Abstract subgoals, in order.

    Raises:
        ValueError: Two things are on one cell, a cell is not on the board, or the task names
            a subgoal that there is not.
    """

    world: PinpadSpec
    cells: tuple[int, ...]
    task: Task

    def __post_init__(self) -> None:
        board = self.world.board
        if len(self.cells) != board.objects + 1:
            raise ValueError(
                f"{len(self.cells)} places; give {board.objects + 1}, the agent's last"
            )
        for name, cell in zip(self.names, self.cells, strict=True):
            if not 0 <= cell < board.cells:
                raise ValueError(f"{name} at place {cell}; take one from 0 to {board.cells - 1}")
            if self.cells.count(cell) > 1:
                raise ValueError(f"{name} at place {cell}, where something else is; swap the two")
        self.world.grammar.colours(self.task)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that can be moved, the agent last."""
        return (*self.world.object_names, AGENT)

    @property
    def layouts(self) -> Layouts:
        """The board, as a batch of one."""
        cells = np.array([self.cells])
        return Layouts(cells[:, :-1], cells[:, -1])

    @property
    def solvable(self) -> bool:
        """Whether the task can be done within the horizon."""
        spec, layouts = self.world.board, self.layouts
        goals, moves = visit_table([self.world.grammar.colours(self.task)]), move_table(spec.size)
        length = optimal_length(distances(spec, layouts), layouts, goals, moves)
        return bool(length[0] <= self.world.horizon)

    def scene(self, agent: int | None = None) -> Scene:
        """Returns what to draw, with the agent at its start or at another place."""
        board = self.world.board
        colors = [*palette(board.colours).tolist(), *[WALL] * board.walls]
        labels = [*self.world.visit_names, *[""] * board.walls]
        things = (
            Thing(name, label, cell, "#{:02x}{:02x}{:02x}".format(*color), i >= board.colours)
            for i, (name, label, cell, color) in enumerate(
                zip(self.names[:-1], labels, self.cells[:-1], colors, strict=True)
            )
        )
        start = self.cells[-1] if agent is None else agent
        return Scene(board.size, board.size, tuple(things), start, DIRECTIONS)

    def pixels(self, agent: int | None = None) -> UInt8[NDArray[np.uint8], "height width 3"]:
        """Returns the same as pixels."""
        start = self.cells[-1] if agent is None else agent
        return pixels(self.world.board, np.array(self.cells[:-1]), start)

    def moved(self, name: str, place: int) -> PinpadSituation:
        """Returns the same with one thing, or the agent, at another place."""
        cells = list(self.cells)
        cells[self._index(name)] = int(place)
        return replace(self, cells=tuple(cells))

    def swapped(self, one: str, other: str) -> PinpadSituation:
        """Returns the same with two things, or the agent and one, in each other's place."""
        cells, i, j = list(self.cells), self._index(one), self._index(other)
        cells[i], cells[j] = cells[j], cells[i]
        return replace(self, cells=tuple(cells))

    def asked(self, task: Sequence[int]) -> PinpadSituation:
        """Returns the same with another task."""
        return replace(self, task=tuple(int(subgoal) for subgoal in task))

    def plain(self) -> dict[str, Any]:
        """Returns places by name and the task by the names of its subgoals."""
        return plain_values(self.world, self.cells, self.task)

    @classmethod
    def of_plain(cls, world: PinpadSpec, plain: dict[str, Any]) -> PinpadSituation:
        """Undoes :meth:`plain`; raises ``ValueError`` if it is of no board of this world."""
        names = (*world.object_names, AGENT)
        places, task = plain.get("places"), plain.get("task")
        if not isinstance(places, dict) or set(places) != set(names):
            raise ValueError(f"places {places!r}; give one of each of {', '.join(names)}")
        known = world.subgoal_names
        if not isinstance(task, list) or not all(subgoal in known for subgoal in task):
            raise ValueError(f"task {task!r}; give a list of subgoals out of {', '.join(known)}")
        cells = tuple(int(places[name]) for name in names)
        return cls(world, cells, tuple(known.index(subgoal) for subgoal in task))

    def demonstrate(self, seed: Seed) -> Trajectories:
        """Lets the expert do the task: one trajectory."""
        world = self.world
        if not self.solvable:
            raise ValueError(
                f"the task {''.join(world.subgoal_names[s] for s in self.task)} cannot be done "
                f"here within {world.horizon} steps; move what is in the way or ask for another"
            )
        layouts, zero = self.layouts, np.zeros(1, np.int64)
        goals = visit_table([world.grammar.colours(self.task)])
        games = Games(layouts, zero, goals, distances(world.board, layouts))
        walk = play(world.board, games, world.horizon, np.random.default_rng(seed))
        index = world.grammar.train.index(self.task) if self.task in world.grammar.train else -1
        return witnessed(world, games, walk, (self.task,), zero + index)

    def watch(
        self, places: Int[NDArray[np.integer], "n steps"]
    ) -> Int[NDArray[np.int32], "n steps columns"]:
        """Returns what an agent sees that is at these places, one after the other."""
        cells = np.asarray(places, np.int64)
        last = np.concatenate([cells[:, :1], cells[:, :-1]], axis=1)
        there = move_table(self.world.board.size)[last] == cells[..., None]
        step = np.where(there.any(axis=-1), there.argmax(axis=-1) + 1, 0)
        displacements = np.where(cells == last, 0, step)
        objects = np.broadcast_to(self.cells[:-1], (*cells.shape, len(self.cells) - 1))
        return self.world.observer.encode(objects, cells, displacements)

    def retraced(
        self,
        places: Int[NDArray[np.integer], " steps"],
        actions: Int[NDArray[np.integer], " steps"],
    ) -> Trajectories:
        """Returns one trajectory along these places, with labels of -1 and visits counted."""
        cells, steps = np.asarray(places, np.int64), len(places)
        entered = np.append(False, cells[1:] != cells[:-1])
        visits = entered & np.isin(cells, self.cells[: self.world.board.colours])
        unknown = np.full((1, steps), -1)
        return Trajectories(
            observations=self.watch(cells[None]),
            actions=np.asarray(actions, np.int64)[None],
            mask=np.ones((1, steps), bool),
            subgoals=unknown,
            visits=unknown.copy(),
            progress=visits.cumsum()[None],
            tasks=np.full(1, -1),
            extras=vars(self.layouts),
        )

    def rows(self, n: int) -> GridPinpadVectorEnv:
        """Returns ``n`` rows in which this task is asked for, here."""
        env = rows_of(self.world.config, n, task=self.task, solvable=False)
        env.fix(self.layouts)
        return env

    def roaming(self, n: int, subgoals: int = 1) -> Roaming:
        """Returns ``n`` rows here without a task."""
        return Roaming(self.world, n, subgoals, self.layouts)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"nothing is called {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)
