"""Boards with more or fewer walls than a model was made for, as that model can read them.

An observation is multi-hot, and a model has one column for each wall that it was made for. Wall i
of other boards stands in column i mod W of the W there are: of more walls some share a column,
which then has two entries, and columns of missing ones are empty. No model has seen either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.errors import UserError


class Reading:
    """Writes observations of boards with other walls down in a model's own columns.

    Args:
        other: What is observed of those boards.
        own: What the model was made for.
        board: Size and objects of the boards that it was made for.

    Raises:
        UserError: It was made for boards without a wall, and there is one.
    """

    def __init__(self, other: ObservationSpec, own: ObservationSpec, board: BoardSpec) -> None:
        self.own = own
        parts = []
        for name, size in zip(other.names, other.sizes, strict=True):
            first = own.offsets[own.names.index(_column(name, board.walls))]
            parts.append(first + np.arange(size))
        self._index: Int[NDArray[np.int64], " size"] = np.concatenate(parts)

    def dense(
        self, sparse: Int[NDArray[np.integer], "*batch columns"]
    ) -> Float[NDArray[np.floating], "*batch size"]:
        """Returns the multi-hot vector; in half precision, as the numbers are many and small."""
        return self.own.dense(self._index[sparse]).astype(np.float16)


class ReadVectorEnv:
    """Rows of boards with other walls, seen as a model reads them.

    Args:
        env: The rows.
        reading: How.
    """

    def __init__(self, env: GridPinpadVectorEnv, reading: Reading) -> None:
        self._env, self._reading, self.num_envs = env, reading, env.num_envs

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation: the model's own."""
        return self._reading.own

    @property
    def actions(self) -> DiscreteActions:
        """The primitive actions."""
        return self._env.actions

    def reset(self, *, seed: int) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begins new episodes in all rows."""
        observations, info = self._env.reset(seed=seed)
        return self._reading.dense(observations), info

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[Any], Any, Any, Any, dict]:
        """Takes one step in every row."""
        observations, reward, terminated, truncated, info = self._env.step(actions)
        return self._reading.dense(observations), reward, terminated, truncated, info


def _column(name: str, walls: int) -> str:
    if not name.startswith("wall"):
        return name
    if not walls:
        raise UserError(
            "a model made for boards without walls has no column to see one in; take walls=0, or "
            "train one with world.walls=1 or more"
        )
    return f"wall{int(name.removeprefix('wall')) % walls}"
