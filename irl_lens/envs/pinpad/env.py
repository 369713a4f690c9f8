"""The grid pinpad as a Gymnasium environment (paper, App. A.1).

The agent must visit colours in the order its task says; the observation tells neither the
task nor the progress. Reward 1 on the step of the last visit, 0 otherwise; a wrong colour
ends the episode.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episode_env import EpisodeEnv
from irl_lens.envs.pinpad.episodes import Episodes
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.planner import MOVES
from irl_lens.envs.pinpad.render import RENDER_MODES, check_mode, render


class GridPinpadEnv(EpisodeEnv):
    """One pinpad board; a new one, and a new task, every episode.

    Actions are 0 up, 1 right, 2 down, 3 left. Stepping on after the end of an episode
    changes nothing. ``info`` holds what :meth:`Episodes.info` describes.

    Args:
        render_mode: None, ``"ansi"`` or ``"rgb_array"``.
        **options: See :class:`irl_lens.envs.pinpad.options.PinpadOptions`.

    Raises:
        ValueError: An option is out of range, or no such world or task exists.

    Example:
        >>> import gymnasium as gym
        >>> import irl_lens.envs
        >>> env = gym.make("irl_lens/GridPinpad-v0", task="heldout")
        >>> observation, info = env.reset(seed=0)
        >>> observation.shape, info["progress"]
        ((637,), 0)
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 8}  # type: ignore[misc]

    _episodes: Episodes

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode, self.options = check_mode(render_mode), PinpadOptions(**options)
        episodes = Episodes(1, self.options)
        space = self.options.space(episodes.world.observation)
        super().__init__(episodes, space, spaces.Discrete(len(MOVES)))

    def render(self) -> NDArray[np.uint8] | str | None:  # type: ignore[override]
        """Draws the board as ``render_mode`` says."""
        state = self._episodes.state
        if self.render_mode is None:
            return None
        self._episodes.check_begun()
        return render(self.render_mode, self._episodes.board, state.objects[0], int(state.cell[0]))

    def _checked(self, action: Any) -> NDArray[Any]:
        # To Python, and so to Gymnasium's space, True is the integer 1.
        if isinstance(action, bool) or not self.action_space.contains(action):
            raise ValueError(f"action {action!r}; take an integer from 0 to {len(MOVES) - 1}")
        return np.array([action], np.int64)
