"""Where agents go under a controller, held from the first step, with a placebo and without.

Boards without a task (:mod:`irl_lens.analyses.rollouts.taskless`), the same for all, with the same
noise: which abstract subgoal is reached first, and after how many steps. What was decoded from a
code is held as that code, so that the gate shows when it would have ended it
(:mod:`irl_lens.analyses.atlas.ending`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.atlas.ending import Ending, ending
from irl_lens.analyses.atlas.subjects import Subject
from irl_lens.analyses.rollouts.patched_actor import Everywhere, PatchedActor
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.analyses.stats.estimates import Estimate, mean, proportion
from irl_lens.analyses.stats.significance import holm, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Scene
from irl_lens.hooks import Intervention
from irl_lens.models.causal import CausalHalf

SHOWN = 8
"""Failures kept."""


@dataclass(frozen=True)
class Way:
    """What agents did.

    Attributes:
        hits: Share that reached each subgoal first.
        steps: Steps until then, of those that reached one: how long a subgoal takes.
    """

    hits: tuple[Estimate, ...]
    steps: Estimate


@dataclass(frozen=True)
class Failure:
    """An episode in which the controller's own subgoal was not the first.

    Attributes:
        board: Its number.
        instead: The subgoal reached, -1 for none.
        scene: The board.
        path: Place after each number of steps; column and row where actions are no moves, and
            places tell too little.
    """

    board: int
    instead: int
    scene: Scene
    path: Int[NDArray[np.int64], " steps"] | Float[NDArray[np.float64], "steps 2"]


@dataclass(frozen=True)
class Behaviour:
    """A controller against a placebo and nothing.

    Attributes:
        steered: With the controller.
        placebo: With one of the same norm, in random directions.
        alone: Without any.
        p: p-value of its own subgoal's share, steered against placebo, paired by board; in an atlas
            adjusted for all controllers, as is that of the ending.
        failures: Some boards on which its own subgoal was not the first.
        ending: When the gate would have ended it; None without a gate.
    """

    steered: Way
    placebo: Way
    alone: Way
    p: float
    failures: tuple[Failure, ...]
    ending: Ending | None


def behave(
    field: Field,
    subject: Subject,
    placebo: Intervention,
    alone: Course,
    meta: CausalHalf | None = None,
) -> Behaviour:
    """Lets agents roam under a controller.

    Args:
        field: Boards and base.
        subject: The controller, held at every step.
        placebo: A random controller of the same singular values, held at every step.
        alone: Where agents went without any, on the same boards.
        meta: Whose code it is, if it was decoded from one.
    """
    course, ended = _steered(field, subject, meta)
    against = field.roam(Everywhere(placebo))
    own, subgoals = subject.own, len(field.world.subgoal_names)
    hit, placebo_hit = (c.reached[:, 0] == own for c in (course, against))
    failed = np.flatnonzero(~hit)[:SHOWN]
    steered, random, nothing = (_way(c, subgoals) for c in (course, against, alone))
    return Behaviour(
        steered,
        random,
        nothing,
        permutation_pvalue(hit, placebo_hit),
        tuple(_failure(field, course, int(board), own) for board in failed),
        ended,
    )


def adjusted(found: Sequence[Behaviour]) -> list[Behaviour]:
    """Returns the same with p-values adjusted for there being several controllers (Holm)."""
    own = holm([each.p for each in found])
    ended = holm([nan if each.ending is None else each.ending.p for each in found])
    return [
        replace(each, p=p, ending=None if each.ending is None else replace(each.ending, p=q))
        for each, p, q in zip(found, own, ended, strict=True)
    ]


def _steered(
    field: Field, subject: Subject, meta: CausalHalf | None
) -> tuple[Course, Ending | None]:
    """The gate is watched beyond the first subgoal, to see it open there."""
    if meta is None or subject.code is None:
        return field.roam(Everywhere(subject.controller)), None
    actor = PatchedActor(meta, subject.code.expand(field.rows, field.world.horizon, -1))
    course = field.roam(actor, subgoals=2)
    return course, ending(actor.recording().gate.numpy(), course)


def _failure(field: Field, course: Course, board: int, own: int) -> Failure:
    stop = course.at[board, 0] if course.reached[board, 0] >= 0 else course.lengths[board]
    scene = field.situation(board, (own,)).scene()
    went = course.path if scene.moves else course.trail
    return Failure(board, int(course.reached[board, 0]), scene, went[board, : stop + 1])


def _way(course: Course, subgoals: int) -> Way:
    first = course.reached[:, 0]
    hits = tuple(proportion(first == g) for g in range(subgoals))
    return Way(hits, mean(course.at[first >= 0, 0]))
