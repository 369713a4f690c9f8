"""The expert: the stochastic optimal policy, with optional harmless noise.

    pi(a) = (1 - epsilon) * uniform(optimal actions) + epsilon * uniform(harmless actions)

Optimal actions start a shortest path to the next colour of the task; harmless ones neither
end the episode nor leave the agent where it can no longer succeed (paper, App. C.1.1: random
non-terminating actions, and only successful trajectories are kept). Only solvable boards are
played; a game that noise delays beyond the horizon is drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import (
    BoardSpec,
    Layouts,
    colour_map,
    concatenate,
    sample_layouts,
    wall_mask,
)
from irl_lens.envs.pinpad.limits import too_rare
from irl_lens.envs.pinpad.planner import (
    UNREACHABLE,
    distances,
    move_table,
    optimal_actions,
    optimal_length,
)

PLAYED = 100
"""Games played before it is asked how many of them ended in time."""
IN_TIME = 0.1
"""Share of games that must: with fewer, noise would have most of them played for nothing."""


@dataclass(frozen=True)
class Games:
    """Boards with a task each, and the shortest paths on them.

    Attributes:
        layouts: The boards.
        tasks: Index of each row's task in the table it was drawn from.
        visits: Colours to visit in order, -1 after the last.
        distance: Steps still to go, see :func:`irl_lens.envs.pinpad.planner.distances`.
    """

    layouts: Layouts
    tasks: Int[NDArray[np.int64], " n"]
    visits: Int[NDArray[np.int64], "n visits"]
    distance: Int[NDArray[np.int16], "n colours cells"]


def visit_table(tasks: list[tuple[int, ...]]) -> Int[NDArray[np.int64], "tasks visits"]:
    """Stacks tasks, given as colours in order, padded with -1 to the longest."""
    table = np.full((len(tasks), max(map(len, tasks))), -1, np.int64)
    for row, colours in zip(table, tasks, strict=True):
        row[: len(colours)] = colours
    return table


def sample_games(
    spec: BoardSpec,
    table: Int[NDArray[np.int64], "tasks visits"],
    n: int,
    horizon: int,
    rng: np.random.Generator,
) -> Games:
    """Draws boards and tasks jointly, keeping those solvable within ``horizon`` steps.

    A rejected draw redraws the task too, so given a board every task solvable on it is
    equally likely: the prior of the exact Bayes filter.
    """
    kept: list[Games] = []
    missing, moves, drawn = n, move_table(spec.size), 0
    while not too_rare(n - missing, drawn):
        draw = int(missing * 1.4) + 8
        drawn += draw
        layouts, tasks = sample_layouts(spec, draw, rng), rng.integers(len(table), size=draw)
        distance = distances(spec, layouts)
        length = optimal_length(distance, layouts, table[tasks], moves)
        keep = np.flatnonzero(length <= horizon)[:missing]
        kept.append(Games(layouts.rows(keep), tasks[keep], table[tasks[keep]], distance[keep]))
        missing -= len(keep)
        if missing == 0:
            return _join(kept)
    raise ValueError(
        f"{n - missing} of {drawn} boards drawn are solvable within horizon {horizon} "
        f"(size {spec.size}, {spec.colours} colours, {spec.walls} walls); "
        "take a larger board or horizon, or fewer walls"
    )


def _join(games: list[Games]) -> Games:
    return Games(
        concatenate([g.layouts for g in games]),
        *(np.concatenate([getattr(g, k) for g in games]) for k in ("tasks", "visits", "distance")),
    )


def harmless_actions(
    distance: Int[NDArray[np.int16], "n colours cells"],
    walls: Bool[NDArray[np.bool_], "n cells"],
    goal: Int[NDArray[np.int64], " n"],
    cell: Int[NDArray[np.int64], " n"],
    moves: Int[NDArray[np.int64], "cells actions"],
) -> Bool[NDArray[np.bool_], "n actions"]:
    """Marks the actions after which the goal can still be reached; bumping is one of them.

    A colour visited last may join two parts of the board: stepping off it on the wrong side
    strands the agent, since stepping back would end the episode.
    """
    there, rows = moves[cell], np.arange(len(cell))[:, None]
    stays = (there == cell[:, None]) | walls[rows, there]
    return stays | (distance[rows, goal[:, None], there] < UNREACHABLE)


def mix(
    optimal: Bool[NDArray[np.bool_], "*n actions"],
    harmless: Bool[NDArray[np.bool_], "*n actions"],
    epsilon: float,
) -> Float[NDArray[np.float64], "*n actions"]:
    """The expert's action probabilities; rows without an optimal action get zeros."""
    best = optimal / np.maximum(optimal.sum(-1, keepdims=True), 1)
    if epsilon == 0.0:
        return best
    safe = harmless / np.maximum(harmless.sum(-1, keepdims=True), 1)
    return ((1 - epsilon) * best + epsilon * safe) * optimal.any(-1, keepdims=True)


