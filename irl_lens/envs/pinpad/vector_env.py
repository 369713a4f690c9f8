"""The grid pinpad as a native vector environment: all boards in one numpy step.

Bit for bit what N single environments, seeded alike, would give, in Gymnasium's three
autoreset modes and with its reset masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.dynamics import checked_actions
from irl_lens.envs.pinpad.env import GridPinpadEnv
from irl_lens.envs.pinpad.episodes import Episodes
from irl_lens.envs.pinpad.layouts import Layouts, check_layouts
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.planner import ACTIONS, MOVES
from irl_lens.envs.pinpad.render import check_mode, render
from irl_lens.envs.pinpad.snapshots import restore
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec

Infos = dict[str, Any]
Flags = Bool[NDArray[np.bool_], " n"]


class GridPinpadVectorEnv(VectorEnv[NDArray[Any], NDArray[np.int64], NDArray[Any]]):
    """N pinpad boards, stepped together.

    Under ``AutoresetMode.DISABLED`` a row that is over stays put, with reward 0 and its
    flags up, until ``reset(options={"reset_mask": mask})`` begins a new episode in it.

    Args:
        num_envs: Number of boards.
        autoreset_mode: Gymnasium's ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``.
        render_mode: None, ``"ansi"`` or ``"rgb_array"``.
        **options: See :class:`irl_lens.envs.pinpad.options.PinpadOptions`.

    Raises:
        ValueError: An option is out of range, or no such world or task exists.
    """

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        check_whole("num_envs", num_envs, 1, MAX_ROWS)
        self.num_envs, self.render_mode = num_envs, check_mode(render_mode)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**GridPinpadEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.options = PinpadOptions(**options)
        self._episodes = Episodes(num_envs, self.options)
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds = [-1] * num_envs
        self.single_action_space = spaces.Discrete(len(MOVES))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.single_observation_space = self.options.space(self._episodes.world.observation)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self._episodes.world.observation

    @property
    def actions(self) -> DiscreteActions:
        """The primitive actions."""
        return ACTIONS

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each row."""
        return tuple(self._generator(i) for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each row, -1 before its first reset."""
        return tuple(self._seeds)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[Any], Infos]:
        """Begins new episodes in all rows, or in those of ``options["reset_mask"]``.

        Args:
            seed: Seed of row 0, row i getting ``seed + i``; or one seed (or None) a row.
            options: ``{"reset_mask": bool [num_envs]}`` to leave other rows as they are.

        Returns:
            Observations of all rows, and info with Gymnasium's ``_key`` masks, which mark
            the rows that were reset.
        """
        mask = self._reset_mask(options)
        for row, value in enumerate(self._row_seeds(seed)):
            if value is not None and mask[row]:
                self._generators[row], self._seeds[row] = seeding.np_random(value)
        self._restart(mask)
        return self._episodes.observe(), self._info(mask)

    def step(
        self, actions: ArrayLike
    ) -> tuple[NDArray[Any], Float[NDArray[np.float64], " n"], Flags, Flags, Infos]:
        """Takes one step in every row, resetting rows as the autoreset mode says.

        Args:
            actions: One integer from 0 to 3 a row; anything else is refused.

        Raises:
            ValueError: They are no such integers.
            ResetNeeded: A row was never reset.
        """
        ended, mode = self._episodes.done, self.autoreset_mode
        rewards = self._episodes.step(checked_actions(actions, self.num_envs))
        if mode is AutoresetMode.NEXT_STEP and ended.any():
            self._restart(ended)
        state = self._episodes.state
        terminated, truncated = state.terminated.copy(), state.truncated.copy()
        over, final = terminated | truncated, {}
        if mode is AutoresetMode.SAME_STEP and over.any():
            final = self._final(over)
            self._restart(over)
        info = self._info(np.ones(self.num_envs, bool))
        return self._episodes.observe(), rewards, terminated, truncated, {**final, **info}

    def render(self) -> tuple[Any, ...] | None:
        """Draws every board as ``render_mode`` says."""
        if self.render_mode is None:
            return None
        self._episodes.check_begun()
        state, board = self._episodes.state, self._episodes.board
        pairs = zip(state.objects, state.cell, strict=True)
        mode = self.render_mode
        return tuple(render(mode, board, objects, int(cell)) for objects, cell in pairs)

    def get_state(self) -> dict[str, Any]:
        """Returns a snapshot of all episodes and of all random generators."""
        return {
            "episodes": self._episodes.state.copy(),
            "generators": [g.bit_generator.state for g in self.np_random],
        }

    def set_state(self, state: dict[str, Any]) -> tuple[NDArray[Any], Infos]:
        """Goes back to a snapshot, of this or of an environment with the same options.

        Returns:
            Observations and info there, as :meth:`reset` does.

        Raises:
            ValueError: It is no snapshot of such an environment; nothing is changed then.
        """
        restore(self._episodes, state, state.get("generators"), self.np_random)
        return self._episodes.observe(), self._info(np.ones(self.num_envs, bool))

    def fix(self, layouts: Layouts) -> None:
        """Makes every later episode begin on one board, given as a batch of one.

        Raises:
            ValueError: It is not one board of this world.
        """
        if len(layouts) != 1:
            raise ValueError(f"{len(layouts)} boards; give one")
        check_layouts(self._episodes.board, layouts)
        self._episodes.given = layouts

    def _generator(self, row: int) -> np.random.Generator:
        generator = self._generators[row]
        if generator is None:
            generator, self._seeds[row] = seeding.np_random()
            self._generators[row] = generator
        return generator

    def _restart(self, mask: Flags) -> None:
        rows = np.flatnonzero(mask)
        self._episodes.reset(rows, [self._generator(int(row)) for row in rows])

    def _info(self, mask: Flags) -> Infos:
        info = self._episodes.info()
        return {**info, **{f"_{name}": mask.copy() for name in info}}

    def _final(self, over: Flags) -> Infos:
        """What Gymnasium calls the last observation and info of the rows that ended."""
        observations = np.full(self.num_envs, None, object)
        current = self._episodes.observe()
        for row in np.flatnonzero(over):
            observations[row] = current[row]
        info = self._info(over)
        return {
            "final_obs": observations,
            "_final_obs": over.copy(),
            "final_info": info,
            "_final_info": over.copy(),
        }

    def _row_seeds(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} rows; give one a row")
        return seed

    def _reset_mask(self, options: dict[str, Any] | None) -> Flags:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, bool)
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"reset_mask of {mask.dtype} and shape {mask.shape} with {np.count_nonzero(mask)} "
                f"rows set; give bools of shape ({self.num_envs},) with at least one True"
            )
        return mask


def rows_of(
    config: PinpadConfig,
    n: int,
    task: str | Task = "heldout",
    prefix: int | None = None,
    solvable: bool = True,
) -> GridPinpadVectorEnv:
    """Returns ``n`` boards to act on, with sparse observations and no autoreset.

    Args:
        config: The world they are of.
        n: Number of boards.
        task: ``"train"``, ``"heldout"`` or one task.
        prefix: Keep this many abstract subgoals of it.
        solvable: Draw only boards on which it can be done.
    """
    options = {"task": task, "prefix": prefix, "solvable": solvable, "sparse": True}
    return GridPinpadVectorEnv(n, "Disabled", **asdict(config), **options)
