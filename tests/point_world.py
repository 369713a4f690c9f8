"""A world of real numbers: a point that has to come near two sites of the plane, one by one.

    x <- clip(x + STEP clip(a, -1, 1), -1, 1),    the expert's a ~ N(clip((site - x) / STEP), 0.1^2)

The smallest world whose observations and actions are real vectors. It has no Bayes filter, and
labels only if it is asked for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from irl_lens.envs.protocol import Seed
from irl_lens.envs.registry import register_world
from irl_lens.envs.spaces import ContinuousActions, ObservationSpec, RealColumn
from irl_lens.envs.trajectories import Trajectories

SITES = np.array([[-0.7, -0.7], [0.7, -0.7], [0.7, 0.7], [-0.7, 0.7]])
TASKS = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
HELDOUT = (0, 2)
STEP, NEAR, NOISE, SCALE = 0.4, 0.3, 0.1, 0.5


@dataclass(frozen=True)
class PointConfig:
    """A world of this kind."""

    horizon: int = 16
    labelled: bool = True
    """Whether it tells which site is sought."""
    counts: bool = False
    """Whether the number of sites that were reached is shown, as a categorical column."""


class PointWorld:
    """See the module."""

    actions = ContinuousActions(2, -1.0, 1.0)

    def __init__(self, config: PointConfig) -> None:
        self.config, self.horizon = config, config.horizon
        self.subgoal_names = ("sw", "se", "ne", "nw") if config.labelled else ()
        self.visit_names = self.subgoal_names
        self.heldout_subgoals = HELDOUT if config.labelled else ()
        reals = (RealColumn("x", SCALE), RealColumn("y", SCALE))
        counted = (("reached",), (3,), (0,)) if config.counts else ((), (), ())
        self.observation = ObservationSpec(*counted, reals)

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows the expert at tasks drawn with equal probability."""
        rng = np.random.default_rng(seed)
        tasks = rng.integers(len(TASKS), size=n)
        env = PointEnv(self, TASKS[tasks])
        observation, info = env.reset(seed=int(rng.integers(2**32)))
        kept: dict[str, list[Any]] = {}
        over = np.zeros(n, bool)
        for _ in range(self.horizon):
            mean = np.clip((env.site() - env.place) / STEP, -1, 1)
            action = (mean + NOISE * rng.standard_normal((n, 2))).astype(np.float32)
            policy = np.concatenate([mean, np.full((n, 2), NOISE)], 1).astype(np.float32)
            step = {"observations": observation, "actions": action, "policy": policy}
            step |= {"mask": ~over, "subgoals": env.sought(), "progress": env.reached.copy()}
            for name, value in step.items():
                kept.setdefault(name, []).append(value)
            observation, _, over, _, info = env.step(action)
        assert over.all() and ("subgoal" in info) == self.config.labelled
        arrays: dict[str, Any] = {name: np.stack(values, 1) for name, values in kept.items()}
        for name in ("observations", "actions", "policy", "progress"):
            arrays[name][~arrays["mask"]] = 0
        labels = {n: arrays.pop(n) for n in ("subgoals", "progress")}
        if self.config.labelled:
            arrays |= labels | {"visits": labels["subgoals"], "tasks": tasks}
        return Trajectories(**arrays).rows(slice(n))

    def vector_env(self, n: int, *, prefix: int | None = None, solvable: bool = True) -> PointEnv:
        """Returns rows of the held-out task."""
        return PointEnv(self, np.tile(HELDOUT[:prefix], (n, 1)))


class PointEnv:
    """Rows that each have a task; see :class:`PointWorld`."""

    def __init__(self, world: PointWorld, tasks: np.ndarray) -> None:
        self.world, self.tasks, self.num_envs = world, tasks, len(tasks)
        self.observation, self.actions = world.observation, world.actions

    def reset(self, *, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Puts the point near the centre."""
        self.place = np.random.default_rng(seed).uniform(-0.3, 0.3, (self.num_envs, 2))
        self.reached = np.zeros(self.num_envs, np.int64)
        return self._seen()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        """Moves the point."""
        assert actions.shape == (self.num_envs, 2) and actions.dtype == np.float32
        live = self.reached < self.tasks.shape[1]
        moved = np.clip(self.place + STEP * np.clip(actions, -1, 1), -1, 1)
        self.place = np.where(live[:, None], moved, self.place)
        there = live & (np.linalg.norm(self.place - self.site(), axis=1) < NEAR)
        self.reached = self.reached + there
        over = self.reached == self.tasks.shape[1]
        observation, info = self._seen()
        return observation, (over & live).astype(float), over, np.zeros_like(over), info

    def site(self) -> np.ndarray:
        """Where the site lies that each row seeks; its last one once it is over."""
        last = self.tasks.shape[1] - 1
        return SITES[self.tasks[np.arange(self.num_envs), np.minimum(self.reached, last)]]

    def sought(self) -> np.ndarray:
        """Number of the site that each row seeks, -1 once it is over."""
        padded = np.pad(self.tasks, ((0, 0), (0, 1)), constant_values=-1)
        return padded[np.arange(self.num_envs), self.reached]

    def _seen(self) -> tuple[np.ndarray, dict[str, Any]]:
        counted = [self.reached[:, None]] if self.world.config.counts else []
        observation = np.concatenate([*counted, self.place], 1).astype(np.float32)
        labels = {"subgoal": self.sought(), "visit": self.sought(), "progress": self.reached}
        return observation, {n: x.copy() for n, x in labels.items() if self.world.config.labelled}


register_world("point", PointConfig, PointWorld)
