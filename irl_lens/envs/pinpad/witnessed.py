"""What is seen of an expert, with the labels only an experimenter sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.expert import Games, Walk, visit_table
from irl_lens.envs.pinpad.spec import PinpadSpec
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.trajectories import Trajectories


def witnessed(
    spec: PinpadSpec,
    games: Games,
    walk: Walk,
    tasks: Sequence[Task],
    numbers: Int[NDArray[Any], " n"],
) -> Trajectories:
    """Returns what was seen of an expert, with its labels.

    Args:
        spec: The world they are of.
        games: The boards, each with the index of its task among ``tasks``.
        walk: What the expert did.
        tasks: The tasks.
        numbers: Index of each game's task within the grammar, -1 if it is none of it.
    """
    stages = visit_table([spec.grammar.stages(t) for t in tasks])
    stage = np.minimum(walk.progress, stages.shape[1] - 1)
    rows = np.arange(len(numbers))[:, None]
    objects = games.layouts.objects[:, None]
    observations = spec.observer.encode(
        np.broadcast_to(objects, (*walk.cells.shape, spec.board.objects)),
        walk.cells,
        walk.displacements,
    )
    return Trajectories(
        observations=observations,
        actions=walk.actions,
        policy=walk.policy.astype(np.float32),
        mask=walk.mask,
        subgoals=np.where(walk.mask, stages[games.tasks][rows, stage], -1),
        visits=np.where(walk.mask, games.visits[rows, stage], -1),
        progress=walk.progress,
        tasks=numbers,
        extras=vars(games.layouts),
    )


def task_of(spec: PinpadSpec, trajectories: Trajectories, row: int) -> Task:
    """Returns the task that a trajectory did, read off its labels; it must go to its end.

    Args:
        spec: The world it is of.
        trajectories: Where it is among.
        row: Its number.
    """
    mask = trajectories.mask[row]
    _, first = np.unique(trajectories.require("progress")[row][mask], return_index=True)
    stages, task, visit = trajectories.require("subgoals")[row][mask][first], [], 0
    while visit < len(stages):
        task.append(int(stages[visit]))
        visit += len(spec.grammar.subgoals[task[-1]])
    return tuple(task)
