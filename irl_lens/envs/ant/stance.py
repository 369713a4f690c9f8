"""How a body stands at a cell: its positions and velocities, as a value.

    stance = (x - c_x, y - c_y, all else of qpos, qvel)

with the cell's centre c: 15 positions and 14 velocities, in the units and the order of
:class:`irl_lens.envs.ant.physics.Physics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena, Places
from irl_lens.envs.ant.physics import POSITIONS, standing

Stance = tuple[float, ...]
Body = tuple[Float[NDArray[np.float64], "*n 15"], Float[NDArray[np.float64], "*n 14"]]
"""Positions and velocities in the arena, of one or of several."""


def standing_at(places: Places, turns: Float[NDArray[Any], " n"]) -> Body:
    """Returns bodies that stand at rest.

    Args:
        places: Where [m].
        turns: Which way each is turned about the vertical [rad].
    """
    qpos, qvel = standing(len(places))
    qpos[:, :2], half = places, np.asarray(turns, np.float64) / 2
    qpos[:, 3], qpos[:, 6] = np.cos(half), np.sin(half)
    return qpos, qvel


def stance_of(arena: Arena, cell: int, body: Body) -> Stance:
    """Returns how a body stands at a cell."""
    qpos, qvel = body
    return (*(qpos[:2] - arena.centres[cell]).tolist(), *qpos[2:].tolist(), *qvel.tolist())


def body_at(arena: Arena, cell: int, stance: Stance) -> Body:
    """Returns the body that stands so at a cell."""
    numbers = np.array(stance, np.float64)
    numbers[:2] += arena.centres[cell]
    return numbers[:POSITIONS], numbers[POSITIONS:]
