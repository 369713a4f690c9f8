"""The ant's pinpad as a Gymnasium environment (arXiv 2512.20605, App. A.2).

Four legs, eight torques; coloured cells must be entered in the order that the task says. The
observation (:mod:`irl_lens.envs.ant.columns`) tells neither the task nor the progress. Reward 1
on the step of the last visit, 0 otherwise.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.episodes import AntEpisodes, checked_torques
from irl_lens.envs.ant.options import AntOptions
from irl_lens.envs.ant.render import RENDER_MODES, Renderer, check_mode
from irl_lens.envs.ant.spec import JOINTS
from irl_lens.envs.pinpad.episode_env import EpisodeEnv

FARTHEST = 1e6
"""No column is beyond this: a body as fast as is allowed is 50 km away at the longest horizon."""
ACTIONS = spaces.Box(-1.0, 1.0, (JOINTS,), np.float32)


class AntPinpadEnv(EpisodeEnv):
    """One ant; a new arena, and a new task, every episode.

    Actions are the torques of hip and ankle of each of four legs. ``info`` holds what
    :meth:`AntEpisodes.info` describes.

    Args:
        render_mode: None or ``"rgb_array"``.
        **options: See :class:`irl_lens.envs.ant.options.AntOptions`.

    Raises:
        ValueError: An option is out of range, or no such world or task exists.

    Example:
        >>> import gymnasium as gym
        >>> import irl_lens.envs
        >>> env = gym.make("irl_lens/AntPinpad-v0", task="heldout")
        >>> observation, info = env.reset(seed=0)
        >>> observation.shape, info["progress"]
        ((43,), 0)
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 20}  # type: ignore[misc]

    _episodes: AntEpisodes

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode, self.options = check_mode(render_mode), AntOptions(**options)
        episodes = AntEpisodes(1, self.options, threads=1)
        super().__init__(episodes, space_of(episodes), ACTIONS)
        self._renderer: Renderer | None = None

    def render(self) -> NDArray[np.uint8] | None:  # type: ignore[override]
        """Draws the arena from above and aside, if ``render_mode`` says so."""
        if self.render_mode is None:
            return None
        self._episodes.check_begun()
        self._renderer = self._renderer or Renderer(self._episodes.world)
        qpos, objects = self._episodes.physics.qpos[0], self._episodes.state.objects[0]
        return self._renderer.draw(qpos, objects)

    def close(self) -> None:
        """Lets go of what drawing needs."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _checked(self, action: Any) -> NDArray[Any]:
        return checked_torques(action, (JOINTS,))[None]


def space_of(episodes: AntEpisodes) -> spaces.Box:
    """Returns the observation space of one row."""
    return spaces.Box(-FARTHEST, FARTHEST, (episodes.world.observation.columns,), np.float32)
