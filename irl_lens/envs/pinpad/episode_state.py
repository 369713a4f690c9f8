"""What tells one grid episode from another."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.arrays import NDArray


@dataclass
class EpisodeState:
    """Everything that tells one episode from another, one entry a row.

    Attributes:
        objects: Cell of each colour, then of each wall, ``[n, colours + walls]``.
        start: Cell the agent started on.
        task: Index of the task among the environment's tasks.
        cell: Cell the agent is on.
        displacement: Last move, 0 if the agent stayed where it was, else action + 1.
        progress: Visits completed.
        steps: Steps taken.
        terminated: The task is done, or a wrong colour was visited.
        truncated: The horizon was reached first.
        solvable: The task can be done within the horizon.
    """

    objects: Int[NDArray[np.int64], "n objects"]
    start: Int[NDArray[np.int64], " n"]
    task: Int[NDArray[np.int64], " n"]
    cell: Int[NDArray[np.int64], " n"]
    displacement: Int[NDArray[np.int64], " n"]
    progress: Int[NDArray[np.int64], " n"]
    steps: Int[NDArray[np.int64], " n"]
    terminated: Bool[NDArray[np.bool_], " n"]
    truncated: Bool[NDArray[np.bool_], " n"]
    solvable: Bool[NDArray[np.bool_], " n"]

    @classmethod
    def empty(cls, n: int, objects: int) -> EpisodeState:
        """Returns ``n`` rows that are over, without a start, to be reset before use."""
        numbers = ("task", "cell", "displacement", "progress", "steps")
        return cls(
            objects=np.zeros((n, objects), np.int64),
            start=np.full(n, -1),
            terminated=np.ones(n, bool),
            truncated=np.zeros(n, bool),
            solvable=np.zeros(n, bool),
            **{name: np.zeros(n, np.int64) for name in numbers},
        )

    def copy(self) -> EpisodeState:
        """Returns a copy that shares no memory."""
        return EpisodeState(**{f.name: getattr(self, f.name).copy() for f in fields(self)})
