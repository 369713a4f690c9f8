"""The exact Bayes filter of the ant's demonstrations: the best any model of them can do.

The prior is the one demonstrations are drawn from: uniform over the training tasks that can be
solved on the layout at hand. With g_k(t) the colour that task k is after at step t, after the
visits made so far, and the expert's Gaussian about the torques mu that it means,

    p(k | o_1..t)   is proportional to  p(k) * product_{s < t} N(a_s; mu(o_s, g_k(s)), sigma_s)
    p(a_t | o_1..t) = sum_k p(k | o_1..t) N(a_t; mu(o_t, g_k(t)), sigma_t)

Physics does not depend on the task, so nothing else tells of it but visits: a visit of another
colour than the goal ends an episode, so each visit rules out every task that was after another.
The filter is exact but for the episodes that failed and were left out: 1 or 2 in 100, and about 5
where ants go astray (:mod:`irl_lens.envs.ant.straying`). It knows what the expert asked for, also
where the ant does something else: a model, which sees observations only, cannot. Summed over an
episode, what it loses by not knowing the task is at most the entropy of the prior, ln 16.

All sums are of logarithms: torques of different goals are often hundreds of nats apart.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.expert import Expert
from irl_lens.envs.ant.gait import Gait
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.pinpad.expert import visit_table
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.planner import doable
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.protocol import Floor
from irl_lens.envs.trajectories import Trajectories


def floor(
    spec: AntSpec, gait: Gait, trajectories: Trajectories, prior: str | Task = "train"
) -> Floor:
    """Returns what the filter believes at every step of demonstrations.

    Args:
        spec: The world.
        gait: The expert's.
        trajectories: What the expert did.
        prior: The tasks the filter reckons with, each as likely as any other that the arena
            allows (:meth:`irl_lens.envs.pinpad.spec.PinpadSpec.tasks`).

    Raises:
        ValueError: Some trajectory is impossible under the prior, or without noise.
    """
    layouts = Layouts.of(trajectories)
    goals = visit_table([(*spec.grammar.colours(t), -1) for t in spec.tasks(prior)])
    expert = Expert.of(spec.arena, spec.board, layouts, gait)
    means = expert.means_for_all(trajectories.observations, spec.board.colours)
    return posterior(trajectories, means, goals, doable(spec.board, layouts, goals))


def posterior(
    trajectories: Trajectories,
    means: Float[NDArray[np.floating[Any]], "n steps colours size"],
    goals: Int[NDArray[np.int64], "tasks visits"],
    possible: Bool[NDArray[np.bool_], "n tasks"],
) -> Floor:
    """Filters a batch of demonstrations.

    Args:
        trajectories: What the expert did; the deviations are read off its policy.
        means: What the expert means to do at each step, for each colour it might be after.
        goals: Colours that each task visits in order, -1 after the last.
        possible: Tasks that can be solved on each layout, equally likely at first.

    Raises:
        ValueError: Some trajectory is impossible under the prior, or without noise.
    """
    mask = trajectories.mask
    deviations = trajectories.require("policy")[..., means.shape[-1] :]
    if not (deviations[mask] > 0).all():
        raise ValueError("actions without noise have no density; take demonstrations with noise")
    by_colour = log_densities(trajectories.actions, means, deviations)
    stage = np.minimum(trajectories.require("progress"), goals.shape[1] - 1)
    goal = np.where(mask[..., None], goals.T[stage], -1)
    found = np.take_along_axis(by_colour, np.maximum(goal, 0), axis=2)
    likelihood = np.where(goal >= 0, found, -np.inf)
    visits = trajectories.require("visits")
    weights = _filter(possible, likelihood, goal, visits, stage, mask)
    colours = np.stack([(weights * (goal == c)).sum(axis=2) for c in range(means.shape[2])], axis=2)
    true = np.take_along_axis(by_colour, np.maximum(visits, 0)[..., None], axis=2)[..., 0]
    with np.errstate(divide="ignore"):
        mixed = _log_sum(np.log(weights) + likelihood)
    return Floor(
        nll=np.where(mask, -mixed, 0),
        known=np.where(mask, -true, 0),
        subgoals=colours,
        visits=colours,
        tasks=weights,
    )


def log_densities(
    actions: Float[NDArray[np.floating[Any]], "n steps size"],
    means: Float[NDArray[np.floating[Any]], "n steps colours size"],
    deviations: Float[NDArray[np.floating[Any]], "n steps size"],
) -> Float[NDArray[np.float64], "n steps colours"]:
    """Log-densities of actions under a Gaussian for each colour [nats]."""
    safe = np.where(deviations > 0, deviations, 1).astype(np.float64)[:, :, None]
    z = (actions[:, :, None] - means) / safe
    constant = 0.5 * actions.shape[-1] * math.log(2 * math.pi)
    return -0.5 * (z**2).sum(axis=-1) - np.log(safe).sum(axis=-1) - constant


def _filter(
    possible: Bool[NDArray[np.bool_], "n tasks"],
    likelihood: Float[NDArray[np.float64], "n steps tasks"],
    goal: Int[NDArray[np.int64], "n steps tasks"],
    visits: Int[NDArray[np.int64], "n steps"],
    stage: Int[NDArray[np.int64], "n steps"],
    mask: Bool[NDArray[np.bool_], "n steps"],
) -> Float[NDArray[np.float64], "n steps tasks"]:
    """Multiplies the evidence up to each step into the prior, step by step."""
    weights = np.zeros(likelihood.shape)
    with np.errstate(divide="ignore"):
        belief = np.log(possible.astype(np.float64))
    for step in range(likelihood.shape[1]):
        if step:  # whoever was after another colour would have ended with the visit
            visited = stage[:, step] > stage[:, step - 1]
            other = goal[:, step - 1] != visits[:, step - 1, None]
            belief = np.where(visited[:, None] & other, -np.inf, belief)
        belief = np.where(goal[:, step] >= 0, belief, -np.inf)
        total = _log_sum(belief)
        _refuse_impossible(mask[:, step] & ~np.isfinite(total), step)
        weights[:, step] = np.exp(belief - np.where(np.isfinite(total), total, 0)[:, None])
        belief = belief + np.where(mask[:, step, None], likelihood[:, step], 0)
    return weights


def _refuse_impossible(impossible: Bool[NDArray[np.bool_], " n"], step: int) -> None:
    if impossible.any():
        raise ValueError(
            f"trajectory {int(np.flatnonzero(impossible)[0])} did before step {step} what no task "
            "of the prior allows; add its task to the prior"
        )


def _log_sum(x: Float[NDArray[np.float64], "*n tasks"]) -> Float[NDArray[np.float64], "*n"]:
    """Logarithm of the sum of exponentials over the last axis."""
    largest = x.max(axis=-1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - largest).sum(axis=-1)) + largest[..., 0]
