"""One episode as a state: the expert's walk, nothing edited, at its first decision."""

from __future__ import annotations

import numpy as np

from irl_lens.analyses.explorer.actions import plain_actions
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.metrics import metrics_of
from irl_lens.envs.scenes import TraceableSituation
from irl_lens.envs.trajectories import Trajectories


def begin(workbench: Workbench, seed: int) -> State:
    """The state of one episode, nothing edited: the expert's walk, at its first decision."""
    return of_situation(workbench, workbench.boards.situation(seed), seed)


def of_situation(workbench: Workbench, situation: TraceableSituation, seed: int) -> State:
    """The state of a situation in which the expert does the task.

    Raises:
        ValueError: It cannot be done.
    """
    return of_shown(workbench, situation, situation.demonstrate(seed), seed)


def of_shown(
    workbench: Workbench, situation: TraceableSituation, shown: Trajectories, seed: int
) -> State:
    """The state of a demonstration, of one row."""
    stop, steps = int(shown.lengths[0]), decisions(shown)
    walk = workbench.boards.places(shown.observations[0, :stop])
    actions = plain_actions(shown.actions[0, :stop])
    return State(
        seed=seed,
        clean=situation.plain(),
        edited=situation.plain(),
        walk=tuple(walk.tolist()),
        actions=actions,
        step=steps[0] if steps else 0,
        layer=max(1, workbench.layers // 2),
        metric=metrics_of(workbench.actions)[0],
    )


def decisions(shown: Trajectories) -> list[int]:
    """Steps of a demonstration right after a visit, when the next one is to be chosen."""
    progress = shown.require("progress")[0, : int(shown.lengths[0])]
    return (np.flatnonzero(np.diff(progress) > 0) + 1).tolist()
