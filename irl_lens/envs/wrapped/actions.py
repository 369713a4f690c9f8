"""Actions of a Gymnasium space as this toolkit keeps them, and back.

Discrete actions are numbered from 0. Those of a Box are flat vectors; where its limits are not the
same for all entries, each is scaled to -1 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Float, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec, ContinuousActions, DiscreteActions
from irl_lens.envs.wrapped.whole import whole
from irl_lens.errors import UserError

ROUNDING = 1e-4
"""Share of its width by which an action may be beyond a limit, as rounding leaves it."""


class Actions:
    """Translates actions.

    Args:
        space: The action space.
        names: One name a discrete action, or none.

    Attributes:
        spec: The actions as they are kept.

    Raises:
        UserError: The space is neither Discrete nor Box, a Box has limits that differ and are
            not finite or between which nothing is, or there is not one name for each action.
    """

    def __init__(self, space: spaces.Space, names: Sequence[str] = ()) -> None:
        self.space = space
        self._middle, self._half = 0.0, 1.0
        if isinstance(space, spaces.Discrete):
            if len(names) not in (0, space.n):
                raise UserError(f"{len(names)} action_names; give {space.n}, one an action")
            self.spec: ActionSpec = DiscreteActions(int(space.n), tuple(names))
        elif isinstance(space, spaces.Box):
            if names:
                raise UserError(f"action_names of {space}; only discrete actions have names")
            self.spec = self._box(space)
        else:
            raise UserError(
                f"actions of {space}; take Discrete or Box, with an action wrapper of Gymnasium's"
            )

    def kept(self, action: Any) -> Shaped[NDArray[Any], "*size"]:
        """Returns an action of the environment as it is kept.

        Raises:
            UserError: It is none of the space's. What is kept is what is learned from, so that
                it has to be what the environment did.
        """
        if isinstance(self.space, spaces.Discrete):
            return self._number(action, self.space)
        assert isinstance(self.space, spaces.Box)
        return np.ravel((self._vector(action, self.space) - self._middle) / self._half).astype(
            np.float32
        )

    def given(self, action: Any) -> Any:
        """Returns a kept action as the environment takes it, within its limits."""
        if isinstance(self.space, spaces.Discrete):
            return int(action) + int(self.space.start)
        assert isinstance(self.space, spaces.Box)
        own = np.reshape(action, self.space.shape) * self._half + self._middle
        return np.clip(own, self.space.low, self.space.high).astype(self.space.dtype)

    def probabilities(self, policy: Any) -> Float[NDArray[np.float64], " actions"]:
        """Returns probabilities of the discrete actions, such that they add up to 1.

        Raises:
            UserError: There is not one that is finite and not negative for each action.
        """
        assert isinstance(self.spec, DiscreteActions)
        found = np.asarray(policy, np.float64)
        if found.shape != (self.spec.n,) or not (np.isfinite(found) & (found >= 0)).all():
            raise UserError(f"the policy returned {_shown(policy)}; give {self.spec.n} {_WEIGHTS}")
        if not found.any():
            raise UserError(f"the policy gives no action a probability; give {_WEIGHTS}")
        return found / found.sum()

    def _number(self, action: Any, space: spaces.Discrete) -> Int[NDArray[np.int64], ""]:
        found = whole(_less(action, int(space.start)), int(space.n))
        if found is None or found.size != 1:
            first, last = int(space.start), int(space.start + space.n) - 1
            raise UserError(
                f"action {_shown(action)}; take a whole number from {first} to {last}, one of "
                f"the environment's {space}"
            )
        return found.reshape(())

    def _vector(self, action: Any, space: spaces.Box) -> Shaped[NDArray[Any], "*shape"]:
        try:
            found = np.asarray(action, space.dtype).reshape(space.shape)
        except (TypeError, ValueError):
            found = np.full(space.shape, np.nan)
        slack = ROUNDING * np.minimum(space.high - space.low, 1)
        within = (found >= space.low - slack) & (found <= space.high + slack)
        if not (within & np.isfinite(found)).all():
            raise UserError(
                f"action {_shown(action)}; take numbers within the environment's {space}, by "
                "numpy.clip or an action wrapper of Gymnasium's"
            )
        return np.clip(found, space.low, space.high)

    def _box(self, space: spaces.Box) -> ContinuousActions:
        low, high = np.unique(space.low), np.unique(space.high)
        size = int(np.prod(space.shape))
        if not (space.low < space.high).all():
            raise UserError(
                f"actions of {space}, of which an entry can be one number only; leave it out, "
                "with an action wrapper of Gymnasium's"
            )
        if len(low) == len(high) == 1:
            return ContinuousActions(size, float(low[0]), float(high[0]))
        if not np.isfinite([*low, *high]).all():
            raise UserError(f"actions of {space}; take limits that are finite, or all the same")
        self._middle, self._half = (space.high + space.low) / 2, (space.high - space.low) / 2
        return ContinuousActions(size)


_WEIGHTS = "numbers of at least 0, not all 0"


def _less(action: Any, start: int) -> Any:
    try:
        return np.asarray(action) - start
    except (TypeError, ValueError):
        return action


def _shown(value: Any) -> str:
    return " ".join(str(value).split())[:60]
