"""What a world that can be drawn and edited shows of itself: all that figures know of boards.

A :class:`Situation` is one episode's surroundings and task, as a value: it can be drawn
(:class:`Scene`), edited (each edit gives another), played by the expert, and acted in. Where
actions are moves from place to place (:class:`Walkable`), it can also be walked through. A place
is a number from 0, row by row: ``place = y * width + x``. Where exactly something is, is a point:
column and row as real numbers, whole ones in the middle of a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from irl_lens.arrays import NDArray
from irl_lens.envs.protocol import Seed, VectorWorld
from irl_lens.envs.trajectories import Trajectories

Point = tuple[float, float]
"""Column, to the right, and row, downwards."""
Points = Float[NDArray[np.float64], "*batch 2"]

AGENT = "agent"
"""Name of the agent among the things that can be moved."""


@dataclass(frozen=True)
class Thing:
    """Something that lies somewhere.

    Attributes:
        name: Unlike any other's; in a :class:`Walkable` world, the observation's column that shows
            it is called the same.
        label: What to write on it; of what is to be visited, the visit's name.
        place: Where it lies.
        color: ``#rrggbb``.
        solid: Whether the agent cannot stand there.
    """

    name: str
    label: str
    place: int
    color: str
    solid: bool


@dataclass(frozen=True)
class Move:
    """Where a primitive action leads if nothing is in the way.

    Attributes:
        name: Name of the action.
        dx: Columns, to the right.
        dy: Rows, downwards.
    """

    name: str
    dx: int
    dy: int


@dataclass(frozen=True)
class Scene:
    """What there is to draw.

    Attributes:
        width: Places in a row.
        height: Rows.
        things: All that lies there, but for the agent.
        agent: The agent's place.
        moves: The primitive actions in order; empty where actions are no moves.
        exact: Where in its place the agent is; in the middle if not given.
    """

    width: int
    height: int
    things: tuple[Thing, ...]
    agent: int
    moves: tuple[Move, ...] = ()
    exact: Point | None = None

    @property
    def point(self) -> Point:
        """Where exactly the agent is."""
        y, x = divmod(self.agent, self.width)
        return (float(x), float(y)) if self.exact is None else self.exact

    def xy(
        self, places: Int[NDArray[np.integer], "*batch"] | int
    ) -> tuple[Int[NDArray[np.integer], "*batch"], Int[NDArray[np.integer], "*batch"]]:
        """Returns column and row of places, both counted from 0, rows downwards."""
        y, x = np.divmod(np.asarray(places), self.width)
        return np.asarray(x), np.asarray(y)

    @property
    def places(self) -> int:
        """How many places there are."""
        return self.width * self.height

    @property
    def standing(self) -> tuple[int, ...]:
        """The places where the agent can stand."""
        solid = {thing.place for thing in self.things if thing.solid}
        return tuple(p for p in range(self.places) if p not in solid)


@runtime_checkable
class Drawable(Protocol):
    """What can be drawn."""

    def scene(self, agent: int | None = None) -> Scene:
        """Returns what to draw, with the agent at its start or at another place."""
        ...

    def pixels(self, at: Point | None = None) -> UInt8[NDArray[np.uint8], "height width 3"]:
        """Returns the same as pixels, from above: red, green and blue from 0 to 255."""
        ...


@runtime_checkable
class Editable(Protocol):
    """What can be changed; every change gives another, and leaves it as it is."""

    @property
    def task(self) -> tuple[int, ...]:
        """Abstract subgoals, in order."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that can be moved, the agent last."""
        ...

    @property
    def solvable(self) -> bool:
        """Whether the task can be done within the horizon."""
        ...

    def moved(self, name: str, place: int) -> Self:
        """Returns the same with one thing, or the agent, at another place.

        Raises:
            ValueError: No such thing or place, or something else is there.
        """
        ...

    def swapped(self, one: str, other: str) -> Self:
        """Returns the same with two things, or the agent and one, in each other's place."""
        ...

    def asked(self, task: Sequence[int]) -> Self:
        """Returns the same with another task.

        Raises:
            ValueError: It names a subgoal that there is not, or none.
        """
        ...

    def plain(self) -> dict[str, Any]:
        """Returns plain JSON-able values that ``stage`` of the world reads back."""
        ...


