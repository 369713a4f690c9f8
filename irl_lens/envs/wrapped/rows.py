"""Episodes of Gymnasium environments, played side by side: an environment a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.envs.wrapped.actions import Actions
from irl_lens.envs.wrapped.columns import Columns
from irl_lens.envs.wrapped.whole import whole
from irl_lens.errors import UserError

Subgoal = Callable[[gym.Env], int]
Success = Callable[[float, bool, bool, dict[str, Any]], bool]


@dataclass(frozen=True)
class Reading:
    """How an environment is read.

    Attributes:
        columns: Its observations.
        actions: Its actions.
        horizon: Most steps of an episode.
        success: Whether a step completed the task: reward, terminated, truncated, info.
        names: Names of the subgoals.
        subgoal: Number of the subgoal pursued, given the environment; None without labels.
    """

    columns: Columns
    actions: Actions
    horizon: int
    success: Success
    names: tuple[str, ...] = ()
    subgoal: Subgoal | None = None

    def pursued(self, env: gym.Env) -> int:
        """Number of the subgoal pursued.

        Raises:
            UserError: There is no such subgoal.
        """
        assert self.subgoal is not None
        given = self.subgoal(env)
        found = whole(given, len(self.names))
        if found is None or found.size != 1:
            raise UserError(
                f"subgoal {given!r}; the function 'subgoal' is to return 0 to "
                f"{len(self.names) - 1}, the number of one of {', '.join(self.names)}"
            )
        return int(found.item())


class WrappedRows:
    """Rows to act on; a :class:`irl_lens.envs.protocol.VectorWorld`.

    The reward is 1 on the step that completes the task, and 0 otherwise.

    Args:
        envs: One environment a row.
        reading: How they are read.
        prefix: The task is done once so many subgoals were.
    """

    def __init__(self, envs: Sequence[gym.Env], reading: Reading, prefix: int | None) -> None:
        self.envs, self.reading, self.prefix = envs, reading, prefix
        self.num_envs = len(envs)

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self.reading.columns.spec

    @property
    def actions(self) -> ActionSpec:
        """The primitive actions."""
        return self.reading.actions.spec

    def reset(self, *, seed: int) -> tuple[Shaped[NDArray[Any], "n columns"], dict[str, Any]]:
        """Begins new episodes in all rows."""
        seeds = np.random.default_rng(seed).integers(2**31, size=self.num_envs)
        begun = [env.reset(seed=int(s))[0] for env, s in zip(self.envs, seeds, strict=True)]
        self.raw = begun
        """What each environment showed last, as it showed it."""
        self.steps, self.progress = np.zeros((2, self.num_envs), np.int64)
        self.done, self.over = np.zeros((2, self.num_envs), bool)
        self._pursued = np.array([self._pursues(env) for env in self.envs])
        return self._observe()

    def step(
        self, actions: Shaped[NDArray[Any], "n ..."]
    ) -> tuple[
        Shaped[NDArray[Any], "n columns"],
        Float[NDArray[np.float64], " n"],
        Bool[NDArray[np.bool_], " n"],
        Bool[NDArray[np.bool_], " n"],
        dict[str, Any],
    ]:
        """Takes one step in every row that is not over."""
        before = self.done.copy()
        for row in np.flatnonzero(~self.over):
            self._step(int(row), actions[row])
        observation, info = self._observe()
        reward = (self.done & ~before).astype(np.float64)
        return observation, reward, self.done.copy(), self.over & ~self.done, info

    def close(self) -> None:
        """Closes all environments."""
        for env in self.envs:
            env.close()

    def _step(self, row: int, action: Any) -> None:
        env, reading = self.envs[row], self.reading
        seen, reward, terminated, truncated, info = env.step(reading.actions.given(action))
        self.raw[row] = seen
        self.steps[row] += 1
        done = bool(reading.success(float(reward), bool(terminated), bool(truncated), info))
        pursued = self._pursues(env) if not done else -1
        self.progress[row] += pursued != self._pursued[row]
        self._pursued[row] = pursued
        done |= self.prefix is not None and self.progress[row] >= self.prefix
        late = self.steps[row] >= reading.horizon
        self.done[row], self.over[row] = done, done or terminated or truncated or late

    def _pursues(self, env: gym.Env) -> int:
        return -1 if self.reading.subgoal is None else self.reading.pursued(env)

    def _observe(self) -> tuple[Shaped[NDArray[Any], "n columns"], dict[str, Any]]:
        observation = np.stack([self.reading.columns.encode(seen) for seen in self.raw])
        return observation, self._labels()

    def _labels(self) -> dict[str, Int[NDArray[np.int64], " n"]]:
        if self.reading.subgoal is None:
            return {}
        pursued = np.where(self.done, -1, self._pursued)
        return {"subgoal": pursued, "visit": pursued.copy(), "progress": self.progress.copy()}
