"""The expert: the navigator says where to walk, the gait how; a Gaussian about what they mean.

    a ~ N(mu(observation, colour), deviation^2)

with mu the torques of the gait (:mod:`irl_lens.envs.ant.gait`) walking where the navigator points
(:mod:`irl_lens.envs.ant.navigator`), and one deviation for all torques. Neither remembers
anything, and both read the body off the observation (:mod:`irl_lens.envs.ant.body`): so the exact
filter can tell what the expert would have done for any other colour, and a model sees all that
the expert sees but the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.body import body_of
from irl_lens.envs.ant.gait import TORQUES, Gait
from irl_lens.envs.ant.navigator import Navigator
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts

CHUNK = 4_096
"""Observations that are worked on at once, so that the filter needs little memory."""


@dataclass(frozen=True)
class Expert:
    """The expert on a batch of layouts.

    Attributes:
        arena: The cells.
        navigator: Paths on the layouts.
        gait: Walks.
    """

    arena: Arena
    navigator: Navigator
    gait: Gait

    @classmethod
    def of(cls, arena: Arena, board: BoardSpec, layouts: Layouts, gait: Gait) -> Expert:
        """Finds the paths on layouts.

        Args:
            arena: The cells.
            board: Size and objects of the layouts.
            layouts: Where what is.
            gait: Walks.
        """
        return cls(arena, Navigator.of(board, layouts, arena), gait)

    def rows(self, index: NDArray[Any] | slice) -> Expert:
        """Returns the expert on some of the layouts."""
        return Expert(self.arena, self.navigator.rows(index), self.gait)

    def means(
        self,
        observations: Float[NDArray[np.float32], "n columns"],
        goals: Int[NDArray[np.int64], " n"],
    ) -> Float[NDArray[np.float32], "n 8"]:
        """Returns the torques that the expert means, each within -1 and 1.

        Args:
            observations: One for each layout (:func:`irl_lens.envs.ant.columns.observe`).
            goals: The colour that each is after.
        """
        qpos, qvel = body_of(self.arena, self.navigator.objects.shape[1], observations)
        command = self.navigator.directions(qpos[:, :2], qvel[:, :2], goals)
        return self.gait.torques(qpos, qvel, command)

    def means_for_all(
        self, observations: Float[NDArray[np.float32], "n steps columns"], colours: int
    ) -> Float[NDArray[np.float32], "n steps colours 8"]:
        """Returns what the expert would mean for each colour, at every step of episodes.

        Args:
            observations: One episode for each layout.
            colours: How many colours there are.
        """
        n, steps, _ = observations.shape
        means = np.empty((n * steps, colours, TORQUES), np.float32)
        flat, row = observations.reshape(n * steps, -1), np.repeat(np.arange(n), steps)
        for start in range(0, n * steps, CHUNK):
            some = slice(start, start + CHUNK)
            here = self.rows(row[some])
            for colour in range(colours):
                goals = np.full(len(row[some]), colour)
                means[some, colour] = here.means(flat[some], goals)
        return means.reshape(n, steps, colours, TORQUES)
