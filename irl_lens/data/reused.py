"""Demonstrations trained on several times, where to play them costs as much as to train on them.

    batch of step i = n - (SPACING u mod (n + 1)),   n = i // uses,   u = i mod uses

so that each is used at once and then again after every further SPACING batches, and a fresh one is
played every ``uses`` steps. Until there are so many, those there are take turns. It is a function
of i alone: training resumes exactly.
"""

from __future__ import annotations

from irl_lens.data.ahead import AheadDemonstrations
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.trajectories import Trajectories

SPACING = 8
"""Fresh batches between two uses of one."""


class ReusedDemonstrations:
    """A stream that is best read in order.

    Args:
        stream: What to read.
        steps: How many batches are read in all.
        uses: How often each is.
    """

    def __init__(self, stream: Demonstrations, steps: int, uses: int) -> None:
        self._stream, self._uses = AheadDemonstrations(stream, -(-steps // uses)), uses
        self._kept: dict[int, Trajectories] = {}

    def is_fresh(self, step: int) -> bool:
        """Whether the batch of a step has not been trained on before."""
        return step % self._uses == 0

    def __getitem__(self, step: int) -> Trajectories:
        """Returns the batch of a step."""
        newest, use = divmod(step, self._uses)
        index = newest - SPACING * use % (newest + 1)
        if index not in self._kept:
            self._kept[index] = self._stream[index]
        oldest = newest - SPACING * (self._uses - 1)
        self._kept = {i: batch for i, batch in self._kept.items() if i >= max(oldest, 0)}
        return self._kept[index]
