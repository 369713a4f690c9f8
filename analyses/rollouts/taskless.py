"""Where agents go when nothing is asked of them: paths, and the subgoals they lead to.

An agent that reaches what belongs to no abstract subgoal has strayed, and its episode ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import Roamable, RoamingRows, ask
from irl_lens.envs.protocol import World
from irl_lens.envs.scenes import Situation, Stageable
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention
from irl_lens.models.fast import FastPath
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner


@dataclass(frozen=True)
class Course:
    """Where a batch of agents went.

    Attributes:
        reached: Abstract subgoals in the order they were reached; -1 where there is none.
        at: Steps taken when each was reached, -1 where there is none.
        lengths: Steps taken in all.
        path: Cell after each number of steps, the start first; -1 after the end, and off the map.
        trail: Column and row of the same, exactly where the agent was; NaN after the end.
        cells: Cells of a board.
    """

    reached: Int[NDArray[np.int64], "n subgoals"]
    at: Int[NDArray[np.int64], "n subgoals"]
    lengths: Int[NDArray[np.int64], " n"]
    path: Int[NDArray[np.int64], "n steps"]
    trail: Float[NDArray[np.float64], "n steps 2"]
    cells: int

    @classmethod
    def of(cls, env: RoamingRows) -> Course:
        """Returns where agents went that have roamed."""
        return cls(env.reached, env.at, env.lengths, env.path, env.trail, env.cells)

    def occupancy(self, since: Int[NDArray[np.int64], " n"]) -> Float[NDArray[np.float64], "n c"]:
        """Share of time on each cell after ``since`` steps and more; NaN if it was over."""
        counted = (self.path >= 0) & (np.arange(self.path.shape[1]) > since[:, None])
        rows, steps = np.nonzero(counted)
        table = np.zeros((len(self.path), self.cells))
        np.add.at(table, (rows, self.path[rows, steps]), 1)
        total = table.sum(axis=1, keepdims=True)
        return np.where(total > 0, table / np.maximum(total, 1), np.nan)


@dataclass(frozen=True)
class Field:
    """Boards to roam on, the same for all that roam.

    Attributes:
        base: The base model.
        world: A world in which agents can roam.
        rows: Number of boards.
        seed: Seed of boards and of the noise that actions are drawn with: agents that do the same
            up to a step are the same to the bit up to it.
        temperature: Temperature of the primitive actions.
        where: One board for all rows; drawn from the seed when not given.
    """

    base: FastPath
    world: World
    rows: int
    seed: int
    temperature: float = 1.0
    where: Situation | None = None

    def roam(self, hook: Intervention | None = None, subgoals: int = 1) -> Course:
        """Lets agents go until they have reached so many subgoals, strayed, or run out of time.

        Args:
            hook: What acts in the base's stream.
            subgoals: How many.

        Raises:
            UserError: There is no roaming in this world.
        """
        return self.recorded(hook, subgoals)[1]

    def recorded(
        self, hook: Intervention | None = None, subgoals: int = 1
    ) -> tuple[Rollout, Course]:
        """Does the same as :meth:`roam`, and returns the episodes beside where they went."""
        env = self._source.roaming(self.rows, subgoals)
        real = not isinstance(self.world.actions, DiscreteActions)
        runner = RolloutRunner(self.base, self.world.horizon, hook, self.temperature, whole=real)
        episodes = runner.play(env, self.seed)
        return episodes, Course.of(env)

    def situation(self, row: int, task: Sequence[int]) -> Situation:
        """Returns the board of a row, with a task to be asked for there.

        Args:
            row: Number of the board.
            task: Abstract subgoals.
        """
        env = self._source.roaming(self.rows, 1)
        env.reset(seed=self.seed)
        return ask(self.world, Stageable, "this analysis").stage(env.plain(row, task))

    def check(self, step: int, first: int = 0) -> None:
        """Refuses steps at which nothing can be done.

        Args:
            step: Where something is to be done.
            first: The earliest that makes sense.

        Raises:
            UserError: It is not one of ``first`` to the last step of the world.
        """
        if not first <= step < self.world.horizon:
            raise UserError(f"step {step}; take one from {first} to {self.world.horizon - 1}")

    @property
    def unseen(self) -> tuple[tuple[int, int], ...]:
        """Pairs of different subgoals that follow each other in no training task."""
        seen, n = self._roamable.transitions, len(self.world.subgoal_names)
        pairs = ((g, h) for g in range(n) for h in range(n) if g != h)
        return tuple(pair for pair in pairs if pair not in seen)

    @property
    def _source(self) -> Roamable | Situation:
        return self._roamable if self.where is None else self.where

    @property
    def _roamable(self) -> Roamable:
        return ask(self.world, Roamable, "this analysis")
