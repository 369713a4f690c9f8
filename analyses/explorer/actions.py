"""Actions as plain values: the number of one in a list, or the numbers of a vector.

Numbers of a vector are written as briefly as they read back to the bit as the type that the
world's actions have: a walk has some thousands of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec, ContinuousActions, DiscreteActions
from irl_lens.errors import UserError

Action = int | tuple[float, ...]
LARGEST = 1e3
"""Beyond this no number of an action is taken; worlds cut what is beyond their limits."""


def plain_actions(actions: Shaped[NDArray[Any], " steps *action"]) -> tuple[Action, ...]:
    """Returns actions as plain values."""
    if actions.ndim == 1:
        return tuple(actions.tolist())
    return tuple(tuple(float(str(x)) for x in action) for action in actions)


def action_array(
    spec: ActionSpec, actions: Sequence[Action]
) -> Shaped[NDArray[Any], " steps *action"]:
    """Undoes :func:`plain_actions`."""
    return np.array(actions, spec.dtype).reshape(len(actions), *spec.shape)


def no_action(spec: ActionSpec) -> Action:
    """The first of a list, or a vector of zeros."""
    return plain_actions(np.zeros((1, *spec.shape), spec.dtype))[0]


def check_actions(spec: ActionSpec, actions: Sequence[Action]) -> None:
    """Refuses what is no action.

    Raises:
        UserError: Names the first, and what there is.
    """
    known = _is_number if isinstance(spec, DiscreteActions) else _is_vector
    for action in actions:
        if not known(spec, action):
            raise UserError(f"action {action!r}; {_wanted(spec)}")


def _is_number(spec: Any, action: object) -> bool:
    return type(action) is int and 0 <= action < spec.n


def _is_vector(spec: Any, action: object) -> bool:
    return (
        isinstance(action, tuple)
        and len(action) == spec.size
        and all(type(x) is float and isfinite(x) and abs(x) <= LARGEST for x in action)
    )


def _wanted(spec: ActionSpec) -> str:
    if isinstance(spec, DiscreteActions):
        return f"take a whole number from 0 to {spec.n - 1}"
    return f"take {spec.size} numbers from {-LARGEST:g} to {LARGEST:g}"


def split_policy(
    spec: ActionSpec, policy: Float[NDArray[np.floating], " parameters"]
) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Returns probabilities and None, or means and deviations.

    Args:
        spec: The actions.
        policy: See :attr:`irl_lens.envs.trajectories.Trajectories.policy`.
    """
    size = len(spec.labels)
    real = isinstance(spec, ContinuousActions)
    return tuple(policy[:size].tolist()), tuple(policy[size:].tolist()) if real else None
