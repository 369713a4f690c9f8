"""One episode as an environment of Gymnasium's, with snapshots."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episode_rows import EpisodeRows
from irl_lens.envs.pinpad.snapshots import restore


class EpisodeEnv(gym.Env[NDArray[Any], Any]):
    """One row of episodes; a new board, and a new task, every episode.

    Stepping on after the end of an episode changes nothing.

    Args:
        episodes: One row.
        space: Observation space.
        actions: Action space.
    """

    def __init__(self, episodes: EpisodeRows, space: spaces.Space, actions: spaces.Space) -> None:
        self._episodes = episodes
        self.observation_space, self.action_space = space, actions

    @abstractmethod
    def _checked(self, action: Any) -> NDArray[Any]:
        """Returns an action as a batch of one, or raises ``ValueError``."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begins an episode on a new board with a new task."""
        super().reset(seed=seed)
        self._episodes.reset(np.zeros(1, np.intp), [self.np_random])
        return self._episodes.observe()[0], self._info()

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Takes one step.

        Args:
            action: One of the action space; anything else is refused.

        Raises:
            ValueError: It is none.
            ResetNeeded: There was no reset before.
        """
        reward = self._episodes.step(self._checked(action))
        terminated, truncated = self._episodes.ends
        over = bool(terminated[0]), bool(truncated[0])
        return self._episodes.observe()[0], float(reward[0]), *over, self._info()

    def get_state(self) -> dict[str, Any]:
        """Returns a snapshot of the episode and of the random generator."""
        return {
            "episodes": self._episodes.snapshot(),
            "generator": self.np_random.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Goes back to a snapshot, of this or of an environment with the same options.

        Returns:
            Observation and info there, as :meth:`reset` does.

        Raises:
            ValueError: It is no snapshot of such an environment; nothing is changed then.
        """
        restore(self._episodes, state, [state.get("generator")], (self.np_random,))
        return self._episodes.observe()[0], self._info()

    def _info(self) -> dict[str, Any]:
        return {name: values[0].item() for name, values in self._episodes.info().items()}
