"""The rules of the pinpad, once, for any number of boards.

One step of one board, with cell ``x``, goals ``g_0 g_1 ...``, ``p`` goals visited so far:

    x' = move(x, a), or x if a wall or the border is in the way
    v  = colour of x' if x' != x, else none       (standing still visits nothing)
    p' = p + 1 if v = g_p, else p
    success = (p' = number of goals),  failure = (v is a colour other than g_p)

(paper, App. A.1). The single and the vector environment both step through
:func:`transition`, so that they cannot come to differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, colour_map, wall_mask
from irl_lens.envs.pinpad.planner import MOVES, move_table


@dataclass(frozen=True)
class Terrain:
    """What the rules need to know of each board.

    Attributes:
        reach: Cell that each action leads to from each cell, ``[n, cells, actions]``.
        colours: Colour of each cell, -1 where there is none, ``[n, cells]``.
    """

    reach: Int[NDArray[np.int64], "n cells actions"]
    colours: Int[NDArray[np.int8], "n cells"]


@dataclass(frozen=True)
class Transition:
    """What one step led to, one entry a board.

    Attributes:
        cell: The agent's cell.
        displacement: 0 if it stayed where it was, else action + 1.
        progress: Goals visited so far.
        success: The last goal was visited on this step.
        failure: A colour other than the goal was visited on this step.
    """

    cell: Int[NDArray[np.int64], " n"]
    displacement: Int[NDArray[np.int64], " n"]
    progress: Int[NDArray[np.int64], " n"]
    success: Bool[NDArray[np.bool_], " n"]
    failure: Bool[NDArray[np.bool_], " n"]


def terrain(spec: BoardSpec, layouts: Layouts) -> Terrain:
    """Tabulates the moves and colours of a batch of boards."""
    moves, walls = move_table(spec.size), wall_mask(spec, layouts)
    reach = np.where(walls[:, moves], np.arange(spec.cells)[:, None], moves)
    return Terrain(reach, colour_map(spec, layouts))


def checked_actions(actions: ArrayLike, n: int) -> Int[NDArray[np.int64], " n"]:
    """Returns one action a row.

    Raises:
        ValueError: They are not ``n`` integers that number moves.
    """
    actions = np.asarray(actions)
    whole = np.issubdtype(actions.dtype, np.integer) and actions.shape == (n,)
    if not whole or actions.min() < 0 or actions.max() >= len(MOVES):
        raise ValueError(
            f"actions of {actions.dtype} and shape {actions.shape}; give "
            f"{n} integers from 0 to {len(MOVES) - 1}"
        )
    return actions.astype(np.int64, copy=False)


def transition(
    terrain: Terrain,
    goals: Int[NDArray[np.int64], "n visits"],
    cell: Int[NDArray[np.int64], " n"],
    progress: Int[NDArray[np.int64], " n"],
    actions: Int[NDArray[np.int64], " n"],
) -> Transition:
    """Plays one step on every board.

    Args:
        terrain: The boards.
        goals: Colours to visit in order, at least one -1 after the last.
        cell: The agent's cells.
        progress: Goals visited so far.
        actions: 0 up, 1 right, 2 down, 3 left.
    """
    rows = np.arange(len(cell))
    there = terrain.reach[rows, cell, actions]
    moved = there != cell
    visited = np.where(moved, terrain.colours[rows, there], -1)
    hit = (visited >= 0) & (visited == goals[rows, progress])
    after = progress + hit
    return Transition(
        cell=there,
        displacement=np.where(moved, actions + 1, 0),
        progress=after,
        success=hit & (goals[rows, after] < 0),
        failure=(visited >= 0) & ~hit,
    )
