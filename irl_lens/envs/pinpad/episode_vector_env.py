"""Episodes as a vector environment of Gymnasium's: seeds, autoreset, reset masks, snapshots.

Bit for bit what N single environments, seeded alike, would give, in Gymnasium's three
autoreset modes and with its reset masks. What an episode is, is its world's business.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Float
from numpy.typing import ArrayLike

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episode_rows import EpisodeRows, Flags
from irl_lens.envs.pinpad.layouts import Layouts, check_layouts
from irl_lens.envs.pinpad.snapshots import restore

Infos = dict[str, Any]


class EpisodesVectorEnv(VectorEnv[NDArray[Any], Any, NDArray[Any]]):
    """Rows of episodes, stepped together.

    Under ``AutoresetMode.DISABLED`` a row that is over stays put, with reward 0 and its
    flags up, until ``reset(options={"reset_mask": mask})`` begins a new episode in it.

    Args:
        episodes: What is played, one row an episode.
        space: Observation space of one row.
        actions: Action space of one row.
        autoreset_mode: Gymnasium's ``NEXT_STEP``, ``SAME_STEP`` or ``DISABLED``.
    """

    def __init__(
        self,
        episodes: EpisodeRows,
        space: spaces.Space,
        actions: spaces.Space,
        autoreset_mode: str | AutoresetMode,
    ) -> None:
        self.num_envs, self._episodes = len(episodes.done), episodes
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds = [-1] * self.num_envs
        self.single_action_space, self.single_observation_space = actions, space
        self.action_space = batch_space(actions, self.num_envs)
        self.observation_space = batch_space(space, self.num_envs)

    @abstractmethod
    def _checked(self, actions: ArrayLike) -> NDArray[Any]:
        """Returns one action a row, or raises ``ValueError``."""

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
            actions: One a row; anything else is refused.

        Raises:
            ValueError: They are no such actions.
            ResetNeeded: A row was never reset.
        """
        ended, mode = self._episodes.done, self.autoreset_mode
        rewards = self._episodes.step(self._checked(actions))
        if mode is AutoresetMode.NEXT_STEP and ended.any():
            self._restart(ended)
        terminated, truncated = self._episodes.ends
        over, final = terminated | truncated, {}
        if mode is AutoresetMode.SAME_STEP and over.any():
            final = self._final(over)
            self._restart(over)
        info = self._info(np.ones(self.num_envs, bool))
        return self._episodes.observe(), rewards, terminated, truncated, {**final, **info}

    def get_state(self) -> dict[str, Any]:
        """Returns a snapshot of all episodes and of all random generators."""
        return {
            "episodes": self._episodes.snapshot(),
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
        self._episodes.boards.given = layouts

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
