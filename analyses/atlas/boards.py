"""A controller on chosen boards: where time is spent, and what is done at every place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.rollouts.action_field import action_field
from irl_lens.analyses.rollouts.patched_actor import Everywhere
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Scene, WalkableSituation
from irl_lens.hooks import Intervention


@dataclass(frozen=True)
class View:
    """Agents of one kind on one board.

    Attributes:
        occupancy: Share of time at each place until the first subgoal, a mean over agents.
        actions: Action probabilities of an agent that starts there; NaN where none can stand.
    """

    occupancy: Float[NDArray[np.float64], " places"]
    actions: Float[NDArray[np.float32], "places actions"]


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes:
        scene: What lies there.
        views: How agents go steered, under a placebo, and alone.
    """

    scene: Scene
    views: dict[str, View]


def look(field: Field, situation: WalkableSituation, hook: Intervention | None) -> View:
    """Lets agents go on one board.

    Args:
        field: The base, how many agents, and their noise.
        situation: The board.
        hook: Acts at every step.
    """
    course = replace(field, where=situation).roam(None if hook is None else Everywhere(hook))
    shares = course.occupancy(np.zeros(len(course.lengths), np.int64))
    moved = ~np.isnan(shares).any(axis=1)
    occupancy = shares[moved].mean(axis=0) if moved.any() else np.zeros(course.cells)
    return View(occupancy, action_field(field.base, situation, (), hook, field.temperature))


def on_boards(
    field: Field,
    situations: Sequence[tuple[WalkableSituation, View]],
    steered: Intervention,
    placebo: Intervention,
) -> tuple[Board, ...]:
    """Looks at a controller and its placebo on boards that were looked at without.

    Args:
        field: See :func:`look`.
        situations: The boards, each with agents that go alone.
        steered: The controller.
        placebo: Its placebo.
    """

    def both(situation: WalkableSituation, alone: View) -> dict[str, View]:
        hooks = {"steered": steered, "placebo": placebo}
        return {name: look(field, situation, h) for name, h in hooks.items()} | {"alone": alone}

    return tuple(Board(s.scene(), both(s, alone)) for s, alone in situations)
