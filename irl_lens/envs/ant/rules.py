"""The rules of the ant's pinpad, once, for any number of rows.

With cell x of the torso's centre before a step and x' after it, goals g_0 g_1 ..., p visited:

    v  = what is on x' if x' != x, else nothing        (staying on a cell visits nothing)
    p' = p + 1 if v = g_p, else p
    success = (p' = number of goals),   else failure if v is another colour or a wall,
    or if the ant has fallen, or left the arena where that ends an episode

(arXiv 2512.20605, App. A.2.) A step is a tenth of a cell at most, so none is jumped over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import OUTSIDE
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, colour_map, wall_mask

LOWEST, HIGHEST = 0.2, 1.0
"""Heights of the torso's centre within which the ant has not fallen [m] (the paper's)."""
EMPTY, WALL = -1, -2
"""What is on a cell that is none of the colours, which are numbered from 0."""

Whole = Int[NDArray[np.int64], " n"]
Flags = Bool[NDArray[np.bool_], " n"]


class End(IntEnum):
    """Why an episode is over."""

    NOT_YET = 0
    SUCCESS = 1
    WRONG_COLOUR = 2
    WALL = 3
    FALL = 4
    LEFT = 5
    TIME = 6
    DIVERGED = 7
    """The simulation left the numbers that a body can have; the row was stopped before."""


@dataclass(frozen=True)
class Judged:
    """What one step led to, one entry a row.

    Attributes:
        progress: Goals visited so far.
        end: One of :class:`End`, ``NOT_YET`` where the episode goes on.
    """

    progress: Whole
    end: Whole


def content(board: BoardSpec, layouts: Layouts) -> Int[NDArray[np.int64], "n cells"]:
    """Gives each cell its colour, ``WALL`` or ``EMPTY``."""
    return np.where(wall_mask(board, layouts), WALL, colour_map(board, layouts).astype(np.int64))


def fallen(qpos: Float[NDArray[np.floating[Any]], "n 15"], rule: str) -> Flags:
    """Marks the ants that have fallen.

    Args:
        qpos: Positions, see :class:`irl_lens.envs.ant.physics.Physics`.
        rule: See :attr:`irl_lens.envs.ant.spec.AntConfig.fall`.
    """
    height = qpos[:, 2]
    fell = (height < LOWEST) | (height > HIGHEST)
    if rule == "upright":
        fell |= qpos[:, 4] ** 2 + qpos[:, 5] ** 2 > 0.5  # the torso's top points down
    return fell


def visits(there: Int[NDArray[np.int64], "n cells"], before: Whole, after: Whole) -> Whole:
    """Returns what one step has visited: a colour, ``WALL`` or ``EMPTY``.

    Args:
        there: What is on each cell.
        before: The torso's cell before the step, ``OUTSIDE`` where it is in none.
        after: The same after it.
    """
    entered = (after != before) & (after != OUTSIDE)
    return np.where(entered, there[np.arange(len(after)), after], EMPTY)


def judge(
    config: AntConfig,
    there: Int[NDArray[np.int64], "n cells"],
    goals: Int[NDArray[np.int64], "n visits"],
    progress: Whole,
    before: Whole,
    after: Whole,
    fell: Flags,
) -> Judged:
    """Judges one step of every row.

    Args:
        config: The rules that are options.
        there: What is on each cell.
        goals: Colours to visit in order, at least one -1 after the last.
        progress: Goals visited before.
        before: The torso's cell before the step, ``OUTSIDE`` where it is in none.
        after: The same after it.
        fell: Whether it has fallen.
    """
    rows, visited = np.arange(len(after)), visits(there, before, after)
    hit = (visited >= 0) & (visited == goals[rows, progress])
    now = progress + hit
    end = mishaps(config, visited, after, fell)
    end[(visited >= 0) & ~hit] = End.WRONG_COLOUR
    end[hit & (goals[rows, now] < 0)] = End.SUCCESS
    return Judged(now, end)


def mishaps(config: AntConfig, visited: Whole, after: Whole, fell: Flags) -> Whole:
    """Returns what has ended episodes whatever was asked for, one of :class:`End`.

    Args:
        config: The rules that are options.
        visited: What a step has visited, see :func:`visits`.
        after: The torso's cell after it.
        fell: Whether it has fallen.
    """
    end = np.full(len(after), End.NOT_YET, np.int64)
    end[fell] = End.FALL
    end[visited == WALL] = End.WALL
    if config.edge == "ends":
        end[after == OUTSIDE] = End.LEFT
    return end
