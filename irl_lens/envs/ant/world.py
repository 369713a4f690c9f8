"""The ant's pinpad as a :class:`irl_lens.envs.protocol.World`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.bayes import floor
from irl_lens.envs.ant.body import PLACE, body_columns, body_of
from irl_lens.envs.ant.demonstrations import demonstrate
from irl_lens.envs.ant.gait import Gait, gait_named
from irl_lens.envs.ant.practice import GaitPractice
from irl_lens.envs.ant.rules import End
from irl_lens.envs.ant.sights import Sights
from irl_lens.envs.ant.situation import AntSituation
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.ant.stance import stance_of
from irl_lens.envs.ant.success import played
from irl_lens.envs.ant.taskless import Roaming
from irl_lens.envs.ant.variations import usual_variations, vary
from irl_lens.envs.ant.vector_env import AntPinpadVectorEnv, rows_of
from irl_lens.envs.contracts import Explanation
from irl_lens.envs.pinpad.arrivals import arrival_names, arrivals
from irl_lens.envs.pinpad.explained import explanation
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_epsilon, check_whole
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.pinpad.witnessed import task_of
from irl_lens.envs.protocol import Floor, Seed, World
from irl_lens.envs.trajectories import Trajectories


class AntWorld(AntSpec):
    """An ant's pinpad and the grammar of its tasks.

    Args:
        config: Settings of the world.

    Raises:
        ValueError: A setting is out of range, or there is no such world.
    """

    @cached_property
    def gait(self) -> Gait:
        """The expert's gait."""
        return gait_named(self.settings.gait)

    def demonstrate(
        self,
        n: int,
        seed: Seed,
        epsilon: float = 0.0,
        task: str | Task = "train",
        prefix: int | None = None,
    ) -> Trajectories:
        """Plays fresh solvable arenas with the expert until ``n`` tasks are done.

        Args:
            n: Number of trajectories, at least 1.
            seed: Seed of everything random.
            epsilon: Probability that an ant goes astray, a control step: torques at random are
                not harmless, so it walks somewhere for a while, see
                :mod:`irl_lens.envs.ant.straying`. The expert's own noise is a setting.
            task: See :meth:`tasks`.
            prefix: See :meth:`tasks`.

        Returns:
            Successful trajectories, padded to the longest.

        Raises:
            ValueError: A number is out of range, or the expert next to never succeeds.
        """
        check_whole("n", n, 1, MAX_ROWS)
        check_epsilon(epsilon)
        return demonstrate(self, self.gait, n, seed, task, prefix, epsilon=epsilon)

    def demonstrate_telling(self, n: int, seed: Seed, told: Callable[[int], None]) -> Trajectories:
        """Does the same, and tells how many are done while it plays.

        Args:
            n: Number of trajectories, at least 1.
            seed: Seed of everything random.
            told: Called after each step with how many are done.
        """
        check_whole("n", n, 1, MAX_ROWS)
        return demonstrate(self, self.gait, n, seed, told=told)

    def floor(
        self, trajectories: Trajectories, epsilon: float = 0.0, prior: str | Task = "train"
    ) -> Floor:
        """Returns what the exact Bayes filter believes at every step.

        Args:
            trajectories: What the expert did.
            epsilon: As when they were played; who is astray is asked the same, so nothing depends
                on it.
            prior: The tasks the filter reckons with, see :meth:`tasks`.

        Raises:
            ValueError: Some trajectory is impossible under the prior, or there is no noise.
        """
        return floor(self, self.gait, trajectories, prior)

    def vector_env(
        self,
        n: int,
        task: str | Task = "heldout",
        prefix: int | None = None,
        solvable: bool = True,
    ) -> AntPinpadVectorEnv:
        """Returns ``n`` ants to act with, without autoreset.

        Args:
            n: Number of ants.
            task: See :meth:`tasks`.
            prefix: See :meth:`tasks`.
            solvable: Draw only arenas in which there is a path for the task.
        """
        return rows_of(self.settings, n, task=task, prefix=prefix, solvable=solvable)

    def roaming(self, n: int, subgoals: int = 1) -> Roaming:
        """Returns ``n`` ants of which nothing is asked.

        Args:
            n: Number of ants.
            subgoals: An episode ends once so many abstract subgoals were reached.
        """
        return Roaming(self, n, subgoals)

    def attempts(
        self, n: int, seed: Seed, task: Literal["train", "heldout"], noise: bool = False
    ) -> Bool[NDArray[np.bool_], " n"]:
        """Lets the expert try tasks for which there is a path; marks where it succeeds.

        Args:
            n: Number of arenas.
            seed: Seed of everything random.
            task: Training tasks, or the held-out one.
            noise: Draw torques as those of demonstrations are drawn; else take the means.
        """
        share = self.settings.noise if noise else 0.0
        return played(self, self.gait, n, seed, task, share).end == End.SUCCESS

    def practice(self) -> GaitPractice:
        """Returns what the expert's gait is learned by."""
        return GaitPractice(self)

    def places(
        self, observations: Float[NDArray[np.floating[Any]], "*batch columns"]
    ) -> Int[NDArray[np.int64], "*batch"]:
        """Returns the cell that the ant is in, as observations show it; -1 outside."""
        place = body_columns(self.board.objects, observations)[..., PLACE]
        return Arena(self.arena.size, 2 / self.arena.size).cells(place)

    def points(
        self, observations: Float[NDArray[np.floating[Any]], "*batch columns"]
    ) -> Float[NDArray[np.float64], "*batch 2"]:
        """Returns column and row of the ant, as observations show it."""
        place = body_columns(self.board.objects, observations)[..., PLACE]
        return self.arena.points(self.arena.half * place.astype(np.float64))

    @property
    def explanation(self) -> Explanation:
        """What is to be done."""
        left = ", a fall or leaving the board" if self.settings.edge == "ends" else " or a fall"
        body = "the agent is a body with four legs and eight torques"
        return explanation(self, body, f", and so does a wall{left}")

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the events that observations show: arrivals."""
        return arrival_names(self)

    def events(self, trajectories: Trajectories) -> Bool[NDArray[np.bool_], "n steps events"]:
        """Marks the arrivals at each step."""
        return arrivals(self, self.places(trajectories.observations), trajectories)

    def situation(self, seed: Seed, task: str | Task = "train") -> AntSituation:
        """Draws an arena in which the expert can do a task.

        Args:
            seed: Seed of everything random.
            task: See :meth:`tasks`.
        """
        return self.situations(self.demonstrate(1, seed, task=task))[0]

    def situations(self, trajectories: Trajectories) -> list[AntSituation]:
        """Returns arena, start and task of each trajectory, which must go to its end.

        The start is what the first observation shows of it, to its precision.
        """
        layouts = Layouts.of(trajectories)
        qpos, qvel = body_of(self.arena, self.board.objects, trajectories.observations[:, 0])
        found = []
        for row, cell in enumerate(layouts.start.tolist()):
            cells = *layouts.objects[row].tolist(), cell
            stance = stance_of(self.arena, cell, (qpos[row], qvel[row]))
            found.append(AntSituation(self, cells, task_of(self, trajectories, row), stance))
        return found

    def seen_in(
        self, situation: AntSituation, rows: Roaming
    ) -> Float[NDArray[np.float32], "n columns"]:
        """Returns what bodies would see in another arena."""
        alike = Sights.of(self, situation.layouts).rows(np.zeros(rows.num_envs, np.int64))
        return alike.observe(*rows.bodies)

    @property
    def variations(self) -> tuple[str, ...]:
        """What to vary when nothing else is asked for."""
        return usual_variations(self)

    def varied(self, variation: str) -> World:
        """Returns the world with one thing other, see :mod:`irl_lens.envs.ant.variations`."""
        return vary(self, variation, AntWorld)

    def stage(self, plain: dict[str, Any]) -> AntSituation:
        """Builds a situation from the plain values that it gave."""
        return AntSituation.of_plain(self, plain)
