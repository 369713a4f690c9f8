"""The ant's pinpad as a native vector environment: all bodies stepped by one thread pool."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.env import ACTIONS, AntPinpadEnv, space_of
from irl_lens.envs.ant.episodes import AntEpisodes, checked_torques
from irl_lens.envs.ant.options import AntOptions
from irl_lens.envs.ant.render import Renderer, check_mode
from irl_lens.envs.ant.spec import JOINTS, AntConfig
from irl_lens.envs.ant.stance import Body
from irl_lens.envs.pinpad.episode_vector_env import EpisodesVectorEnv
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.spaces import ContinuousActions, ObservationSpec


class AntPinpadVectorEnv(EpisodesVectorEnv):
    """N ants, each in an arena of its own.

    Bit for bit the same at any number of rows and threads.

    Args:
        num_envs: Number of ants.
        autoreset_mode: Gymnasium's ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``.
        render_mode: None or ``"rgb_array"``.
        threads: How many threads step the bodies; 0 for one a processor.
        **options: See :class:`irl_lens.envs.ant.options.AntOptions`.

    Raises:
        ValueError: An option is out of range, or no such world or task exists.
    """

    metadata = AntPinpadEnv.metadata
    _episodes: AntEpisodes

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        threads: int = 0,
        **options: Any,
    ) -> None:
        check_whole("num_envs", num_envs, 1, MAX_ROWS)
        check_whole("threads", threads, 0, 1_024)
        self.render_mode, self.options = check_mode(render_mode), AntOptions(**options)
        episodes = AntEpisodes(num_envs, self.options, threads)
        super().__init__(episodes, space_of(episodes), ACTIONS, autoreset_mode)
        self._renderer: Renderer | None = None

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self._episodes.world.observation

    @property
    def actions(self) -> ContinuousActions:
        """The primitive actions."""
        return self._episodes.world.actions

    @property
    def diverged(self) -> int:
        """How many simulations have diverged so far."""
        return self._episodes.diverged

    def begin_at(self, layouts: Layouts, body: Body) -> None:
        """Makes every later episode begin alike; see :meth:`AntEpisodes.begin_at`."""
        self._episodes.begin_at(layouts, body)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draws every arena, if ``render_mode`` says so."""
        if self.render_mode is None:
            return None
        self._episodes.check_begun()
        renderer = self._renderer = self._renderer or Renderer(self._episodes.world)
        rows = zip(self._episodes.physics.qpos, self._episodes.state.objects, strict=True)
        return tuple(renderer.draw(qpos, objects) for qpos, objects in rows)

    def close_extras(self, **kwargs: Any) -> None:
        """Lets go of what drawing needs."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _checked(self, actions: ArrayLike) -> NDArray[Any]:
        return checked_torques(actions, (self.num_envs, JOINTS))


def rows_of(
    config: AntConfig,
    n: int,
    task: str | Task = "heldout",
    prefix: int | None = None,
    solvable: bool = True,
) -> AntPinpadVectorEnv:
    """Returns ``n`` ants to act with, without autoreset.

    Args:
        config: The world they are of.
        n: Number of ants.
        task: ``"train"``, ``"heldout"`` or one task.
        prefix: Keep this many abstract subgoals of it.
        solvable: Draw only arenas in which it can be done.
    """
    options = {"task": task, "prefix": prefix, "solvable": solvable}
    return AntPinpadVectorEnv(n, "Disabled", **asdict(config), **options)
