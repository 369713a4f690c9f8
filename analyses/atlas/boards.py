"""A controller on chosen boards: where time is spent, what is done at every place, paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.rollouts.action_field import action_field
from irl_lens.analyses.rollouts.patched_actor import Everywhere
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.analyses.rollouts.velocity_field import action_changes, lattice, velocity_field
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Placeable, Points, Scene, Situation, WalkableSituation
from irl_lens.hooks import Intervention

TRAILS = 24
"""Agents whose paths are drawn."""


@dataclass(frozen=True)
class Motion:
    """How bodies move on one board, in place of what they would do at every place.

    Attributes:
        trails: Column and row of some agents after each number of steps, until their first
            subgoal; NaN after the end.
        reached: The subgoal that each reached; -1 for none.
        points: Where agents are put down.
        velocities: Mean velocity from there, in places a step.
        changes: By how much each entry of an action, by name, changes along a demonstration, 0
            without control; see :mod:`irl_lens.analyses.rollouts.velocity_field`.
    """

    trails: Float[NDArray[np.float64], "agents steps 2"]
    reached: Int[NDArray[np.int64], " agents"]
    points: Points
    velocities: Points
    changes: dict[str, float]


@dataclass(frozen=True)
class View:
    """Agents of one kind on one board.

    Attributes:
        occupancy: Share of time at each place until the first subgoal, a mean over agents.
        actions: Action probabilities of an agent that starts there; NaN where none can stand.
            None where actions are no moves.
        motion: How bodies move; None where they cannot be put down anywhere.
    """

    occupancy: Float[NDArray[np.float64], " places"]
    actions: Float[NDArray[np.float32], "places actions"] | None = None
    motion: Motion | None = None


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes:
        scene: What lies there.
        views: How agents go steered, under a placebo, and alone.
    """

    scene: Scene
    views: dict[str, View]


def look(field: Field, situation: Situation, hook: Intervention | None) -> View:
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
    if isinstance(situation, WalkableSituation):
        actions = action_field(field.base, situation, (), hook, field.temperature)
        return View(occupancy, actions=actions)
    if isinstance(situation, Placeable):
        return View(occupancy, motion=_motion(field, situation, course, hook))
    return View(occupancy)


def _motion(
    field: Field, situation: Situation, course: Course, hook: Intervention | None
) -> Motion:
    assert isinstance(situation, Placeable)
    base, points = field.base, lattice(situation.scene())
    settings = {"temperature": field.temperature, "seed": field.seed}
    velocities = velocity_field(base, situation, points, hook, **settings)
    labels = field.world.actions.labels
    changes = dict.fromkeys(labels, 0.0)
    if hook is not None:
        found = action_changes(base, situation.demonstrate(field.seed), hook)
        changes = dict(zip(labels, found.tolist(), strict=True))
    some = slice(TRAILS)
    return Motion(course.trail[some], course.reached[some, 0], points, velocities, changes)


def on_boards(
    field: Field,
    situations: Sequence[tuple[Situation, View]],
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

    def both(situation: Situation, alone: View) -> dict[str, View]:
        hooks = {"steered": steered, "placebo": placebo}
        return {name: look(field, situation, h) for name, h in hooks.items()} | {"alone": alone}

    return tuple(Board(s.scene(), both(s, alone)) for s, alone in situations)
