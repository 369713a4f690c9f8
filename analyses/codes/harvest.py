"""Codes of what the base did by itself: episodes without a task, encoded afterwards.

    label of the code at step t = subgoal first reached after t, if there was one

As the paper harvests them (arXiv 2512.20605, App. B.3.2): the base is asked for nothing, the
encoder reads the whole episode, and where the gate opens is a code. What it stands for is read from
what the agent then did. A code after which no subgoal is reached stands for none and is left out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.causal import CausalHalf
from irl_lens.models.trace import encode

SUBGOALS = 3
"""Subgoals that an episode is followed for."""


def harvest(field: Field, meta: CausalHalf) -> SwitchCodes:
    """Lets the base roam and takes the codes of its episodes.

    Args:
        field: Where, and how many episodes; others than those in which codes are tried.
        meta: Encodes.

    Raises:
        UserError: No episode reaches any subgoal.
    """
    rollout, course = field.recorded(subgoals=SUBGOALS)
    pursued = next_subgoals(course, rollout.mask.shape[1])
    n = len(rollout)
    blank = np.zeros((*rollout.mask.shape, 1), np.float32)  # nobody's policy is encoded
    shown = Trajectories(
        observations=rollout.observations,
        actions=rollout.actions,
        policy=blank,
        mask=rollout.mask,
        subgoals=np.where(rollout.mask, pursued, -1),
        visits=np.where(rollout.mask, pursued, -1),
        progress=np.zeros(rollout.mask.shape, np.int64),
        tasks=np.full(n, -1),
    )
    every = SwitchCodes.of(encode(meta, field.base, shown), shown)
    known = every.labels >= 0
    if not known.any():
        raise UserError(
            f"the base alone reaches no subgoal in {n} episodes; take more rows, or "
            "harvest=demonstrations"
        )
    return SwitchCodes(every.codes[known], every.labels[known], every.episodes[known])


def next_subgoals(course: Course, steps: int) -> Int[NDArray[np.int64], "n steps"]:
    """Returns at each step the subgoal that is reached next; -1 where there is none."""
    before = course.at[:, None, :] > np.arange(steps)[None, :, None]
    first = before.argmax(axis=2)
    reached = np.take_along_axis(course.reached, first, axis=1)
    return np.where(before.any(axis=2), reached, -1)
