"""The grid pinpad as a native vector environment: all boards in one numpy step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import ArrayLike

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.dynamics import checked_actions
from irl_lens.envs.pinpad.env import GridPinpadEnv
from irl_lens.envs.pinpad.episode_vector_env import EpisodesVectorEnv
from irl_lens.envs.pinpad.episodes import Episodes
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.planner import ACTIONS, MOVES
from irl_lens.envs.pinpad.render import check_mode, render
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec


class GridPinpadVectorEnv(EpisodesVectorEnv):
    """N pinpad boards, stepped together.

    Args:
        num_envs: Number of boards.
        autoreset_mode: Gymnasium's ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``.
        render_mode: None, ``"ansi"`` or ``"rgb_array"``.
        **options: See :class:`irl_lens.envs.pinpad.options.PinpadOptions`.

    Raises:
        ValueError: An option is out of range, or no such world or task exists.
    """

    metadata = GridPinpadEnv.metadata
    _episodes: Episodes

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        check_whole("num_envs", num_envs, 1, MAX_ROWS)
        self.render_mode, self.options = check_mode(render_mode), PinpadOptions(**options)
        episodes = Episodes(num_envs, self.options)
        space = self.options.space(episodes.world.observation)
        super().__init__(episodes, space, spaces.Discrete(len(MOVES)), autoreset_mode)

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self._episodes.world.observation

    @property
    def actions(self) -> DiscreteActions:
        """The primitive actions."""
        return ACTIONS

    def render(self) -> tuple[Any, ...] | None:
        """Draws every board as ``render_mode`` says."""
        if self.render_mode is None:
            return None
        self._episodes.check_begun()
        state, board = self._episodes.state, self._episodes.board
        pairs = zip(state.objects, state.cell, strict=True)
        mode = self.render_mode
        return tuple(render(mode, board, objects, int(cell)) for objects, cell in pairs)

    def _checked(self, actions: ArrayLike) -> NDArray[Any]:
        return checked_actions(actions, self.num_envs)


def rows_of(
    config: PinpadConfig,
    n: int,
    task: str | Task = "heldout",
    prefix: int | None = None,
    solvable: bool = True,
    made: Callable[..., GridPinpadVectorEnv] = GridPinpadVectorEnv,
) -> GridPinpadVectorEnv:
    """Returns ``n`` boards to act on, with sparse observations and no autoreset.

    Args:
        config: The world they are of.
        n: Number of boards.
        task: ``"train"``, ``"heldout"`` or one task.
        prefix: Keep this many abstract subgoals of it.
        solvable: Draw only boards on which it can be done.
        made: What makes them: the class, or one of those of
            :mod:`irl_lens.envs.pinpad.disturbed`.
    """
    options = {"task": task, "prefix": prefix, "solvable": solvable, "sparse": True}
    return made(n, "Disabled", **asdict(config), **options)
