"""The exact Bayes filter: the best any model of the demonstrations can do.

The prior is the one demonstrations are drawn from: uniform over the pairs of task and board
that can be solved, so uniform over the tasks solvable on the board at hand. With g_k(t) the
goal that task k would pursue at step t, after the visits made so far,

    p(k | o_1..t)   is proportional to  p(k) * product_{s < t} pi(a_s | board, cell_s, g_k(s))
    p(a_t | o_1..t) = sum_k p(k | o_1..t) pi(a_t | board, cell_t, g_k(t))

with pi the expert (:mod:`irl_lens.envs.pinpad.expert`). Under pi no action visits a colour other
than the goal, so a visit rules out every task whose goal was another colour. With noise the filter
is exact but for the few games left out because they overran the horizon.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.expert import harmless_actions, mix, visit_table
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, wall_mask
from irl_lens.envs.pinpad.planner import distances, doable, move_table, optimal_actions
from irl_lens.envs.pinpad.tasks import Grammar, Task
from irl_lens.envs.protocol import Floor
from irl_lens.envs.trajectories import Trajectories


def posterior(
    board: BoardSpec,
    grammar: Grammar,
    tasks: tuple[Task, ...],
    trajectories: Trajectories,
    cells: Int[NDArray[np.int64], "n steps"],
    horizon: int,
    epsilon: float = 0.0,
) -> Floor:
    """Filters a batch of demonstrations.

    Args:
        board: Size and objects of the boards.
        grammar: The grammar ``tasks`` belong to.
        tasks: The prior's tasks, each as likely as any other that the board allows.
        trajectories: What the expert did.
        cells: The agent's cell before each action.
        horizon: Steps within which a task must be solvable.
        epsilon: The expert's probability of a random harmless action.

    Raises:
        ValueError: Some trajectory is impossible under the prior.
    """
    layouts, mask = Layouts.of(trajectories), trajectories.mask
    progress = trajectories.require("progress")
    distance = distances(board, layouts)
    goals = visit_table([(*grammar.colours(t), -1) for t in tasks])
    stages = visit_table([(*grammar.stages(t), -1) for t in tasks])
    policy = _policy(board, layouts, distance, cells, epsilon)
    stage = np.minimum(progress, goals.shape[1] - 1)
    goal = np.where(mask[..., None], goals.T[stage], -1)
    taken = np.take_along_axis(policy, trajectories.actions[:, :, None, None], axis=3)[..., 0]
    prior = doable(board, layouts, goals, horizon)
    weights = _filter(prior, _pick(taken[..., None], goal)[..., 0], goal, mask)
    visits = _tally(weights, goal, board.colours)
    abstract = np.where(mask[..., None], stages.T[stage], -1)
    subgoals = _tally(weights, abstract, len(grammar.subgoals))
    known = _pick(policy, trajectories.require("visits")[..., None])[:, :, 0]
    probs = np.einsum("ntc,ntca->nta", visits, policy)
    return Floor.discrete(
        probs, known, trajectories, subgoals=subgoals, visits=visits, tasks=weights
    )


def _policy(
    board: BoardSpec,
    layouts: Layouts,
    distance: Int[NDArray[np.int16], "n colours cells"],
    cells: Int[NDArray[np.int64], "n steps"],
    epsilon: float,
) -> Float[NDArray[np.float64], "n steps colours actions"]:
    """The expert's policy at every step, for each colour it might be after."""
    moves, walls = move_table(board.size), wall_mask(board, layouts)
    (n, steps), count = cells.shape, board.colours
    policy = np.empty((n, steps, count, moves.shape[1]))
    for step in range(steps):
        for colour in range(count):
            goal, cell = np.full(n, colour), cells[:, step]
            optimal = optimal_actions(distance, goal, cell, moves)
            harmless = harmless_actions(distance, walls, goal, cell, moves)
            policy[:, step, colour] = mix(optimal, harmless, epsilon)
    return policy


def _pick(
    values: Float[NDArray[np.float64], "n steps colours actions"],
    goal: Int[NDArray[np.int64], "n steps tasks"],
) -> Float[NDArray[np.float64], "n steps tasks actions"]:
    """Looks each goal's entry up; zeros where there is no goal."""
    found = np.take_along_axis(values, np.maximum(goal, 0)[..., None], axis=2)
    return found * (goal >= 0)[..., None]


def _filter(
    prior: Bool[NDArray[np.bool_], "n tasks"],
    likelihood: Float[NDArray[np.float64], "n steps tasks"],
    goal: Int[NDArray[np.int64], "n steps tasks"],
    mask: Bool[NDArray[np.bool_], "n steps"],
) -> Float[NDArray[np.float64], "n steps tasks"]:
    """Multiplies the evidence up to each step into the prior, step by step."""
    weights, belief = np.zeros(likelihood.shape), prior.astype(np.float64)
    for step in range(likelihood.shape[1]):
        belief = belief * (goal[:, step] >= 0)
        total = belief.sum(axis=1, keepdims=True)
        impossible = mask[:, step] & (total[:, 0] == 0)
        if impossible.any():
            raise ValueError(
                f"trajectory {int(np.flatnonzero(impossible)[0])} did before step {step} what no "
                "task of the prior allows; add its task to the prior, or raise epsilon"
            )
        weights[:, step] = belief / np.where(total == 0, 1, total)
        belief = weights[:, step] * likelihood[:, step]
    return weights


def _tally(
    weights: Float[NDArray[np.float64], "n steps tasks"],
    label: Int[NDArray[np.int64], "n steps tasks"],
    count: int,
) -> Float[NDArray[np.float64], "n steps count"]:
    """Adds the weights of the tasks that share a label."""
    return np.stack([(weights * (label == i)).sum(axis=2) for i in range(count)], axis=2)


def nll(
    probs: Float[NDArray[np.float64], "n steps actions"],
    actions: Int[NDArray[np.int64], "n steps"],
    mask: Bool[NDArray[np.bool_], "n steps"],
) -> float:
    """Mean negative log-likelihood over the steps of ``mask``, in nats."""
    taken = np.take_along_axis(probs, actions[..., None], axis=2)[..., 0]
    return float(-np.log(taken[mask]).mean())


def accuracy(
    probs: Float[NDArray[np.float64], "n steps labels"],
    labels: Int[NDArray[np.int64], "n steps"],
    mask: Bool[NDArray[np.bool_], "n steps"],
) -> float:
    """How often the likeliest label is right; of several equally likely, the first counts."""
    return float((probs.argmax(axis=2) == labels)[mask].mean())
