"""Shortest paths on pinpad boards, for whole batches at once.

Stepping on any colour but the current goal ends an episode, so a path to a goal treats
every other colour as an obstacle (paper, App. A.1, C.1.1). Distances are found by
breadth-first waves over all boards and goals together:

    frontier_{k+1} = neighbours(frontier_k and may_leave) and not reached
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, colour_map, wall_mask
from irl_lens.envs.spaces import DiscreteActions

MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
"""Row and column change of the actions up, right, down, left."""

ACTIONS = DiscreteActions(len(MOVES), ("up", "right", "down", "left"))
"""The actions of :data:`MOVES`."""

UNREACHABLE = np.int16(32_000)


def move_table(size: int) -> Int[NDArray[np.int64], "cells actions"]:
    """Gives for each cell and action the cell the border lets the agent move to."""
    row, column = np.divmod(np.arange(size * size), size)
    to_row = row[:, None] + MOVES[:, 0]
    to_column = column[:, None] + MOVES[:, 1]
    inside = (to_row >= 0) & (to_row < size) & (to_column >= 0) & (to_column < size)
    return np.where(inside, to_row * size + to_column, np.arange(size * size)[:, None])


def distances(spec: BoardSpec, layouts: Layouts) -> Int[NDArray[np.int16], "n colours cells"]:
    """Steps still to go to each colour after entering a cell on the way to it.

    Walls and every other colour may not be entered: they hold ``UNREACHABLE``, as do
    cells from which there is no path.
    """
    n, size, side = len(layouts), spec.size, spec.size + 2
    free = (colour_map(spec, layouts) < 0) & ~wall_mask(spec, layouts)
    goal = np.zeros((n, spec.colours, spec.cells), bool)
    np.put_along_axis(goal, layouts.objects[:, : spec.colours, None], True, axis=2)
    # A border of blocked cells makes each of the four moves a shift of one flat array.
    padded = (n, spec.colours, side, side)
    frontier, unreached = np.zeros(padded, bool), np.zeros(padded, bool)
    frontier[:, :, 1:-1, 1:-1] = goal.reshape(n, spec.colours, size, size)
    unreached[:, :, 1:-1, 1:-1] = free.reshape(n, 1, size, size)
    frontier, unreached = frontier.ravel(), unreached.ravel()
    reachable, waves = frontier.copy(), np.zeros(frontier.shape, np.int16)
    for _ in range(spec.cells):
        # A cell's distance is the number of waves that had not reached it yet.
        waves += unreached
        around = np.zeros_like(frontier)
        for shift in (1, side):
            around[shift:] |= frontier[:-shift]
            around[:-shift] |= frontier[shift:]
        frontier = np.logical_and(around, unreached, out=around)
        if not frontier.any():
            break
        reachable |= frontier
        unreached &= ~frontier
    distance = np.where(reachable, waves, UNREACHABLE).reshape(padded)
    return distance[:, :, 1:-1, 1:-1].reshape(n, spec.colours, spec.cells)


def distances_ahead(
    distance: Int[NDArray[np.int16], "n colours cells"],
    goal: Int[NDArray[np.int64], " n"],
    cell: Int[NDArray[np.int64], " n"],
    moves: Int[NDArray[np.int64], "cells actions"],
) -> Int[NDArray[np.int16], "n actions"]:
    """Steps still to go to ``goal`` after each action; ``UNREACHABLE`` for a no-op."""
    there = moves[cell]
    ahead = distance[np.arange(len(goal))[:, None], goal[:, None], there]
    return np.where(there == cell[:, None], UNREACHABLE, ahead)


def optimal_actions(
    distance: Int[NDArray[np.int16], "n colours cells"],
    goal: Int[NDArray[np.int64], " n"],
    cell: Int[NDArray[np.int64], " n"],
    moves: Int[NDArray[np.int64], "cells actions"],
) -> Bool[NDArray[np.bool_], "n actions"]:
    """Marks the actions that start a shortest path to ``goal``; none where there is no path."""
    ahead = distances_ahead(distance, goal, cell, moves)
    return (ahead == ahead.min(axis=1, keepdims=True)) & (ahead < UNREACHABLE)


def doable(
    spec: BoardSpec,
    layouts: Layouts,
    goals: Int[NDArray[np.int64], "tasks visits"],
    longest: int | None = None,
) -> Bool[NDArray[np.bool_], "n tasks"]:
    """Marks which tasks can be done on which boards.

    Args:
        spec: Size and objects.
        layouts: The boards.
        goals: Colours of every visit of every task, -1 after the last.
        longest: Moves within which a task must be done; None if any path will do.
    """
    distance, moves = distances(spec, layouts), move_table(spec.size)
    rows = [np.broadcast_to(visits, (len(layouts), len(visits))) for visits in goals]
    length = [optimal_length(distance, layouts, visits, moves) for visits in rows]
    most = UNREACHABLE - 1 if longest is None else longest
    return np.stack(length, axis=1) <= most


def optimal_length(
    distance: Int[NDArray[np.int16], "n colours cells"],
    layouts: Layouts,
    visits: Int[NDArray[np.int64], "n visits"],
    moves: Int[NDArray[np.int64], "cells actions"],
) -> Int[NDArray[np.int64], " n"]:
    """Fewest steps that visit each row's colours in order, at least ``UNREACHABLE`` if none.

    A visit of -1 ends the row's task early.
    """
    total = np.zeros(len(layouts), np.int64)
    cell = layouts.start
    for goal in visits.T:
        there = np.maximum(goal, 0)
        leg = 1 + distances_ahead(distance, there, cell, moves).min(axis=1).astype(np.int64)
        total += np.where(goal >= 0, leg, 0)
        cell = layouts.objects[np.arange(len(layouts)), there]
    return total
