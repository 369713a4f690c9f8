"""The grid pinpad with one thing other than a model was trained on, which it can read all the same.

    task=B-C-D-A   this task is asked for in place of the held-out one, and demonstrated
    walls=8        boards with so many walls
    epsilon=0.1    in demonstrations and episodes alike, so often a random harmless action is taken
    moved          the colour asked for moves, once, in mid-episode

See :mod:`irl_lens.envs.pinpad.other_walls` and :mod:`irl_lens.envs.pinpad.disturbed`. Everything
else is as it was; but for ``task``, demonstrations are of training tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from irl_lens.envs.pinpad.altered import Altered, OtherTask, Tasked, usual_tasks
from irl_lens.envs.pinpad.disturbed import MovingVectorEnv, SlippingVectorEnv
from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.pinpad.moving_expert import demonstrate_moving
from irl_lens.envs.pinpad.other_walls import Reading, ReadVectorEnv
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.pinpad.vector_env import rows_of
from irl_lens.envs.protocol import Seed, VectorWorld, World
from irl_lens.envs.spaces import ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError

N = TypeVar("N", int, float)
KNOWN = "task=A-B-.., walls=N, epsilon=P and moved"
FIXED = ("size", "colours", "observation")
"""What sizes the columns that a model reads."""


class Grid(Tasked, Protocol):
    """A grid pinpad."""

    config: PinpadConfig
    board: BoardSpec


class OtherWalls(Altered):
    """Boards with more or fewer walls, in the columns of the world that a model was made for.

    Args:
        world: A world of such boards.
        own: The one that the model was made for.
    """

    def __init__(self, world: Grid, own: Grid) -> None:
        super().__init__(world)
        self._config, self._own = world.config, own.observation
        self._reading = Reading(world.observation, own.observation, own.board)

    @property
    def observation(self) -> ObservationSpec:
        """The columns that the model was made for."""
        return self._own

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert; their observations are multi-hot vectors."""
        shown = super().demonstrate(n, seed, epsilon)
        return replace(shown, observations=self._reading.dense(shown.observations), extras={})

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows to act on."""
        env = rows_of(self._config, n, prefix=prefix, solvable=solvable)
        return ReadVectorEnv(env, self._reading)


class Slipping(Altered):
    """Random harmless actions are taken at times, by experts and by whoever acts.

    Args:
        world: The world.
        epsilon: Probability a step.
    """

    def __init__(self, world: Grid, epsilon: float) -> None:
        super().__init__(world)
        self._config, self.epsilon = world.config, epsilon

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert, with this noise in place of ``epsilon``."""
        return super().demonstrate(n, seed, self.epsilon)

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows to act on."""
        made = partial(SlippingVectorEnv, epsilon=self.epsilon)
        return rows_of(self._config, n, prefix=prefix, solvable=solvable, made=made)


class Moving(Altered):
    """The colour asked for moves in mid-episode.

    Args:
        world: The world.
    """

    def __init__(self, world: Grid) -> None:
        super().__init__(world)
        self._config = world.config

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert, without noise."""
        return demonstrate_moving(self._rows(n, "train", None, True), seed)

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows to act on."""
        return self._rows(n, "heldout", prefix, solvable)

    def _rows(self, n: int, task: str, prefix: int | None, solvable: bool) -> MovingVectorEnv:
        made = MovingVectorEnv
        return rows_of(self._config, n, task, prefix, solvable, made)  # type: ignore[return-value]


def usual_variations(world: Grid) -> tuple[str, ...]:
    """Returns some of each kind: what a world is tried with when nothing else is asked for."""
    walls = [0, 2 * world.board.walls] if world.board.walls else []
    return (
        *(f"task={task}" for task in usual_tasks(world.grammar)),
        *(f"walls={n}" for n in walls),
        "epsilon=0.1",
        "moved",
    )


def vary(world: Grid, variation: str, make: Callable[[PinpadConfig], Grid]) -> World:
    """Returns a world with one thing other.

    Args:
        world: The world.
        variation: What is other: see the module.
        make: Makes a world like it of another configuration.

    Raises:
        UserError: There is no such thing, or a model made for the world could not read it.
    """
    name, _, value = variation.partition("=")
    if name == "task":
        return OtherTask(world, value)
    if name == "walls":
        walls = _number(variation, int)
        try:
            other = make(replace(world.config, walls=walls))
        except ValueError as error:
            raise UserError(f"{variation}: {error}") from error
        return OtherWalls(other, world)
    if name == "epsilon":
        if not 0 < (epsilon := _number(variation, float)) < 1:
            raise UserError(f"{variation}; take a probability above 0 and below 1")
        return Slipping(world, epsilon)
    if variation == "moved":
        return Moving(world)
    if name in FIXED:
        raise UserError(
            f"{variation[:60]}: a model made for {name} {getattr(world.config, name)} reads no "
            f"other, as its columns are of that size; train one: --set world.{variation[:60]}"
        )
    raise UserError(f"nothing is varied by {variation[:60]!r}; there are {KNOWN}")


def _number(variation: str, kind: type[N]) -> N:
    name, _, value = variation.partition("=")
    try:
        return kind(value)
    except ValueError as error:
        raise UserError(f"{variation[:60]}: write {name}= and a number") from error
