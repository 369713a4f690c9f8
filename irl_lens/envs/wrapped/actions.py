"""Actions of a Gymnasium space as this toolkit keeps them, and back.

Discrete actions are numbered from 0. Those of a Box are flat vectors; where its limits are not the
same for all entries, each is scaled to -1 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec, ContinuousActions, DiscreteActions
from irl_lens.errors import UserError


class Actions:
    """Translates actions.

    Args:
        space: The action space.
        names: One name a discrete action, or none.

    Attributes:
        spec: The actions as they are kept.

    Raises:
        UserError: The space is neither Discrete nor Box, or a Box has limits that differ and are
            not finite.
    """

    def __init__(self, space: spaces.Space, names: Sequence[str] = ()) -> None:
        self.space = space
        self._middle, self._half = 0.0, 1.0
        if isinstance(space, spaces.Discrete):
            self.spec: ActionSpec = DiscreteActions(int(space.n), tuple(names))
        elif isinstance(space, spaces.Box):
            self.spec = self._box(space)
        else:
            raise UserError(
                f"actions of {space}; take Discrete or Box, with an action wrapper of Gymnasium's"
            )

    def kept(self, action: Any) -> Shaped[NDArray[Any], "*size"]:
        """Returns an action of the environment as it is kept."""
        if isinstance(self.space, spaces.Discrete):
            return np.asarray(int(action) - int(self.space.start), np.int64)
        return np.ravel((np.asarray(action) - self._middle) / self._half).astype(np.float32)

    def given(self, action: Any) -> Any:
        """Returns a kept action as the environment takes it, within its limits."""
        if isinstance(self.space, spaces.Discrete):
            return int(action) + int(self.space.start)
        assert isinstance(self.space, spaces.Box)
        own = np.reshape(action, self.space.shape) * self._half + self._middle
        return np.clip(own, self.space.low, self.space.high).astype(self.space.dtype)

    def _box(self, space: spaces.Box) -> ContinuousActions:
        low, high = np.unique(space.low), np.unique(space.high)
        size = int(np.prod(space.shape))
        if len(low) == len(high) == 1:
            return ContinuousActions(size, float(low[0]), float(high[0]))
        if not np.isfinite([*low, *high]).all():
            raise UserError(f"actions of {space}; take limits that are finite, or all the same")
        self._middle, self._half = (space.high + space.low) / 2, (space.high - space.low) / 2
        return ContinuousActions(size)
