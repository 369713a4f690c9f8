"""How a body stands at a cell: its positions and velocities, as a value.

    stance = (x - c_x, y - c_y, all else of qpos, qvel)

with the cell's centre c: 15 positions and 14 velocities, in the units and the order of
:class:`irl_lens.envs.ant.physics.Physics`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.physics import POSITIONS

Stance = tuple[float, ...]
Body = tuple[Float[NDArray[np.float64], "15"], Float[NDArray[np.float64], "14"]]
"""Positions and velocities in the arena."""


def stance_of(arena: Arena, cell: int, body: Body) -> Stance:
    """Returns how a body stands at a cell."""
    qpos, qvel = body
    return (*(qpos[:2] - arena.centres[cell]).tolist(), *qpos[2:].tolist(), *qvel.tolist())


def body_at(arena: Arena, cell: int, stance: Stance) -> Body:
    """Returns the body that stands so at a cell."""
    numbers = np.array(stance, np.float64)
    numbers[:2] += arena.centres[cell]
    return numbers[:POSITIONS], numbers[POSITIONS:]
