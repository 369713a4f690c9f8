"""What probes read off the stream: a label for each step of a demonstration, by target."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

from irl_lens.analyses.core.demonstrations import pieces
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered

Labels = Int[NDArray[np.int64], "n steps"]
Target = Literal["subgoal", "visit", "next subgoal", "progress", "direction"]
TARGETS: tuple[Target, ...] = get_args(Target)
CERTAIN = 0.99
"""Probability from which the expert's way counts as the only shortest one."""


def labels_of(trajectories: Trajectories, target: str) -> Labels:
    """The labels of one target at every step, -1 where there is none.

    Args:
        trajectories: Demonstrations.
        target: One of :data:`TARGETS`.

    Raises:
        ValueError: Another target.
        NotOffered: The world does not give it.
    """
    t = trajectories
    if target == "direction":
        if t.actions.ndim > 2:
            raise NotOffered("real actions have no only shortest way; probe for another target")
        found = np.where((p := t.require("policy")).max(axis=2) >= CERTAIN, p.argmax(axis=2), -1)
    elif target == "next subgoal":
        found = _following(t.require("subgoals"))
    elif target in TARGETS:
        names = {"subgoal": "subgoals", "visit": "visits", "progress": "progress"}
        found = t.require(names[target])
    else:
        raise ValueError(f"no target {target!r}; the targets are {', '.join(TARGETS)}")
    return np.where(t.mask, found, -1)


def _following(subgoals: Labels) -> Labels:
    """The next other subgoal of each step's episode; -1 when none follows."""
    found = np.full_like(subgoals, -1)
    for t in range(subgoals.shape[1] - 2, -1, -1):
        same = subgoals[:, t] == subgoals[:, t + 1]
        found[:, t] = np.where(same, found[:, t + 1], subgoals[:, t + 1])
    return found


def by_token(trajectories: Trajectories, target: str) -> Int[NDArray[np.int64], " tokens"]:
    """The labels of every valid step, in the order of ``pieces``."""
    return np.concatenate([labels_of(p, target)[p.mask] for _, p in pieces(trajectories)])
