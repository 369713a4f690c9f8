"""A board with the agent's start and a task, as a value: what situations of any body share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import UInt8

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.render import WALL, palette, pixels
from irl_lens.envs.pinpad.spec import PinpadSpec, plain_values
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.scenes import AGENT, Move, Point, Scene, Thing


@dataclass(frozen=True)
class BoardSituation:
    """One board, the agent's start and a task.

    Attributes:
        world: The world it is of.
        cells: Cell of each colour, of each wall, then of the agent.
        task: Abstract subgoals, in order.

    Raises:
        ValueError: Two things are on one cell, a cell is not on the board, or the task names
            a subgoal that there is not.
    """

    moves: ClassVar[tuple[Move, ...]] = ()

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
    def start(self) -> Point | None:
        """Where in its cell the agent starts; in the middle if None."""
        return None

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
        exact = self.start if agent is None else None
        return Scene(board.size, board.size, tuple(things), start, self.moves, exact)

    def pixels(self, at: Point | None = None) -> UInt8[NDArray[np.uint8], "height width 3"]:
        """Returns the same as pixels."""
        board, start = self.world.board, self.scene().point if at is None else at
        return pixels(board, np.array(self.cells[:-1]), start)

    def moved(self, name: str, place: int) -> Self:
        """Returns the same with one thing, or the agent, at another place."""
        cells = list(self.cells)
        cells[self._index(name)] = int(place)
        return replace(self, cells=tuple(cells))

    def swapped(self, one: str, other: str) -> Self:
        """Returns the same with two things, or the agent and one, in each other's place."""
        cells, i, j = list(self.cells), self._index(one), self._index(other)
        cells[i], cells[j] = cells[j], cells[i]
        return replace(self, cells=tuple(cells))

    def asked(self, task: Sequence[int]) -> Self:
        """Returns the same with another task."""
        return replace(self, task=tuple(int(subgoal) for subgoal in task))

    def plain(self) -> dict[str, Any]:
        """Returns places by name and the task by the names of its subgoals."""
        return plain_values(self.world, self.cells, self.task)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"nothing is called {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def read_plain(world: PinpadSpec, plain: dict[str, Any]) -> tuple[tuple[int, ...], Task]:
    """Returns cells and task of plain values.

    Raises:
        ValueError: They are of no board of this world.
    """
    names = (*world.object_names, AGENT)
    places, task = plain.get("places"), plain.get("task")
    if not isinstance(places, dict) or set(places) != set(names):
        raise ValueError(f"places {places!r}; give one of each of {', '.join(names)}")
    known = world.subgoal_names
    if not isinstance(task, list) or not all(subgoal in known for subgoal in task):
        raise ValueError(f"task {task!r}; give a list of subgoals out of {', '.join(known)}")
    cells = tuple(int(places[name]) for name in names)
    return cells, tuple(known.index(subgoal) for subgoal in task)
