"""The grid pinpad as a Gymnasium environment (paper, App. A.1).

The agent must visit colours in the order its task says; the observation tells neither the
task nor the progress. Reward 1 on the step of the last visit, 0 otherwise; a wrong colour
ends the episode.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episodes import Episodes
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.planner import MOVES
from irl_lens.envs.pinpad.render import RENDER_MODES, check_mode, render
from irl_lens.envs.pinpad.snapshots import restore


class GridPinpadEnv(gym.Env[NDArray[Any], np.int64]):
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

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = check_mode(render_mode)
        self.options = PinpadOptions(**options)
        self._episodes = Episodes(1, self.options)
        self.action_space = spaces.Discrete(len(MOVES))
        self.observation_space = self.options.space(self._episodes.world.observation)

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
            action: An integer from 0 to 3; anything else is refused.

        Raises:
            ValueError: It is no such integer.
            ResetNeeded: There was no reset before.
        """
        # To Python, and so to Gymnasium's space, True is the integer 1.
        if isinstance(action, bool) or not self.action_space.contains(action):
            raise ValueError(f"action {action!r}; take an integer from 0 to {len(MOVES) - 1}")
        reward = self._episodes.step(np.array([action], np.int64))
        state = self._episodes.state
        over = bool(state.terminated[0]), bool(state.truncated[0])
        return self._episodes.observe()[0], float(reward[0]), *over, self._info()

    def render(self) -> NDArray[np.uint8] | str | None:  # type: ignore[override]
        """Draws the board as ``render_mode`` says."""
        state = self._episodes.state
        if self.render_mode is None:
            return None
        self._episodes.check_begun()
        return render(self.render_mode, self._episodes.board, state.objects[0], int(state.cell[0]))

    def get_state(self) -> dict[str, Any]:
        """Returns a snapshot of the episode and of the random generator."""
        return {
            "episodes": self._episodes.state.copy(),
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
