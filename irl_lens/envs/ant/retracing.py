"""A walk taken again: what a body sees that takes given actions from a given start, anywhere.

Physics knows nothing of colours and walls, and gives the same bits at any number of rows. So the
bodies of one walk are the same in every arena, and what differs between two arenas is where
things are seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.gait import gait_named
from irl_lens.envs.ant.physics import POSITIONS, VELOCITIES, Physics
from irl_lens.envs.ant.rules import EMPTY, content, visits
from irl_lens.envs.ant.sights import Sights
from irl_lens.envs.ant.spec import AntSpec, PhysicsOptions
from irl_lens.envs.ant.stance import Body
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.trajectories import Trajectories

Torques = Float[NDArray[np.floating[Any]], "steps 8"]
Bodies = tuple[Float[NDArray[np.float64], "steps 15"], Float[NDArray[np.float64], "steps 14"]]


def bodies(options: PhysicsOptions, begun: Body, actions: Torques) -> Bodies:
    """Returns positions and velocities before each action.

    Args:
        options: How to simulate.
        begun: The body before the first.
        actions: The torques. After some that make the simulation diverge the body stays put.
    """
    physics, row = Physics(options, 1, threads=1), np.zeros(1, np.int64)
    physics.reset(row, begun[0][None], begun[1][None])
    qpos, qvel = np.empty((len(actions), POSITIONS)), np.empty((len(actions), VELOCITIES))
    diverged = False
    for step, action in enumerate(actions.astype(np.float64)):
        qpos[step], qvel[step] = physics.qpos[0], physics.qvel[0]
        if not diverged and physics.step(action[None])[0]:
            diverged = True
            physics.reset(row, qpos[step][None], qvel[step][None])
    return qpos, qvel


def retraced(world: AntSpec, layouts: Layouts, begun: Body, actions: Torques) -> Trajectories:
    """Takes actions in an arena; see :meth:`irl_lens.envs.scenes.Traceable.retraced`.

    Args:
        world: The world.
        layouts: The arena, as a batch of one.
        begun: The body before the first action.
        actions: The torques.
    """
    qpos, qvel = bodies(world.settings.physics, begun, actions)
    steps, cells = len(actions), world.arena.cells(qpos[:, :2])
    there = np.repeat(content(world.board, layouts), steps, axis=0)
    before = np.append(cells[:1], cells[:-1])
    visited = np.maximum(visits(there, before, cells), EMPTY)
    taken = actions.astype(np.float32)
    deviation = world.settings.noise * gait_named(world.settings.gait).deviation
    unknown, deviations = np.full_like(taken, np.nan), np.full_like(taken, deviation)
    return Trajectories(
        observations=Sights.of(world, layouts).rows(np.zeros(steps, int)).observe(qpos, qvel)[None],
        actions=taken[None],
        mask=np.ones((1, steps), bool),
        policy=np.concatenate([unknown, deviations], axis=1)[None],
        subgoals=np.full((1, steps), -1),
        visits=_next(visited)[None],
        progress=(visited != EMPTY).cumsum()[None],
        tasks=np.full(1, -1),
        extras=vars(layouts),
    )


def _next(visited: Int[NDArray[np.int64], " steps"]) -> Int[NDArray[np.int64], " steps"]:
    """The colour that is visited next after each step, ``EMPTY`` after the last visit."""
    following, later = np.full_like(visited, EMPTY), EMPTY
    for step in range(len(visited) - 1, -1, -1):
        following[step] = later
        later = visited[step] if visited[step] != EMPTY else later
    return following
