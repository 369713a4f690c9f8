"""What a world shows in which agents roam: rows without a task, and what they remember.

What an agent does there it does by itself; its surroundings can be taken up again with a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.protocol import VectorWorld


class RoamingRows(VectorWorld, Protocol):
    """Rows without a task, and what they remember.

    Attributes:
        lengths: Steps taken in all.
    """

    lengths: Int[NDArray[np.int64], " n"]

    @property
    def reached(self) -> Int[NDArray[np.int64], "n subgoals"]:
        """Abstract subgoals in the order they were reached; -1 where there is none."""
        ...

    @property
    def at(self) -> Int[NDArray[np.int64], "n subgoals"]:
        """Steps taken when each was reached, -1 where there is none."""
        ...

    @property
    def path(self) -> Int[NDArray[np.int64], "n steps"]:
        """Place after each number of steps, the start first; -1 after the end, and off the map."""
        ...

    @property
    def trail(self) -> Float[NDArray[np.float64], "n steps 2"]:
        """Column and row of the same, exactly where the agent was; NaN after the end."""
        ...

    @property
    def cells(self) -> int:
        """How many places there are."""
        ...

    def possible(self, tasks: Sequence[Sequence[int]]) -> Bool[NDArray[np.bool_], "n tasks"]:
        """Marks the tasks that can be done at all, from where each row began."""
        ...

    def plain(self, row: int, task: Sequence[int]) -> dict[str, Any]:
        """Returns the plain values of a row's surroundings, with a task to be asked for there."""
        ...


@runtime_checkable
class Roamable(Protocol):
    """A world in which agents can roam."""

    @property
    def training_tasks(self) -> tuple[tuple[int, ...], ...]:
        """Training tasks, each its abstract subgoals in order."""
        ...

    @property
    def transitions(self) -> frozenset[tuple[int, int]]:
        """Pairs of subgoals that follow each other in training."""
        ...

    def roaming(self, n: int, subgoals: int = 1) -> RoamingRows:
        """Returns rows without a task, which are over once so many subgoals were reached."""
        ...
