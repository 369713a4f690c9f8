"""Practice for the gait: walk where you are told, with rewards at every step.

    r = v_along - .5 |v_across| + .2 - .05 |a|^2 - .02 |a - clip(a)|^2
        - .05 yawrate^2 - 4 max(z - .75, 0) - upright (1 - up_z) - fall * [fell]

with the velocity in the plane along and across the command (v_along counted up to a fastest
speed), the torques a, and the torso's vertical. Without the cost of yaw the symmetric policy
spins; without that of height it jumps; a fall is the height rule of the ant's world, or lying on
the back, which that rule misses. A new direction is drawn with probability 1/20 a step, so
that turning on the spot is most of what is practised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.gait import COLUMNS, SHIFTED, gait_observation, turned_back
from irl_lens.envs.ant.physics import Physics
from irl_lens.envs.ant.rules import fallen
from irl_lens.envs.ant.spec import PhysicsOptions
from irl_lens.envs.practice import Practised

LONGEST = 400
"""Steps after which a row begins anew, though the ant still walks."""
REDRAWN = 0.05
"""Probability a step that the direction changes."""
SCALE = 0.2
"""Factor of all rewards: values of about 1 suit the critic."""


@dataclass(frozen=True)
class Rewards:
    """Weights of the reward that differ between lessons.

    Attributes:
        fall: Cost of a fall.
        upright: Cost of tilt.
        fastest: Speed beyond which nothing is gained [m/s].
    """

    fall: float = 10.0
    upright: float = 0.3
    fastest: float = 2.2


class Walking:
    """Rows of ants that are told where to walk; see the module for the reward.

    Args:
        rows: How many.
        rewards: Weights of the reward.
        options: The physics.
    """

    columns, views = COLUMNS, SHIFTED

    def __init__(self, rows: int, rewards: Rewards, options: PhysicsOptions) -> None:
        self.physics, self.rewards = Physics(options, rows, threads=1), rewards
        self.command, self.age = np.zeros(rows), np.zeros(rows, np.int64)
        self._turns = np.zeros(rows, np.int64)

    def begin(self, rng: np.random.Generator) -> None:
        """Begins anew in every row, at ages of all sizes."""
        self._restart(np.arange(len(self.age)), rng)
        self.age = rng.integers(LONGEST, size=len(self.age))

    def observe(self) -> Float[NDArray[np.float32], "n views columns"]:
        """What the gait reads."""
        physics = self.physics
        seen, self._turns = gait_observation(physics.qpos, physics.qvel, self.command)
        return seen

    def step(
        self, actions: Float[NDArray[np.float32], "n torques"], rng: np.random.Generator
    ) -> Practised:
        """Applies torques, as of the body that :meth:`observe` showed."""
        torques = turned_back(actions.astype(np.float64), self._turns)
        diverged = self.physics.step(np.clip(torques, -1, 1))
        ended = diverged | fallen(self.physics.qpos, "upright")
        rewards, figures = self._rewards(torques, ended)
        self.age += 1
        cut = ~ended & (self.age >= LONGEST)
        at = self.physics.qpos[cut], self.physics.qvel[cut], self.command[cut]
        last, _ = gait_observation(*at)
        redrawn = rng.random(len(cut)) < REDRAWN
        drawn = rng.uniform(-np.pi, np.pi, len(cut))
        self.command = np.where(redrawn, drawn, self.command)
        self._restart(np.flatnonzero(ended | cut), rng)
        return Practised(rewards, ended, cut, last, figures)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next step depends on."""
        rows = np.arange(len(self.age))
        physics = np.asarray(self.physics.save(rows))
        return {"physics": physics, "command": self.command.copy(), "age": self.age.copy()}

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to what :meth:`state` returned."""
        self.physics.load(np.arange(len(self.age)), state["physics"])
        self.command, self.age = state["command"].copy(), state["age"].copy()

    def _rewards(
        self, torques: Float[NDArray[np.floating[Any]], "n 8"], fell: Bool[NDArray[np.bool_], " n"]
    ) -> tuple[Float[NDArray[np.float64], " n"], dict[str, NDArray[Any]]]:
        weights, qpos, qvel = self.rewards, self.physics.qpos, self.physics.qvel
        cos, sin = np.cos(self.command), np.sin(self.command)
        along = cos * qvel[:, 0] + sin * qvel[:, 1]
        across = np.abs(cos * qvel[:, 1] - sin * qvel[:, 0])
        excess = torques - np.clip(torques, -1, 1)
        cost = 0.05 * (torques**2).sum(axis=1) + 0.02 * (excess**2).sum(axis=1)
        cost += 0.05 * qvel[:, 5] ** 2 + 4 * np.maximum(qpos[:, 2] - 0.75, 0)
        cost += weights.upright * (1 - upright(qpos)) + weights.fall * fell
        rewards = np.minimum(along, weights.fastest) - 0.5 * across + 0.2 - cost
        figures = {"speed": along, "across": across, "turning": np.abs(qvel[:, 5])}
        kept = {name: np.where(fell, 0, each) for name, each in figures.items()}
        # Where the simulation diverged, no number of it is to be believed.
        rewards = np.where(fell, -weights.fall, rewards) * SCALE
        return rewards, {**kept, "falls_per_1000": 1000.0 * fell}

    def _restart(self, rows: Int[NDArray[np.int64], " k"], rng: np.random.Generator) -> None:
        qpos, qvel = self.physics.standing(len(rows))
        yaw = rng.uniform(-np.pi, np.pi, len(rows)) / 2
        qpos[:, 3], qpos[:, 6] = np.cos(yaw), np.sin(yaw)
        qpos[:, 7:] += rng.uniform(-0.1, 0.1, (len(rows), 8))
        qvel[:, 6:] += rng.uniform(-0.1, 0.1, (len(rows), 8))
        if len(rows):
            self.physics.reset(rows, qpos, qvel)
        self.command[rows] = rng.uniform(-np.pi, np.pi, len(rows))
        self.age[rows] = 0


def upright(qpos: Float[NDArray[np.float64], "n 15"]) -> Float[NDArray[np.float64], " n"]:
    """Cosine of the torso's tilt: 1 upright, -1 on the back."""
    return 1 - 2 * (qpos[:, 4] ** 2 + qpos[:, 5] ** 2)
