"""The body's physics: rows of one MuJoCo model, stepped together by a thread pool.

    a control step = ``substeps`` steps of ``timestep`` seconds under constant torques

``mujoco.batch.Batch`` gives the same bits at any number of rows and threads. Left alone, MuJoCo
puts a simulation that diverges back to its initial state, in the middle of the arena, and says so
in a file MUJOCO_LOG.TXT in the working folder. Here both are switched off: a row whose numbers
leave what a body can do is reported, and is not to be stepped again before it is reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Int
from mujoco.batch import Batch

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.spec import JOINTS, PhysicsOptions

MUJOCO: Any = mujoco
"""Without types: its binary part has none."""
FILE = Path(__file__).with_name("ant.xml")
POSITIONS, VELOCITIES = 7 + JOINTS, 6 + JOINTS
"""Numbers of a torso and of the joints: hip and ankle of each leg, in this order."""
STANDING_HEIGHT, STANDING_ANKLE = 0.75, 1.0
"""Of a body that is put down, in metres and radians."""
FASTEST = 1e3
"""Speeds beyond this, in m/s or rad/s, are no body's any more: the row has diverged."""

Rows = Int[NDArray[np.int64], " rows"]
_INTEGRATORS = {
    "euler": MUJOCO.mjtIntegrator.mjINT_EULER,
    "implicitfast": MUJOCO.mjtIntegrator.mjINT_IMPLICITFAST,
    "rk4": MUJOCO.mjtIntegrator.mjINT_RK4,
}


def standing(
    n: int,
) -> tuple[Float[NDArray[np.float64], "n 15"], Float[NDArray[np.float64], "n 14"]]:
    """Returns positions and velocities of bodies at rest in the middle of the floor."""
    qpos, qvel = np.zeros((n, POSITIONS)), np.zeros((n, VELOCITIES))
    qpos[:, 2], qpos[:, 3], qpos[:, 8::2] = STANDING_HEIGHT, 1, STANDING_ANKLE
    return qpos, qvel


def make_model(options: PhysicsOptions) -> Any:
    """Reads the body and sets the options."""
    model = MUJOCO.MjModel.from_xml_path(str(FILE))
    model.opt.timestep = options.timestep
    model.opt.integrator = _INTEGRATORS[options.integrator]
    model.opt.disableflags |= int(MUJOCO.mjtDisableBit.mjDSBL_AUTORESET)
    model.actuator_gear[:, 0] = options.gear
    return model


@contextmanager
def _without_log() -> Iterator[None]:
    """Takes MuJoCo's warnings, which it would write into a file in the working folder."""
    before = MUJOCO.get_mju_user_warning()
    MUJOCO.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        MUJOCO.set_mju_user_warning(before)


class Physics:
    """Rows of bodies.

    Args:
        options: How to simulate.
        rows: How many.
        threads: How many threads step them; 0 for one a processor.

    Attributes:
        qpos: Torso's position [m] and quaternion (w, x, y, z), then hip and ankle [rad] of each
            leg, ``[rows, 15]``. A view: what is written into it is where the row is.
        qvel: Torso's velocity [m/s, world frame] and angular velocity [rad/s, body frame], then
            the joints', ``[rows, 14]``; a view too.
    """

    def __init__(self, options: PhysicsOptions, rows: int, threads: int = 0) -> None:
        self.options, self.rows = options, rows
        self.model = make_model(options)
        self._batch = Batch(self.model, rows, nthread=threads)
        self._batch.reset()

    @property
    def qpos(self) -> Float[NDArray[np.float64], "rows 15"]:
        """Positions."""
        return self._batch.qpos

    @property
    def qvel(self) -> Float[NDArray[np.float64], "rows 14"]:
        """Velocities."""
        return self._batch.qvel

    def step(
        self, torques: Float[NDArray[Any], "stepped 8"], rows: Rows | None = None
    ) -> Bool[NDArray[np.bool_], " stepped"]:
        """Takes one control step.

        Args:
            torques: Of hip and ankle of each leg; what is beyond -1 and 1 counts as -1 and 1.
            rows: The rows to step, in ascending order; all if not given.

        Returns:
            Which of them have diverged; they are not to be stepped again before a reset.
        """
        chosen = slice(None) if rows is None else rows
        self._batch.ctrl[chosen] = torques
        with _without_log():
            self._batch.step(ids=rows, nstep=self.options.substeps)
        qpos, qvel = self.qpos[chosen], self.qvel[chosen]
        with np.errstate(invalid="ignore"):
            sound = (np.abs(qvel) <= FASTEST).all(axis=1) & np.isfinite(qpos).all(axis=1)
        return np.asarray(~sound)

    def reset(
        self,
        rows: Rows,
        qpos: Float[NDArray[np.float64], "chosen 15"],
        qvel: Float[NDArray[np.float64], "chosen 14"],
    ) -> None:
        """Puts rows where one wants them, with nothing left of what they did before."""
        self._batch.reset(ids=rows, stage=0)
        self.qpos[rows], self.qvel[rows] = qpos, qvel

    def standing(
        self, n: int
    ) -> tuple[Float[NDArray[np.float64], "n 15"], Float[NDArray[np.float64], "n 14"]]:
        """Returns positions and velocities of bodies at rest in the middle of the floor."""
        return standing(n)

    def save(self, rows: Rows) -> Float[NDArray[np.float64], "chosen state"]:
        """Returns all that the next steps of rows depend on."""
        return self._batch.state[rows].copy()

    def load(self, rows: Rows, states: Float[NDArray[np.float64], "chosen state"]) -> None:
        """Puts rows where others were saved, of this or of other physics of the same options."""
        self._batch.state[rows] = states
