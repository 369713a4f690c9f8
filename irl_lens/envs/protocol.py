"""What the pipeline asks of a world, and what it is given: all that is known of one outside.

A world shows what experts did in it (:class:`irl_lens.envs.trajectories.Trajectories`), says
what the best possible reader of that could have known (:class:`Floor`), and has rows to act
on (:class:`VectorWorld`). Models, training, reinforcement learning and analyses are written
against these alone; :func:`irl_lens.envs.registry.make_world` builds a world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories

Seed = int | Sequence[int]
MAX_HORIZON = 1_024
"""Most steps of an episode in any world, and so the longest sequence of any model."""


@dataclass(frozen=True)
class ObservationSpec:
    """The columns of a multi-hot observation.

    Attributes:
        names: One name a column.
        sizes: Number of values of each column.
        predicted: The columns whose next value a base model predicts.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    predicted: tuple[int, ...]

    @property
    def columns(self) -> int:
        """Number of columns, K."""
        return len(self.sizes)

    def described(self) -> str:
        """Names the columns, those of one size together: "12 of 169 values (a to l), .."."""
        parts = []
        for size, group in groupby(zip(self.sizes, self.names, strict=True), lambda c: c[0]):
            names = [name for _, name in group]
            named = f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
            parts.append(f"{len(names)} of {size} values ({named})")
        return ", ".join(parts)

    @cached_property
    def size(self) -> int:
        """Length of the dense form."""
        return sum(self.sizes)

    @cached_property
    def offsets(self) -> Int[NDArray[np.int64], " columns"]:
        """Index at which each column starts in the dense form."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]])

    def dense(
        self, indices: Int[NDArray[np.integer], "*batch columns"]
    ) -> Float[NDArray[np.float32], "*batch size"]:
        """Expands sparse observations to multi-hot vectors."""
        full = np.zeros((*indices.shape[:-1], self.size), np.float32)
        np.put_along_axis(full, indices.astype(np.int64), 1.0, axis=-1)
        return full


@dataclass(frozen=True)
class Floor:
    """What the exact filter believes before each action; zeros on padding.

    Attributes:
        probs: Probability of each action, ``[n, steps, actions]``.
        known: The same with the goal known: the expert's own policy.
        subgoals: Posterior over the abstract subgoal pursued, ``[n, steps, subgoals]``.
        visits: Posterior over the finest subgoal pursued, ``[n, steps, visits]``.
        tasks: Posterior over the tasks of the prior, ``[n, steps, tasks]``.
    """

    probs: Float[NDArray[np.float64], "n steps actions"]
    known: Float[NDArray[np.float64], "n steps actions"]
    subgoals: Float[NDArray[np.float64], "n steps subgoals"]
    visits: Float[NDArray[np.float64], "n steps visits"]
    tasks: Float[NDArray[np.float64], "n steps tasks"]


@runtime_checkable
class Observed(Protocol):
    """What is the same of a world, of its rows to act on, and of a model that was made for it."""

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        ...

    @property
    def n_actions(self) -> int:
        """Number of primitive actions."""
        ...


@runtime_checkable
class VectorWorld(Observed, Protocol):
    """Rows to act on: Gymnasium's vector environment with autoreset disabled.

    The info of both methods has one entry a row of ``subgoal`` and ``visit`` (the abstract and
    the finest subgoal pursued, -1 once there is none), ``progress`` (visits completed) and
    ``solvable`` (whether the row's task can be done at all).
    """

    num_envs: int

    def reset(self, *, seed: int) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begins new episodes in all rows; observations are sparse, ``[n, columns]``."""
        ...

    def step(self, actions: NDArray[np.int64]) -> tuple[NDArray[Any], Any, Any, Any, dict]:
        """Takes one step in every row; a row that is over stays put, with reward 0.

        The reward of an episode is positive if its task was completed, and 0 otherwise.
        """
        ...


@runtime_checkable
class World(Observed, Protocol):
    """Where experts are watched and tasks are done.

    Tasks are sequences of abstract subgoals, and abstract subgoals sequences of finest
    subgoals, the visits. Both are numbered from 0, in the order of their names.
    """

    @property
    def horizon(self) -> int:
        """Most steps of an episode."""
        ...

    @property
    def subgoal_names(self) -> tuple[str, ...]:
        """Names of the abstract subgoals."""
        ...

    @property
    def visit_names(self) -> tuple[str, ...]:
        """Names of the finest subgoals."""
        ...

    @property
    def heldout_subgoals(self) -> tuple[int, ...]:
        """Abstract subgoals of the held-out task, in order."""
        ...

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert at training tasks, fresh for every seed.

        Args:
            n: Number of trajectories.
            seed: Seed of everything random.
            epsilon: Probability of a random harmless action.
        """
        ...

    def floor(self, trajectories: Trajectories, epsilon: float = 0.0) -> Floor:
        """Returns what the exact Bayes filter over training tasks believes at every step.

        Args:
            trajectories: What the expert did.
            epsilon: The expert's probability of a random harmless action.
        """
        ...

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows of the held-out task.

        Args:
            n: Number of rows.
            prefix: Keep only this many abstract subgoals of the task.
            solvable: Draw only episodes in which the task can be done.
        """
        ...