@runtime_checkable
class Playable(Protocol):
    """What can be played by the expert, and freely."""

    def demonstrate(self, seed: Seed) -> Trajectories:
        """Lets the expert do the task: one trajectory.

        Raises:
            ValueError: It cannot be done within the horizon.
        """
        ...

    def rows(self, n: int) -> VectorWorld:
        """Returns ``n`` rows in which this task is asked for, here."""
        ...

    def roaming(self, n: int, subgoals: int = 1) -> Any:
        """Returns ``n`` rows here without a task; see ``roaming`` of the world."""
        ...


@runtime_checkable
class Placeable(Protocol):
    """What an agent can begin in anywhere, standing and turned any way."""

    def placed(
        self, points: Float[NDArray[np.floating[Any]], "n 2"], turns: Float[NDArray[Any], " n"]
    ) -> Any:
        """Returns rows here without a task, one a point; see ``roaming`` of the world.

        Args:
            points: Column and row of each, in places where nothing lies.
            turns: Which way each is turned about the vertical [rad].

        Raises:
            ValueError: Something lies there, or it is in no place.
        """
        ...


@runtime_checkable
class Traceable(Protocol):
    """What a walk from elsewhere can be retraced in."""

    def retraced(
        self,
        places: Int[NDArray[np.integer], " steps"],
        actions: Shaped[NDArray[Any], " steps *action"],
    ) -> Trajectories:
        """Returns the walk as one trajectory here, as a filter of beliefs takes it.

        It goes to its end, also where an episode would be over. An agent that is at a place and
        no more is at these places; a body takes these actions from its start, to the bit. What
        was pursued is not known: labels are -1 but for visits that were made, which progress
        counts.

        Args:
            places: Where the agent was before each action.
            actions: What it did.
        """
        ...


@runtime_checkable
class Steppable(Traceable, Protocol):
    """What can be walked through along given places."""

    def watch(
        self, places: Int[NDArray[np.integer], "n steps"]
    ) -> Int[NDArray[np.int32], "n steps columns"]:
        """Returns what an agent sees that is at these places, one after the other.

        From one place to the next need not be one move; where it is not, the agent looks as
        if it had stood still.
        """
        ...


@runtime_checkable
class Situation(Drawable, Editable, Playable, Protocol):
    """Where things lie, where the agent starts, and the abstract subgoals it is asked for."""


@runtime_checkable
class TraceableSituation(Situation, Traceable, Protocol):
    """A situation in which a walk can be retraced."""


@runtime_checkable
class WalkableSituation(Situation, Steppable, Protocol):
    """A situation in which places tell what is seen."""


@runtime_checkable
class Mapped(Protocol):
    """A world whose observations show where the agent is."""

    def places(
        self, observations: Shaped[NDArray[Any], "*batch columns"]
    ) -> Int[NDArray[np.int64], "*batch"]:
        """Returns where the agent is, as sparse observations show it; -1 in no place."""
        ...

    def points(self, observations: Shaped[NDArray[Any], "*batch columns"]) -> Points:
        """Returns column and row of the same, exactly where the agent is."""
        ...


@runtime_checkable
class Stageable(Mapped, Protocol):
    """A world whose situations can be drawn and edited."""

    def situation(self, seed: Seed) -> Situation:
        """Draws a situation in which a training task can be done."""
        ...

    def situations(self, trajectories: Trajectories) -> Sequence[Situation]:
        """Returns what each trajectory took place in."""
        ...

    def stage(self, plain: dict[str, Any]) -> Situation:
        """Builds a situation from its plain values.

        Raises:
            ValueError: They are of no situation of this world.
        """
        ...


@runtime_checkable
class Walkable(Stageable, Protocol):
    """A world whose actions are moves from place to place, and whose places tell what is seen."""

    @property
    def moves(self) -> tuple[Move, ...]:
        """The primitive actions in order."""
        ...

    def situation(self, seed: Seed) -> WalkableSituation:
        """Draws a situation in which a training task can be done."""
        ...

    def situations(self, trajectories: Trajectories) -> Sequence[WalkableSituation]:
        """Returns what each trajectory took place in."""
        ...

    def stage(self, plain: dict[str, Any]) -> WalkableSituation:
        """Builds a situation from its plain values; see :class:`Stageable`."""
        ...
