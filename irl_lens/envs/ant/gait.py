"""The gait: a small network that walks the ant in a commanded direction, in numpy.

The body has a fourfold symmetry about its own vertical axis, and the gait uses it exactly. In view
k everything is seen from a body turned by k quarters: vectors are rotated by -90 k degrees, and leg
j stands for leg j + k; torques go back through the same permutation P_k. With psi the heading, phi
the commanded direction, and theta_k = phi - psi - 90 k degrees the command as view k sees it,

    torques = sum_k w_k P_k network(view k),   w_k = cos^2 theta_k where |theta_k| < 90 degrees

The two views that count add up to one, cos^2 + sin^2, and the weight of each is 0 where the next
takes its place. So the ant walks anywhere without ever turning, and its torques are a continuous
function of state and command (with the nearest view alone they would jump where the command
crosses a diagonal of the body, for no reason that an observer could see). It has no memory.

The heading is the twist of the torso's rotation about its vertical axis, psi = 2 atan2(q_z, q_w):
unlike the direction of the torso's x axis it turns by exactly 90 degrees with the body however the
body is tilted.

The weights beside this file come from :mod:`irl_lens.rl.practice` and
:mod:`irl_lens.envs.ant.walking`; their header says from which command, seed and versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.errors import UserError

COLUMNS = 28
"""Length of what the network reads of one view."""
VIEWS = 2
"""How many views count."""
TORQUES = 8
"""Hip and ankle of each of four legs."""
SHIPPED = "shipped"
"""Names the gait that comes with the package."""
WEIGHTS = Path(__file__).with_name("gait.safetensors")

_QUARTER = np.pi / 2
_COS, _SIN = np.array([1.0, 0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0, -1.0])
_LEGS = (np.arange(4)[:, None] + np.arange(4)) % 4
"""The leg that leg ``j`` of a body turned by ``k`` quarters is: ``[k, j]``."""
_MIDDLE, _JOINT_SCALE = np.array([0.0, 0.87]), np.array([2.0, 2.8])
_FASTEST = 3.0
SHIFTED = np.stack([np.arange(TORQUES), np.roll(np.arange(TORQUES), TORQUES // 4)])
"""Which torque of each view is which of the first: leg ``j`` of the second is its ``j + 1``."""

Positions = Float[NDArray[np.floating[Any]], "n 15"]
Velocities = Float[NDArray[np.floating[Any]], "n 14"]
Angles = Float[NDArray[np.floating[Any]], " n"]


def heading(qpos: Positions) -> Float[NDArray[np.float64], " n"]:
    """Returns the torso's twist about its vertical axis [rad], from its quaternion."""
    return 2 * np.arctan2(qpos[:, 6], qpos[:, 3]).astype(np.float64)


def gait_observation(
    qpos: Positions, qvel: Velocities, command: Angles
) -> tuple[Float[NDArray[np.float32], "n views columns"], Int[NDArray[np.int64], " n"]]:
    """Returns the two views that count, and the quarters by which the first is turned.

    Columns: the weight of the view; then what the network reads of it: height; the world's vertical
    in the torso's frame (3); velocity along and across the heading, and upwards (3); angular
    velocity (3); cosine and sine of the command; for each leg hip and ankle angle, then for each
    leg hip and ankle velocity. Each is scaled to about 1.

    Args:
        qpos: Place, quaternion (w first) and joint angles [m, rad], legs in order, ``[n, 15]``.
        qvel: Velocities; the torso's angular one in its own frame [m/s, rad/s], ``[n, 14]``.
        command: Directions in which to walk [rad].
    """
    facing = heading(qpos)
    turns = np.floor((command - facing) / _QUARTER).astype(np.int64)
    seen = np.empty((len(qpos), VIEWS, 1 + COLUMNS), np.float32)
    for view in range(VIEWS):
        front = facing + (turns + view) * _QUARTER
        seen[:, view, 0] = np.cos(command - front) ** 2
        seen[:, view, 1:] = _view(qpos, qvel, command - front, front, (turns + view) % 4)
    return seen, turns % 4


