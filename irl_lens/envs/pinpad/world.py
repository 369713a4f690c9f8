"""The pinpad grid as a :class:`irl_lens.envs.protocol.World`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.bayes import posterior
from irl_lens.envs.pinpad.expert import Games, Walk, demonstrations, visit_table
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.observation import Observer
from irl_lens.envs.pinpad.planner import ACTIONS
from irl_lens.envs.pinpad.tasks import Grammar, Task, grammar
from irl_lens.envs.protocol import MAX_HORIZON, Floor, Seed
from irl_lens.envs.registry import PinpadConfig
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.envs.trajectories import Trajectories

if TYPE_CHECKING:
    from irl_lens.envs.pinpad.situation import PinpadSituation
    from irl_lens.envs.pinpad.taskless import Roaming
    from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv


class PinpadWorld:
    """A pinpad grid world and the grammar of its tasks.

    Args:
        config: Size, objects, horizon, grammar and observation.

    Raises:
        ValueError: The grammar names a colour the board does not have, or the board
            cannot hold its objects.
    """

    def __init__(self, config: PinpadConfig) -> None:
        check_whole("horizon", config.horizon, 1, MAX_HORIZON)
        self.config = config
        self.grammar: Grammar = grammar(config.grammar)
        self.board = BoardSpec(config.size, config.colours, config.walls)
        if self.grammar.n_colours > config.colours:
            raise ValueError(
                f"grammar {config.grammar!r} names colour {self.grammar.n_colours - 1}, but the "
                f"world has {config.colours} colours, numbered from 0; add colours or take "
                "another grammar"
            )
        self.observer = Observer(config.observation, self.board)

    @property
    def observation(self) -> ObservationSpec:
        """What a base model reads."""
        return self.observer.spec

    @property
    def actions(self) -> DiscreteActions:
        """The primitive actions."""
        return ACTIONS

    @property
    def horizon(self) -> int:
        """Most steps of an episode."""
        return self.config.horizon

    @property
    def subgoal_names(self) -> tuple[str, ...]:
        """Names of the abstract subgoals."""
        return self.grammar.subgoal_names

    @property
    def visit_names(self) -> tuple[str, ...]:
        """Names of the finest subgoals."""
        return tuple(str(colour) for colour in range(self.config.colours))

    @property
    def heldout_subgoals(self) -> Task:
        """Abstract subgoals of the held-out task, in order."""
        return self.grammar.heldout

    def tasks(self, task: str | Task, prefix: int | None = None) -> tuple[Task, ...]:
        """Returns the tasks meant by ``"train"``, ``"heldout"`` or one task.

        Args:
            task: Which tasks.
            prefix: Keep this many abstract subgoals of each.

        Raises:
            ValueError: Unknown name, or a prefix that no task has.
        """
        if isinstance(task, str) and task not in ("train", "heldout"):
            raise ValueError(f"no task {task!r}; name 'train', 'heldout' or a tuple of subgoals")
        named = {"train": self.grammar.train, "heldout": (self.grammar.heldout,)}
        chosen = named[task] if isinstance(task, str) else (task,)
        if prefix is not None:
            check_whole(f"prefix of task {task!r}", prefix, 1, min(map(len, chosen)))
        return tuple(t[:prefix] for t in chosen)

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
        if not 0 <= epsilon < 1:
            raise ValueError(f"epsilon {epsilon}; take a probability from 0 to below 1")
        rng = np.random.default_rng(seed)
        tasks = self.tasks(task, prefix)
        table = visit_table([self.grammar.colours(t) for t in tasks])
        games, walk = demonstrations(self.board, table, n, self.horizon, rng, epsilon)
        numbers = games.tasks if task == "train" else np.full(n, -1)
        return self.witnessed(games, walk, tasks, numbers)

    def witnessed(
        self, games: Games, walk: Walk, tasks: Sequence[Task], numbers: Int[NDArray[Any], " n"]
    ) -> Trajectories:
        """Returns what was seen of an expert, with its labels.

        Args:
            games: The boards, each with the index of its task among ``tasks``.
            walk: What the expert did.
            tasks: The tasks.
            numbers: Index of each game's task within the grammar, -1 if it is none of it.
        """
        stages = visit_table([self.grammar.stages(t) for t in tasks])
        stage = np.minimum(walk.progress, stages.shape[1] - 1)
        rows = np.arange(len(numbers))[:, None]
        objects = games.layouts.objects[:, None]
        observations = self.observer.encode(
            np.broadcast_to(objects, (*walk.cells.shape, self.board.objects)),
            walk.cells,
            walk.displacements,
        )
        return Trajectories(
            observations=observations,
            actions=walk.actions,
            policy=walk.policy.astype(np.float32),
            mask=walk.mask,
            subgoals=np.where(walk.mask, stages[games.tasks][rows, stage], -1),
            visits=np.where(walk.mask, games.visits[rows, stage], -1),
            progress=walk.progress,
            tasks=numbers,
            extras=vars(games.layouts),
        )

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
        from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv

        options = {"task": task, "prefix": prefix, "solvable": solvable, "sparse": True}
        return GridPinpadVectorEnv(n, "Disabled", **asdict(self.config), **options)

    @property
    def transitions(self) -> frozenset[tuple[int, int]]:
        """Pairs of abstract subgoals that follow each other in training tasks."""
        return self.grammar.transitions

    def roaming(self, n: int, subgoals: int = 1) -> Roaming:
        """Returns ``n`` boards on which nothing is asked for.

        Args:
            n: Number of boards.
            subgoals: An episode ends once so many abstract subgoals were reached.
        """
        from irl_lens.envs.pinpad.taskless import Roaming

        return Roaming(self, n, subgoals)

    def places(
        self, observations: Int[NDArray[np.integer], "*batch columns"]
    ) -> Int[NDArray[np.int64], "*batch"]:
        """Returns the cell the agent is on, as sparse observations show it."""
        agent = self.observation.predicted[0]
        return observations[..., agent].astype(np.int64) - self.observation.offsets[agent]

    def situation(self, seed: Seed, task: str | Task = "train") -> PinpadSituation:
        """Draws a board on which a task can be done.

        Args:
            seed: Seed of everything random.
            task: See :meth:`tasks`.
        """
        return self.situations(self.demonstrate(1, seed, task=task))[0]

    def situations(self, trajectories: Trajectories) -> list[PinpadSituation]:
        """Returns the board and task of each trajectory, which must go to its end."""
        from irl_lens.envs.pinpad.situation import PinpadSituation

        layouts = Layouts.of(trajectories)
        cells = np.column_stack([layouts.objects, layouts.start])
        return [
            PinpadSituation(self, tuple(cells[row].tolist()), self._task(trajectories, row))
            for row in range(len(trajectories))
        ]

    def stage(self, plain: dict[str, Any]) -> PinpadSituation:
        """Builds a situation from the plain values that it gave."""
        from irl_lens.envs.pinpad.situation import PinpadSituation

        return PinpadSituation.of_plain(self, plain)

    def _task(self, trajectories: Trajectories, row: int) -> Task:
        """The task that a trajectory did, read off its labels."""
        mask = trajectories.mask[row]
        _, first = np.unique(trajectories.require("progress")[row][mask], return_index=True)
        stages, task, visit = trajectories.require("subgoals")[row][mask][first], [], 0
        while visit < len(stages):
            task.append(int(stages[visit]))
            visit += len(self.grammar.subgoals[task[-1]])
        return tuple(task)
