"""The pinpad grid as a :class:`irl_lens.envs.protocol.World`."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import Explanation
from irl_lens.envs.pinpad.arrivals import arrival_names, arrivals
from irl_lens.envs.pinpad.bayes import posterior
from irl_lens.envs.pinpad.expert import demonstrations, visit_table
from irl_lens.envs.pinpad.explained import explanation
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_epsilon, check_whole
from irl_lens.envs.pinpad.situation import DIRECTIONS, PinpadSituation
from irl_lens.envs.pinpad.spec import PinpadSpec
from irl_lens.envs.pinpad.taskless import Roaming
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.pinpad.variations import usual_variations, vary
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv, rows_of
from irl_lens.envs.pinpad.witnessed import task_of, witnessed
from irl_lens.envs.protocol import Floor, Seed, World
from irl_lens.envs.scenes import Move
from irl_lens.envs.trajectories import Trajectories


class PinpadWorld(PinpadSpec):
    """A pinpad grid world and the grammar of its tasks.

    Args:
        config: Size, objects, horizon, grammar and observation.

    Raises:
        ValueError: The grammar names a colour the board does not have, or the board
            cannot hold its objects.
    """

    def demonstrate(
        self,
        n: int,
        seed: Seed,
        epsilon: float = 0.0,
        task: str | Task = "train",
        prefix: int | None = None,
    ) -> Trajectories:
        """Plays ``n`` fresh solvable boards with the expert.

        Args:
            n: Number of trajectories, at least 1.
            seed: Seed of everything random.
            epsilon: Probability of a random harmless action, below 1.
            task: See :meth:`tasks`.
            prefix: See :meth:`tasks`.

        Returns:
            Successful trajectories, padded to the longest.

        Raises:
            ValueError: A number is out of range, next to no board can be solved, or noise keeps
                next to all games from ending within the horizon.
        """
        check_whole("n", n, 1, MAX_ROWS)
        check_epsilon(epsilon)
        rng = np.random.default_rng(seed)
        tasks = self.tasks(task, prefix)
        table = visit_table([self.grammar.colours(t) for t in tasks])
        games, walk = demonstrations(self.board, table, n, self.horizon, rng, epsilon)
        numbers = games.tasks if task == "train" else np.full(n, -1)
        return witnessed(self, games, walk, tasks, numbers)

    def floor(
        self, trajectories: Trajectories, epsilon: float = 0.0, prior: str | Task = "train"
    ) -> Floor:
        """Returns what the exact Bayes filter believes at every step.

        Args:
            trajectories: What the expert did.
            epsilon: The expert's probability of a random harmless action.
            prior: The tasks the filter reckons with, see :meth:`tasks`.

        Raises:
            ValueError: Some trajectory is impossible under the prior.
        """
        cells = np.where(trajectories.mask, self.places(trajectories.observations), 0)
        tasks = self.tasks(prior)
        return posterior(
            self.board, self.grammar, tasks, trajectories, cells, self.horizon, epsilon
        )

    def vector_env(
        self,
        n: int,
        task: str | Task = "heldout",
        prefix: int | None = None,
        solvable: bool = True,
    ) -> GridPinpadVectorEnv:
        """Returns ``n`` boards to act on, with sparse observations and no autoreset.

        Args:
            n: Number of boards.
            task: See :meth:`tasks`.
            prefix: See :meth:`tasks`.
            solvable: Draw only boards on which the task can be done.
        """
        return rows_of(self.config, n, task=task, prefix=prefix, solvable=solvable)

    def roaming(self, n: int, subgoals: int = 1) -> Roaming:
        """Returns ``n`` boards on which nothing is asked for.

        Args:
            n: Number of boards.
            subgoals: An episode ends once so many abstract subgoals were reached.
        """
        return Roaming(self, n, subgoals)

    def places(
        self, observations: Int[NDArray[np.integer], "*batch columns"]
    ) -> Int[NDArray[np.int64], "*batch"]:
        """Returns the cell the agent is on, as sparse observations show it."""
        agent = self.observation.predicted[0]
        return observations[..., agent].astype(np.int64) - self.observation.offsets[agent]

    def points(
        self, observations: Int[NDArray[np.integer], "*batch columns"]
    ) -> Float[NDArray[np.float64], "*batch 2"]:
        """Returns column and row of the cell the agent is on."""
        y, x = np.divmod(self.places(observations), self.board.size)
        return np.stack([x, y], axis=-1).astype(np.float64)

    @property
    def explanation(self) -> Explanation:
        """What is to be done."""
        return explanation(self, "the agent moves up, right, down or left")

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the events that observations show: arrivals."""
        return arrival_names(self)

    def events(self, trajectories: Trajectories) -> Bool[NDArray[np.bool_], "n steps events"]:
        """Marks the arrivals at each step."""
        return arrivals(self, self.places(trajectories.observations), trajectories)

    @property
    def moves(self) -> tuple[Move, ...]:
        """The primitive actions, as moves."""
        return DIRECTIONS

    def situation(self, seed: Seed, task: str | Task = "train") -> PinpadSituation:
        """Draws a board on which a task can be done.

        Args:
            seed: Seed of everything random.
            task: See :meth:`tasks`.
        """
        return self.situations(self.demonstrate(1, seed, task=task))[0]

    def situations(self, trajectories: Trajectories) -> list[PinpadSituation]:
        """Returns the board and task of each trajectory, which must go to its end."""
        layouts = Layouts.of(trajectories)
        cells = np.column_stack([layouts.objects, layouts.start])
        return [
            PinpadSituation(self, tuple(cells[row].tolist()), task_of(self, trajectories, row))
            for row in range(len(trajectories))
        ]

    def seen_in(
        self, situation: PinpadSituation, rows: Roaming
    ) -> Int[NDArray[np.int32], "n columns"]:
        """Returns what agents would see on another board."""
        return situation.watch(np.maximum(rows.path[:, -2:], 0))[:, -1]

    @property
    def variations(self) -> tuple[str, ...]:
        """What to vary when nothing else is asked for."""
        return usual_variations(self)

    def varied(self, variation: str) -> World:
        """Returns the world with one thing other, see :mod:`irl_lens.envs.pinpad.variations`."""
        return vary(self, variation, PinpadWorld)

    def stage(self, plain: dict[str, Any]) -> PinpadSituation:
        """Builds a situation from the plain values that it gave."""
        return PinpadSituation.of_plain(self, plain)