def _view(
    qpos: Positions,
    qvel: Velocities,
    command: Angles,
    front: Angles,
    turns: Int[NDArray[np.int64], " n"],
) -> Float[NDArray[np.float32], "n 28"]:
    """What the network reads, seen from a body turned by so many quarters."""
    seen = np.empty((len(qpos), COLUMNS), np.float32)
    seen[:, 0] = qpos[:, 2] * 4 - 2
    w, x, y, z = qpos[:, 3], qpos[:, 4], qpos[:, 5], qpos[:, 6]
    tilt = 2 * (x * z - w * y), 2 * (y * z + w * x)
    seen[:, 1], seen[:, 2] = _turned(*tilt, _COS[turns], _SIN[turns])
    seen[:, 1:3] *= 2
    seen[:, 3] = 1 - 2 * (x * x + y * y)
    seen[:, 4], seen[:, 5] = _turned(qvel[:, 0], qvel[:, 1], np.cos(front), np.sin(front))
    seen[:, 6] = qvel[:, 2]
    seen[:, 4:7] *= 0.5
    seen[:, 7], seen[:, 8] = _turned(qvel[:, 3], qvel[:, 4], _COS[turns], _SIN[turns])
    seen[:, 9] = qvel[:, 5]
    seen[:, 7:10] *= 0.25
    seen[:, 10], seen[:, 11] = np.cos(command), np.sin(command)
    legs = _LEGS[turns][:, :, None]
    angles = (qpos[:, 7:].reshape(-1, 4, 2) - _MIDDLE) * _JOINT_SCALE
    seen[:, 12:20] = np.take_along_axis(angles, legs, axis=1).reshape(-1, 8)
    speeds = np.clip(qvel[:, 6:].reshape(-1, 4, 2) * 0.1, -_FASTEST, _FASTEST)
    seen[:, 20:28] = np.take_along_axis(speeds, legs, axis=1).reshape(-1, 8)
    return seen


def turned_back(
    torques: Float[NDArray[np.floating[Any]], "n 8"], turns: Int[NDArray[np.int64], " n"]
) -> Float[NDArray[np.floating[Any]], "n 8"]:
    """Gives the torques of a body seen turned to the legs that they are meant for."""
    given = np.empty_like(torques)
    legs = torques.reshape(-1, 4, 2)
    np.put_along_axis(given.reshape(-1, 4, 2), _LEGS[turns][:, :, None], legs, axis=1)
    return given


@dataclass(frozen=True)
class Gait:
    """A trained gait.

    Attributes:
        layers: Weights ``[out, in]`` and biases of each layer; ELU between them.
        deviation: Of torques from what is meant, when the training ended: the geometric mean
            over joints, so that it is the same for every leg.
    """

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    deviation: float

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> Gait:
        """Takes the gait out of the tensors of its training.

        Raises:
            UserError: They are those of something else.
        """
        names = sorted(name for name in tensors if name.startswith("actor."))
        numbers = sorted({int(name.split(".")[1]) for name in names})
        try:
            layers = tuple(
                (tensors[f"actor.{i}.weight"], tensors[f"actor.{i}.bias"]) for i in numbers
            )
            deviation = float(np.exp(tensors["log_std"].mean()))
        except KeyError as error:
            raise UserError(f"these are no weights of a gait: {error} is missing") from error
        ends = (layers[0][0].shape[1], layers[-1][0].shape[0]) if layers else None
        if ends != (COLUMNS, TORQUES):
            raise UserError(f"a gait that reads and gives {ends} numbers, not {COLUMNS, TORQUES}")
        return cls(layers, deviation)

    def torques(
        self, qpos: Positions, qvel: Velocities, command: Angles
    ) -> Float[NDArray[np.float32], "n 8"]:
        """Returns the torques that the gait means, each within -1 and 1.

        Args:
            qpos: See :func:`gait_observation`, also for the others.
            qvel: Velocities.
            command: Directions in which to walk [rad].
        """
        seen, turns = gait_observation(qpos, qvel, command)
        meant = np.take_along_axis(self.network(seen[..., 1:]), SHIFTED[None], axis=2)
        return np.clip(turned_back((seen[..., :1] * meant).sum(axis=1), turns), -1, 1)

    def network(
        self, seen: Float[NDArray[np.float32], "*n 28"]
    ) -> Float[NDArray[np.float32], "*n 8"]:
        """Applies the network."""
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            seen = _elu(seen @ w.T + b)
        return seen @ weight.T + bias


def gait_named(name: str) -> Gait:
    """Returns the gait that a world's settings name: a file's, or the one that is shipped.

    Raises:
        UserError: The file is missing, or no gait.
    """
    return trained_gait() if name == SHIPPED else trained_gait(Path(name))


@cache
def trained_gait(path: Path = WEIGHTS) -> Gait:
    """Returns the gait in a file; the one that is shipped if none is named.

    Raises:
        UserError: The file is missing, or no gait.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return Gait.of(load_file(path))
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"no gait can be read from {path} ({error}); train one: irl-lens train expert "
            "--preset ant"
        ) from error


def _turned(x: Any, y: Any, cos: Any, sin: Any) -> tuple[Any, Any]:
    """Rotates vectors clockwise."""
    return cos * x + sin * y, cos * y - sin * x


def _elu(x: Float[NDArray[np.float32], "*n m"]) -> Float[NDArray[np.float32], "*n m"]:
    return np.maximum(x, 0) + np.exp(np.minimum(x, 0)) - 1
