"""A body's state read back from an observation: what the expert knows of it is what is observed.

The columns of :mod:`irl_lens.envs.ant.columns` tell place, heading psi, the torso's vertical u in
the heading's frame, and all velocities. The torso's front f has no part across the heading, so

    f = (u_z, 0, -u_x) / |(u_z, u_x)|,   left = u x f,   R = rotation(psi) [f, left, u]

with u_z = sqrt(1 - u_x^2 - u_y^2): of a body on its back, which the world's rules end, it would
be the other root. So the expert is a function of observation and goal, which the exact filter
can evaluate for goals that were not pursued.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.columns import ANKLE, BODY, STANDING

UP, VELOCITY, SPIN, FRONT = slice(1, 3), slice(3, 6), slice(6, 9), slice(9, 11)
HIPS, ANKLES, SPEEDS, PLACE = slice(11, 15), slice(15, 19), slice(19, 27), slice(27, 29)
"""Where among the body's columns what is; the height comes first."""

Numbers = Float[NDArray[np.floating[Any]], "n columns"]


def body_columns(
    objects: int, observations: Float[NDArray[np.floating[Any]], "*n columns"]
) -> Float[NDArray[np.floating[Any]], "*n body"]:
    """Returns the columns of the body and its place.

    Args:
        objects: How many there are in the arena: as many columns come first.
        observations: See :func:`irl_lens.envs.ant.columns.observe`.
    """
    return observations[..., objects : objects + BODY]


def body_of(
    arena: Arena, objects: int, observations: Numbers
) -> tuple[Float[NDArray[np.float64], "n 15"], Float[NDArray[np.float64], "n 14"]]:
    """Returns positions and velocities (:class:`irl_lens.envs.ant.physics.Physics`).

    Args:
        arena: The cells.
        objects: How many there are in it.
        observations: See :func:`irl_lens.envs.ant.columns.observe`.
    """
    seen = body_columns(objects, observations).astype(np.float64)
    n = len(seen)
    qpos, qvel = np.empty((n, 15)), np.empty((n, 14))
    qpos[:, :2], qpos[:, 2] = seen[:, PLACE] * arena.half, seen[:, 0] + STANDING
    qpos[:, 3:7] = _quaternion(seen[:, UP], seen[:, FRONT])
    qpos[:, 7::2], qpos[:, 8::2] = seen[:, HIPS], seen[:, ANKLES] + ANKLE
    (forward, left, qvel[:, 2]), (cos, sin) = _unlogged(seen[:, VELOCITY]).T, seen[:, FRONT].T
    qvel[:, 0], qvel[:, 1] = cos * forward - sin * left, sin * forward + cos * left
    qvel[:, 3:6] = _unlogged(seen[:, SPIN])
    speeds = _unlogged(seen[:, SPEEDS])
    qvel[:, 6::2], qvel[:, 7::2] = speeds[:, :4], speeds[:, 4:]
    return qpos, qvel


def _quaternion(
    up: Float[NDArray[np.float64], "n 2"], front: Float[NDArray[np.float64], "n 2"]
) -> Float[NDArray[np.float64], "n 4"]:
    """Of the torso: first as if it headed along x, then turned to its heading."""
    x, y = up.T
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    long = np.maximum(np.hypot(x, z), 1e-9)
    ahead, down = z / long, -x / long
    # The columns of the rotation are (ahead, 0, down), (y down, z ahead - x down, -y ahead), up.
    middle = z * ahead - x * down
    w = np.sqrt(np.maximum(1 + ahead + middle + z, 1e-9)) / 2
    tilt = np.stack([w, (-y * ahead - y) / (4 * w), (x - down) / (4 * w), -y * down / (4 * w)])
    half = np.arctan2(front[:, 1], front[:, 0]) / 2
    cos, sin = np.cos(half), np.sin(half)
    turned = cos * tilt[0] - sin * tilt[3], cos * tilt[1] - sin * tilt[2]
    return np.stack([*turned, cos * tilt[2] + sin * tilt[1], cos * tilt[3] + sin * tilt[0]], axis=1)


def _unlogged(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undoes symlog."""
    return np.sign(values) * np.expm1(np.abs(values))