@dataclass(frozen=True)
class Walk:
    """What the expert did, and the probabilities it drew from; padded on the right."""

    cells: Int[NDArray[np.int64], "n steps"]
    displacements: Int[NDArray[np.int64], "n steps"]
    actions: Int[NDArray[np.int64], "n steps"]
    policy: Float[NDArray[np.float64], "n steps actions"]
    progress: Int[NDArray[np.int64], "n steps"]
    mask: Bool[NDArray[np.bool_], "n steps"]
    finished: Bool[NDArray[np.bool_], " n"]


def demonstrations(
    spec: BoardSpec,
    table: Int[NDArray[np.int64], "tasks visits"],
    n: int,
    horizon: int,
    rng: np.random.Generator,
    epsilon: float = 0.0,
) -> tuple[Games, Walk]:
    """Draws and plays ``n`` games, drawing anew those that noise delays too long."""
    games = sample_games(spec, table, n, horizon, rng)
    walk = play(spec, games, horizon, rng, epsilon)
    played = n
    while len(late := np.flatnonzero(~walk.finished)):
        if played >= PLAYED and n - len(late) < IN_TIME * played:
            raise ValueError(
                f"noise of {epsilon} lets {n - len(late)} of {played} games end within horizon "
                f"{horizon}; take less noise or a longer horizon"
            )
        played += len(late)
        again = sample_games(spec, table, len(late), horizon, rng)
        games = _replace(games, late, again)
        walk = _replace_walk(walk, late, play(spec, again, horizon, rng, epsilon))
    return games, walk


def _replace(games: Games, rows: Int[NDArray[np.intp], " k"], by: Games) -> Games:
    order = np.arange(len(games.tasks))
    order[rows] = len(order) + np.arange(len(rows))
    both = _join([games, by])
    return Games(
        both.layouts.rows(order), both.tasks[order], both.visits[order], both.distance[order]
    )


def _replace_walk(walk: Walk, rows: Int[NDArray[np.intp], " k"], by: Walk) -> Walk:
    """Writes the new rows over a walk that, having late rows, is as long as the horizon."""
    new = {field.name: getattr(walk, field.name).copy() for field in fields(Walk)}
    new["mask"][rows] = False
    for name, values in new.items():
        fresh = getattr(by, name)
        if values.ndim == 1:
            values[rows] = fresh
        else:
            values[rows, : fresh.shape[1]] = fresh
    steps = new["mask"].sum(axis=1).max()
    finished = new.pop("finished")
    if finished.all():
        new = {name: values[:, :steps] for name, values in new.items()}
    return Walk(**new, finished=finished)


def play(
    spec: BoardSpec, games: Games, horizon: int, rng: np.random.Generator, epsilon: float = 0.0
) -> Walk:
    """Lets the expert play every game to its end (or to the horizon, if noise delays it)."""
    moves, colours = move_table(spec.size), colour_map(spec, games.layouts)
    blocked = wall_mask(spec, games.layouts)
    n = len(games.tasks)
    rows, n_visits = np.arange(n), (games.visits >= 0).sum(axis=1)
    cell, last, stage = games.layouts.start, np.zeros(n, np.int64), np.zeros(n, np.int64)
    record: list[tuple[NDArray[Any], ...]] = []
    while len(record) < horizon and (stage < n_visits).any():
        goal = games.visits[rows, np.minimum(stage, n_visits - 1)]
        optimal = optimal_actions(games.distance, goal, cell, moves)
        safe = optimal
        if epsilon:
            safe = harmless_actions(games.distance, blocked, goal, cell, moves)
        policy = mix(optimal, safe, epsilon)
        action = draw_actions(policy, rng)
        record.append((cell, last, action, policy, stage, stage < n_visits))
        there = moves[cell, action]
        there = np.where(blocked[rows, there], cell, there)
        moved = there != cell
        stage = stage + (moved & (colours[rows, there] == goal) & (stage < n_visits))
        cell, last = there, np.where(moved, action + 1, 0)
    columns = [np.stack(column, axis=1) for column in zip(*record, strict=True)]
    return Walk(*columns, finished=stage >= n_visits)


def draw_actions(
    probabilities: Float[NDArray[np.float64], "n actions"], rng: np.random.Generator
) -> Int[NDArray[np.int64], " n"]:
    """Samples one action a row; rows of zeros give action 0."""
    cumulative = probabilities.cumsum(axis=1)
    draw = rng.random(len(cumulative))[:, None] * cumulative[:, -1:]
    return (draw >= cumulative[:, :-1]).sum(axis=1) * (cumulative[:, -1] > 0)
