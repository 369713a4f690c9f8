"""The expert: the navigator says where to walk, the gait how; a Gaussian about what they mean.

    a ~ N(mu(state, colour), deviation^2)

with mu the torques of the gait (:mod:`irl_lens.envs.ant.gait`) walking where the navigator points
(:mod:`irl_lens.envs.ant.navigator`). Neither remembers anything, so mu is a function of the state
and of the colour that the expert is after, and the exact filter can tell what it would have done
for any other. It reads states in float32, as they are kept with a demonstration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.gait import Gait
from irl_lens.envs.ant.navigator import Navigator

QPOS = 15
"""Numbers of a state that are positions; velocities follow."""


@dataclass(frozen=True)
class Expert:
    """The expert on a batch of layouts.

    Attributes:
        navigator: Paths on the layouts.
        gait: Walks.
    """

    navigator: Navigator
    gait: Gait

    def rows(self, index: NDArray[Any] | slice) -> Expert:
        """Returns the expert on some of the layouts."""
        return Expert(self.navigator.rows(index), self.gait)

    def means(
        self,
        states: Float[NDArray[np.float32], "n 29"],
        goals: Int[NDArray[np.int64], " n"],
    ) -> Float[NDArray[np.float32], "n 8"]:
        """Returns the torques that the expert means, each within -1 and 1.

        Args:
            states: Positions and velocities (:func:`irl_lens.envs.ant.gait.gait_observation`).
            goals: The colour that each is after.
        """
        qpos, qvel = states[:, :QPOS], states[:, QPOS:]
        places = qpos[:, :2].astype(np.float64)
        cells = self.navigator.cells(places)
        command = self.navigator.directions(places, qvel[:, :2], cells, goals)
        return self.gait.torques(qpos, qvel, command)

    def for_every_colour(
        self, states: Float[NDArray[np.float32], "n steps 29"], colours: int
    ) -> Float[NDArray[np.float32], "n steps colours 8"]:
        """Returns what the expert would mean for each colour, at every step of episodes.

        Args:
            states: One episode for each layout.
            colours: How many colours there are.
        """
        n, steps, _ = states.shape
        means = np.empty((n, steps, colours, 8), np.float32)
        row = np.repeat(np.arange(n), steps)
        every, flat = self.rows(row), states.reshape(n * steps, -1)
        for colour in range(colours):
            goals = np.full(n * steps, colour)
            means[:, :, colour] = every.means(flat, goals).reshape(n, steps, 8)
        return means
