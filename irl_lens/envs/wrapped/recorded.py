"""Recorded episodes as trajectories: Minari's, or arrays of one's own.

An episode is a mapping, or an object with attributes: ``observations``, of one step more than
there are ``actions`` or of as many, nested as the observation space is; ``actions``; and, if there
are labels, ``subgoals``, a number an action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.envs.wrapped.rows import Reading
from irl_lens.envs.wrapped.whole import whole
from irl_lens.errors import UserError


def recorded_trajectories(episodes: Sequence[Any], reading: Reading) -> Trajectories:
    """Reads recorded episodes.

    Args:
        episodes: See the module.
        reading: How the environment is read.

    Raises:
        UserError: There are none, or one is not as long as it should be.
    """
    if not episodes:
        raise UserError("no recorded episodes; give at least one")
    return stacked([_episode(episode, number, reading) for number, episode in enumerate(episodes)])


def stacked(episodes: Sequence[Mapping[str, NDArray[Any]]]) -> Trajectories:
    """Returns one batch of episodes, given as arrays by step.

    Args:
        episodes: ``observations``, ``actions``, and of what is known ``policy`` and
            ``subgoals``, ``[steps, ...]`` each.
    """
    lengths = np.array([len(episode["actions"]) for episode in episodes])
    mask = np.arange(lengths.max()) < lengths[:, None]
    arrays: dict[str, NDArray[Any]] = {}
    for name in episodes[0]:
        first = episodes[0][name]
        arrays[name] = np.zeros((*mask.shape, *first.shape[1:]), first.dtype)
        arrays[name][mask] = np.concatenate([episode[name] for episode in episodes])
    return Trajectories.from_arrays({"mask": mask, **_labelled(arrays, mask)})


def _labelled(arrays: dict[str, NDArray[Any]], mask: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Each subgoal is a single visit; one is completed when another is pursued."""
    if "subgoals" not in arrays:
        return arrays
    subgoals = np.where(mask, arrays["subgoals"], -1)
    changed = np.diff(subgoals, axis=1, prepend=subgoals[:, :1]) != 0
    progress = np.where(mask, changed.cumsum(axis=1), 0)
    return arrays | {"subgoals": subgoals, "visits": subgoals.copy(), "progress": progress}


def fitting(given: Trajectories, reading: Reading) -> Trajectories:
    """Returns trajectories of this world, without labels if it names none.

    Args:
        given: As :func:`irl_lens.data.files.read_trajectories` returns them.
        reading: How the environment is read.

    Raises:
        UserError: They are of a world with other columns, actions or labels, or too long.
    """
    spec, actions = reading.columns.spec, reading.actions.spec
    own = (spec.columns, np.dtype(spec.dtype), actions.shape, np.dtype(actions.dtype))
    seen, done = given.observations, given.actions
    if (found := (seen.shape[2], seen.dtype, done.shape[2:], done.dtype)) != own:
        raise UserError(
            f"trajectories with columns, their type, shape and type of actions {found}, in a "
            f"world with {own}; take those of this world"
        )
    if (steps := int(given.lengths.max(initial=0))) > reading.horizon:
        raise UserError(f"trajectories of {steps} steps; take a horizon as long")
    if not reading.names:
        return replace(given, subgoals=None, visits=None, progress=None, tasks=None)
    if whole(given.require("subgoals")[given.mask], len(reading.names)) is None:
        raise UserError(f"trajectories with other subgoals than 0 to {len(reading.names) - 1}")
    return given


def _episode(episode: Any, number: int, reading: Reading) -> dict[str, NDArray[Any]]:
    actions, seen = (_part(episode, name, number) for name in ("actions", "observations"))
    steps, lengths = len(actions), _lengths(seen)
    if not steps or len(lengths) != 1 or not lengths <= {steps, steps + 1}:
        shown = " and ".join(map(str, sorted(lengths)))
        raise UserError(
            f"episode {number} has {steps} actions and {shown} observations; give at least one "
            "action, and as many observations or one more"
        )
    if steps > reading.horizon:
        raise UserError(
            f"episode {number} has {steps} steps, more than the horizon of {reading.horizon}; "
            "take a longer horizon, or leave it out"
        )
    try:
        arrays = {
            "observations": np.stack([reading.columns.encode(_at(seen, t)) for t in range(steps)]),
            "actions": np.stack([reading.actions.kept(action) for action in actions]),
        }
    except UserError as error:
        raise UserError(f"episode {number}: {error}") from error
    if reading.names:
        arrays["subgoals"] = _subgoals(
            _part(episode, "subgoals", number), steps, number, len(reading.names)
        )
    return arrays


def _part(episode: Any, name: str, number: int) -> Any:
    """A part of an episode, given as a mapping or by attributes."""
    known = episode if isinstance(episode, Mapping) else getattr(episode, "__dict__", {})
    if name not in known:
        raise UserError(f"episode {number} has no {name}; it has {', '.join(known) or 'nothing'}")
    return known[name]


def _subgoals(labels: Any, steps: int, number: int, count: int) -> NDArray[np.int64]:
    found = whole(labels, count)
    if found is None or found.shape not in ((steps,), (steps + 1,)):
        raise UserError(
            f"episode {number} has not {steps} subgoals from 0 to {count - 1}; label every step, "
            "or name no subgoals"
        )
    return found[:steps]


def _at(seen: Any, step: int) -> Any:
    if isinstance(seen, Mapping):
        return {key: _at(part, step) for key, part in seen.items()}
    return tuple(_at(part, step) for part in seen) if isinstance(seen, tuple) else seen[step]


def _lengths(seen: Any) -> set[int]:
    """How many steps there are of each part of what was seen."""
    if not isinstance(seen, Mapping | tuple):
        return {len(seen)}
    parts = seen.values() if isinstance(seen, Mapping) else seen
    return set().union(*map(_lengths, parts))
